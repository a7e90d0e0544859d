#!/usr/bin/env bash
# A file that a consumer has been given is written anew, whole and at once, with each new version of its login, and says nothing ({}) when nothing of
# the login is valid any more; when the login works again, so does the file. It never has a refresh token in it.
. "$(dirname "$0")/refresh.bash"
start_idp --life 3600
idp_config </dev/null
init_broker
enroll_login 3600
consumer gateway claude file
lease gateway claude file >"$T/lease"
FILE=$RUN/gateway/$(field file <"$T/lease")
holds "the file is there: $FILE" test -s "$FILE"
reads() { # PYTHON over f
    python3 -c 'import json, sys
f = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$FILE" "$1"
}
holds "with the access token" is "$(reads 'f["claudeAiOauth"]["accessToken"]')" "$ACCESS"
# somebody reads it all the time: it is always whole
python3 - "$FILE" "$T/stop" "$T/reading" >"$T/reader" <<'PY' &
import json, os, sys, time
n, seen = 0, []
while not os.path.exists(sys.argv[2]):
    f = json.load(open(sys.argv[1]))
    token = f.get("claudeAiOauth", {}).get("accessToken")
    if not seen or seen[-1] != token:
        seen.append(token)
    assert "refreshToken" not in json.dumps(f) or not f["claudeAiOauth"].get("refreshToken"), f
    n += 1
    open(sys.argv[3], "w").close()
    time.sleep(0.002)
print(n, *seen)
PY
READER=$!
PIDS+=("$READER")
eventually 10 test -e "$T/reading" || die "nobody reads"
"$CLI" refresh claude >/dev/null
holds "a refresh gives it the new token" is "$(reads 'f["claudeAiOauth"]["accessToken"]')" "${ACCESS}r1"
holds "and its end" is "$(reads 'f["claudeAiOauth"]["expiresAt"]')" "$(show claude 'c["expires_at_ms"]')"
# a file lies with a consumer: it is renewed while a run of 35 minutes still fits
left=$(show claude '(c["expires_at_ms"] - c["refresh"]["next_at_ms"]) // 60000')
holds "the next one comes while $left minutes are left" is "$left" 36

# the provider does not answer until the token has under a minute left
idp token=status=503
login 62 >"$T/login.json"
"$CLI" replace claude --yes --file "$T/login.json" >/dev/null 2>&1 || die "replace failed"
holds "a login with little left is projected too" is "$(reads 'f["claudeAiOauth"]["accessToken"]')" "$ACCESS"
empty() { [[ $(reads f) == "{}" ]]; }
eventually 10 empty || die "the file still says: $(<"$FILE")"
holds "then the file says nothing" empty
holds "the lease lives on" is "$("$CLI" lease list --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["leases"]))')" 1
idp
stop_idp
start_idp --life 3600 --port "$PORT"
full() { [[ $(reads 'f["claudeAiOauth"]["accessToken"]') == "${ACCESS}r1" ]]; }
eventually 20 full || die "the file does not come back: $(<"$FILE"); $("$CLI" show claude --json)"
holds "and when the login works again, so does the file" full
touch "$T/stop"
wait "$READER" || die "a reader met a broken file: $(<"$T/reader")"
holds "whoever read it in between saw whole files only: $(<"$T/reader")" is "$(cut -d ' ' -f 2- "$T/reader")" "$ACCESS ${ACCESS}r1 $ACCESS None ${ACCESS}r1"

# asked to stop while a provider takes its time, the broker lets the answer come
idp token=slow=2
"$CLI" refresh claude >/dev/null 2>&1 &
PIDS+=($!)
eventually 5 shows claude 'c["refresh"]["running"]' True || die "no refresh began"
version=$(show claude 'c["version"]')
stop_broker
holds "no journal is left" test -z "$(find "$STATE/refresh" -name '*.refresh')"
idp
start_broker
holds "the answer was taken over before it ended" is "$(show claude 'c["version"]')" $((version + 1))
tally
