#!/usr/bin/env bash
# A client that believes it renews its login at its provider renews its lease at the broker: it gets tokens of ours that serve, in the form that
# it insists on, and never sees the login's refresh token or access token; what it holds ends with its lease, in a way that it takes as final.
. "$(dirname "$0")/proxy.bash" || exit 1
ACCESS=sk-ant-oat01-FAKE-access-0123456789abcdefghijklmnopqrstuv
REFRESH=sk-ant-ort01-FAKE-refresh-0123456789abcdefghijklmnopqrstuv
start_provider --expect "claude=$ACCESS"
upstream_config </dev/null
init_broker
printf '{"claudeAiOauth":{"accessToken":"%s","refreshToken":"%s","expiresAt":4070908800000,"scopes":["user:inference"]}}' "$ACCESS" "$REFRESH" |
    "$CLI" enroll login --provider claude >/dev/null 2>&1
grant_proxy gw login --ttl 6s --max-ttl 8s

# renew CONSUMER PATH BODY [curl arguments]: "STATUS BODY"; every answer is kept
renew() {
    local name=$1 path=$2 body=$3
    shift 3
    curl -sS -o "$T/body" -w '%{http_code} ' --max-time 20 --unix-socket "$RUN/$name/proxy.sock" -H 'content-type: application/json' -d "$body" "$@" "http://localhost$path" || true
    tee -a "$T/answers" <"$T/body"
}
codex() { renew "$1" /oauth/token "{\"client_id\":\"app_EMoamEEZ73f0CkXaXp7hrann\",\"grant_type\":\"refresh_token\",\"refresh_token\":\"$2\"}"; }
claude() { renew "$1" /v1/oauth/token "{\"grant_type\":\"urn:ietf:params:oauth:grant-type:jwt-bearer\",\"assertion\":\"$2\",\"federation_rule_id\":\"broker\"}"; }
message() { # TOKEN: status of one request with it
    curl -sS -o /dev/null -w '%{http_code}' --max-time 20 --unix-socket "$RUN/gw/proxy.sock" -H "Authorization: Bearer $1" -H 'anthropic-version: 2023-06-01' \
        -H 'content-type: application/json' -d '{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}' http://localhost/v1/messages
}
claims() { python3 -c 'import base64, json, sys
h, c, s = sys.argv[1].split("."); d = lambda t: json.loads(base64.urlsafe_b64decode(t + "=" * (-len(t) % 4)))
d(h); print(d(c)["exp"])' "$1"; }

phantom=$(proxy_token gw login)
# each client, past three ends of its token, and past the lease's max_ttl
given=()
for round in 1 2 3 4 5 6; do
    answer=$(claude gw "$phantom")
    begins "$answer" 200 || die "round $round: $answer"
    access=$(field access_token <<<"$answer")
    [[ $access == sk-ant-oat01-*cbrk1_* && $access != "$phantom" ]] || die "no token of ours: $answer"
    [[ $(field expires_in <<<"$answer") -le 6 ]] || die "$answer"
    [[ $(message "$access") == 200 ]] || die "round $round: the renewed token does not serve"
    answer=$(codex gw "$phantom")
    begins "$answer" 200 || die "round $round: $answer"
    jwt=$(field access_token <<<"$answer")
    (($(claims "$jwt") <= $(date +%s) + 6)) || die "the JWT tells another end: $answer"
    [[ $(field refresh_token <<<"$answer") == "$phantom" ]] || die "$answer"
    [[ $(message "$jwt") == 200 ]] || die "round $round: the JWT does not serve"
    ((round < 4)) || [[ $(message "${given[round - 4]}") == 401 ]] || die "a token outlived its end"
    # issuing revokes nothing that was issued before
    [[ $(message "$access") == 200 ]] || die "an earlier token was revoked"
    given+=("$access")
    sleep 2.5
done
[[ $(upstream_saw 'r["violations"]') == 0 ]] || die "the provider complains"
[[ $(upstream_saw '"oauth" in r["path"]') == 0 ]] || die "a renewal went upstream"
audit_has 'lease.renew .*consumer=gw credential=login .*source=claude' || die "no record: $("$CLI" audit tail)"
audit_has 'lease.renew .*consumer=gw credential=login .*source=codex' || die "no record"

# a renewed token renews nothing; a stranger's socket renews nothing; rubbish is no token
consumer other login proxy
eventually 5 test -S "$RUN/other/proxy.sock"
for answer in "$(codex gw "$access")" "$(codex other "$phantom")" "$(codex gw rubbish)" "$(codex gw "$REFRESH")"; do
    begins "$answer" 401 && grep -q '"code":"refresh_token_invalidated"' <<<"$answer" || die "not refused: $answer"
done
for answer in "$(claude gw "$access")" "$(claude other "$phantom")"; do
    begins "$answer" 400 && grep -q '"error":"invalid_grant"' <<<"$answer" || die "not refused: $answer"
done
# what two readers could take differently
for body in '{"grant_type":"refresh_token","refresh_token":"'"$phantom"'","refresh_token":"x"}' '[]' '{"grant_type":"refresh_token","refresh_token":{}}' "$(head -c 9000 /dev/zero | tr '\0' a)"; do
    answer=$(renew gw /oauth/token "$body")
    begins "$answer" 400 || die "$body: $answer"
done
answer=$(renew gw /oauth/token '{"grant_type":"password","refresh_token":"x"}')
grep -q unsupported_grant_type <<<"$answer" || die "$answer"

# a locked broker logs nobody out
"$CLI" lock >/dev/null
answer=$(codex gw "$phantom")
begins "$answer" 503 && grep -q temporarily_unavailable <<<"$answer" || die "locked: $answer"
"$CLI" unlock >/dev/null
answer=$(codex gw "$phantom")
begins "$answer" 200 || die "unlocked: $answer"

# revoked: final for both
"$CLI" lease revoke --consumer gw --yes >/dev/null 2>&1 || "$CLI" revoke --consumer gw >/dev/null
answer=$(codex gw "$phantom")
begins "$answer" 401 && grep -q refresh_token_invalidated <<<"$answer" || die "revoked: $answer"
answer=$(claude gw "$phantom")
begins "$answer" 400 && grep -q invalid_grant <<<"$answer" || die "revoked: $answer"
[[ $(message "$access") != 200 ]] || die "a token outlived its lease"

for secret in "$ACCESS" "$REFRESH"; do
    if grep -qF -- "$secret" "$T/answers" "$T/log"; then die "a client or the log saw the login"; fi
    if grep -rqF -- "$secret" "$STATE" "$RUN" 2>/dev/null; then die "the login lies somewhere in the open"; fi
done
if grep -rqF -- "$phantom" "$STATE" "$T/log"; then die "the log or the store holds a token"; fi
