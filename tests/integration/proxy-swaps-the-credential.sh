#!/usr/bin/env bash
# A client of the data plane holds a token and never the credential: the provider gets the real one, exactly once, in its own header; whatever
# credentials the client sends beside are stripped; the token reaches nobody; the log has a line before and a line after, without either.
. "$(dirname "$0")/proxy.bash" || exit 1
start_provider
upstream_config </dev/null
init_broker
"$CLI" enroll k --provider anthropic <<<"$KEY" >/dev/null 2>&1
grant_proxy gw k
token=$(proxy_token gw k)
answer=$(ask gw "$token")
begins "$answer" 200 || die "$answer"
grep -q '"type": *"message"' <<<"$answer" || die "$answer"

# the attacker's own key, cookies, a key in the query: none goes up, and the request is the grant's all the same
answer=$(ask gw "$token" -H 'Authorization: Bearer sk-ant-api03-attackers-own' -H 'Cookie: a=b' -H 'x-goog-api-key: AIzaOther' -G --data-urlencode key=sk-other -X POST)
[[ $(upstream_saw 'r["violations"]') == 0 ]] || die "the provider complains: $(cat "$RECORD")"
[[ $(upstream_saw '"/v1/messages" in r["path"]') -ge 1 ]] || die "the provider saw nothing"

# no token, somebody else's word, the real key itself: refused here, and nobody upstream hears of it
before=$(wc -l <"$RECORD")
for bad in none "$KEY" "${token}x" "sk-ant-api03-cbrk1_AAAA_BBBB"; do
    answer=$(ask gw "$bad")
    begins "$answer" 401 || begins "$answer" 403 || die "\"$bad\" got: $answer"
done
# another consumer's socket
consumer other k proxy
eventually 5 test -S "$RUN/other/proxy.sock"
answer=$(ask other "$token")
begins "$answer" 401 || die "another consumer's token got: $answer"
# a path that the provider's defaults do not allow, a host that is none of ours, a page in a browser
[[ $(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$RUN/gw/proxy.sock" -H "x-api-key: $token" http://localhost/v1/organizations) == 403 ]]
[[ $(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$RUN/gw/proxy.sock" -H "x-api-key: $token" http://rebound.example/v1/models) == 421 ]]
[[ $(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$RUN/gw/proxy.sock" -H "x-api-key: $token" -H 'Origin: http://localhost' http://localhost/v1/models) == 403 ]]
# our token in a place that goes upstream, and into the log
[[ $(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$RUN/gw/proxy.sock" -H "x-api-key: $token" "http://localhost/v1/models/$token") == 400 ]]
[[ $(wc -l <"$RECORD") == "$before" ]] || die "something refused reached the provider"

audit_has 'request.begin .*consumer=gw credential=k .*path=/v1/messages' || die "no record of a beginning"
eventually 5 audit_has 'request.end .*http_status=200.*input=' || die "no record of an end"
audit_has 'request.denied' || die "no record of a refusal"
# a token for a model's name, where the log tells the model: refused or let through, it does not stand there
grant_proxy limited k --model 'claude-*'
other=$(proxy_token limited k)
curl -sS -o /dev/null --unix-socket "$RUN/limited/proxy.sock" -H "x-api-key: $other" -H 'anthropic-version: 2023-06-01' -H 'content-type: application/json' \
    -d "{\"model\":\"claude-$other\",\"max_tokens\":9,\"messages\":[]}" http://localhost/v1/messages
eventually 5 audit_has 'request.* consumer=limited' || die "no record of it"
# nor does the value of a query stand there
for secret in "$KEY" "$token" "$other" sk-other sk-ant-api03-attackers-own; do
    if grep -rqF -- "$secret" "$STATE" "$T/log"; then die "the log or the store holds a secret"; fi
done
