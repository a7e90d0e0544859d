#!/usr/bin/env bash
# Whatever a provider does but one thing, the login stays: errors, floods, garbage, silence, a cut or a lost answer. What is valid is served
# meanwhile, the refresh is tried again, and once the provider is well so is the login. Only its word that the refresh token is dead ends a login;
# then the ciphertext is kept, the operator is told in every place there is, and what is still valid is still served.
. "$(dirname "$0")/refresh.bash"
start_idp --life 3600 --grace 30
cat >"$T/tell" <<SH
#!/bin/sh
echo "\$# \$*" >>$T/told/alert
env >>$T/told/alert.env
SH
chmod 755 "$T/tell"
mkdir -m 777 "$T/told"
idp_config <<<"notify: $T/tell"
init_broker
enroll_login 3600
consumer gateway claude access_token,file

fails() { # NAME FAULT WHAT-THE-STATUS-SAYS: the provider does this for one request; then it is well again
    local name=$1 fault=$2 says=$3 version said
    version=$(show claude 'c["version"]')
    idp "token=$fault"
    expect_fail "${4:-21}" . "$CLI" refresh claude
    said=$(show claude 'c["refresh"]["error"]')
    holds "$name: the login is as it was" is "$(show claude 'c["state"], c["version"]')" "('ok', $version)"
    holds "$name: it says what fails: $said" grep -qE -- "$says" <<<"$said"
    holds "$name: what is valid is served" begins "$(lease)" 200
    idp
    renewed() { shows claude 'c["version"]' "$((version + 1))"; }
    eventually 20 renewed || "$CLI" refresh claude >/dev/null || die "$name: the login does not come back: $("$CLI" show claude --json)"
    holds "$name: and comes back by itself or when asked" is "$(show claude 'c["refresh"]["failures"], c["refresh"]["error"]')" "(0, None)"
}
fails "503" status=503 'answered 503'
fails "429" status=429 'answered 429'
fails "a wrong client" status=400 'does not take the request \(400' 8
fails "a lost answer" lose 'Server returned nothing|Empty reply|Failure when receiving' 21
fails "a cut answer" cut=20 'partial file|transfer closed|Transferred a' 21
fails "garbage" garbage 'cannot be understood' 3
fails "a page of HTML" html 'cannot be understood' 3
fails "gigabytes" flood 'too large' 12
version=$(show claude 'c["version"]')
idp token=slow=2
"$CLI" refresh claude >"$T/killed" 2>&1 &
asker=$!
PIDS+=("$asker")
eventually 5 pgrep -P "$BROKER" -f -- --role=oauth || die "no helper runs"
kill -KILL "$(pgrep -P "$BROKER" -f -- --role=oauth)"
if wait "$asker"; then die "a refresh whose helper was killed says that it is done"; fi
holds "a killed helper: the login is as it was, in doubt: $(<"$T/killed")" is "$(show claude 'c["state"], c["version"], c["refresh"]["doubtful"]')" "('ok', $version, True)"
idp
renewed() { shows claude 'c["version"]' "$((version + 1))"; }
eventually 20 renewed || die "after a killed helper the login does not come back: $("$CLI" show claude --json)"
holds "and comes back by itself" is "$(show claude 'c["refresh"]["failures"], c["refresh"]["doubtful"]')" "(0, False)"
stop_idp
expect_fail 21 'connect' "$CLI" refresh claude
holds "nobody there: the login is as it was" is "$(show claude 'c["state"]')" ok
holds "it is in the metrics" grep -qE '^credential_broker_refreshes_failed_total [1-9]' <("$CLI" metrics)
holds "and in the audit log" audit_has event=refresh.end outcome=error credential=claude

# the one thing
lease gateway claude file >"$T/file"
start_idp --life 3600 --port "$PORT" --refresh "claude=another-one"
expect_fail 10 'no longer accepts|has replaced the refresh token' "$CLI" refresh claude
holds "its provider's word ends it" is "$(show claude 'c["state"], bool(c["ended"])')" "('needs_login', True)"
holds "the ciphertext is kept" is "$(show claude 'c["detail"]["refresh_token"]["bytes"] > 0')" True
holds "what is still valid is still served" begins "$(lease)" 200
holds "the status says so, and what to do" grep -q "needs_login.*" <("$CLI" status)
holds "with the remedy" grep -q "log in again: broker-cli login claude" <("$CLI" status)
"$CLI" doctor >"$T/doctor" || true
holds "so does the doctor" grep -q "broker-cli login claude" "$T/doctor"
holds "the log" grep -q "credential.needs_login credential=claude" "$T/log"
holds "the metrics" grep -q 'credential_broker_login_works{credential="claude",provider="claude"} 0' <("$CLI" metrics)
holds "the audit log" audit_has event=credential.needs_login credential=claude
eventually 5 test -s "$T/told/alert" || die "the command was not run"
holds "and the command that was asked for: $(<"$T/told/alert")" grep -qE "^4 needs_login claude claude (revoked|lost)$" "$T/told/alert"
holds "which can start programs of its own" grep -q '^PATH=/usr/local/bin:/usr/bin:/bin$' "$T/told/alert.env"
holds "with no secret" refused grep -q FAKE "$T/told/alert" "$T/told/alert.env"
stop_broker
start_broker
holds "a restart does not forget it" is "$(show claude 'c["state"]')" needs_login
sleep 1.5
asked_before=$(asked)
sleep 1.5
holds "nor is the provider asked on and on" is "$(asked)" "$asked_before"
login 3600 another-one >"$T/login.json"
"$CLI" replace claude --yes --file "$T/login.json" >/dev/null 2>&1 || die "replace failed"
holds "a fresh login in its place works" is "$(show claude 'c["state"], c["ended"]')" "('ok', None)"
holds "and is renewed" "$CLI" refresh claude
tally
