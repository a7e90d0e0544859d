#!/usr/bin/env bash
# A budget is checked before the provider sees anything, answered in its own form with Retry-After, charged after, kept over kill -9 and a restart, and
# ends the streams that run when it is spent. Models are held to the grant's, in plain and in escaped spelling.
. "$(dirname "$0")/proxy.bash" || exit 1
start_provider --fault chunk-delay=0.1 --fault repeat=100
upstream_config </dev/null
init_broker
"$CLI" enroll k --provider anthropic <<<"$KEY" >/dev/null 2>&1
grant_proxy few k --budget "requests: 3/d"
grant_proxy tokens k --budget "tokens: 40/d"
grant_proxy free k
grant_proxy cheap k --model 'claude-haiku-*'
few=$(proxy_token few k) tokens=$(proxy_token tokens k) free=$(proxy_token free k) cheap=$(proxy_token cheap k)
for _ in 1 2 3; do begins "$(ask few "$few")" 200 || die "a request within the budget was refused"; done
spent() { # WHAT
    local before answer
    before=$(upstream_saw True)
    answer=$(ask few "$few" -D "$T/head")
    begins "$answer" 429 || die "$1: $answer"
    grep -q rate_limit_error <<<"$answer" || die "$1: not in the provider's form: $answer"
    grep -qiE '^retry-after: [0-9]+' "$T/head" || die "$1: no Retry-After: $(cat "$T/head")"
    [[ $(upstream_saw True) == "$before" ]] || die "$1: the provider saw it"
}
spent "the fourth"
begins "$(ask free "$free")" 200 || die "another consumer pays for it"
"$CLI" budget few | grep -qE '3' || die "broker-cli budget does not tell"
sleep 1.5 # what is charged is kept within a second
crash_broker
start_broker
eventually 10 test -S "$RUN/few/proxy.sock"
spent "after kill -9"
stop_broker
start_broker
eventually 10 test -S "$RUN/few/proxy.sock"
spent "after a restart"

# tokens: the reply tells of 21 + 4 and 9: two requests spend it, and what streams then is cut
stream tokens "$tokens" "$T/s1"
running=$STREAM
begins "$(ask tokens "$tokens")" 200 || die "the first request for tokens"
ask tokens "$tokens" >/dev/null
from=${EPOCHREALTIME/./}
timeout 5 tail -s 0.02 --pid="$running" -f /dev/null || die "a stream goes on though the budget is spent"
took=$(((${EPOCHREALTIME/./} - from) / 1000))
((took <= 500)) || die "the stream went on for $took ms after the budget was spent"
echo "cut $took ms after the budget was spent"
if grep -q message_stop "$T/s1"; then die "the stream was not cut"; fi
begins "$(ask tokens "$tokens")" 429 || die "a spent budget of tokens lets through"
eventually 5 audit_has 'request.end .*reason=limit' || die "the cut is not recorded"

# models
answer=$(ask cheap "$cheap")
begins "$answer" 403 || die "a model that is not granted: $answer"
with_body() { # STATUS BODY
    local got
    got=$(curl -sS -o "$T/body" -w '%{http_code}' --unix-socket "$RUN/cheap/proxy.sock" -H "x-api-key: $cheap" -H 'anthropic-version: 2023-06-01' -d "$2" http://localhost/v1/messages)
    [[ $got == "$1" ]] || die "$2 got $got, not $1: $(cat "$T/body")"
}
before=$(upstream_saw True)
with_body 403 '{"mod\u0065l":"claude-opus-4-5","max_tokens":9,"messages":[]}'
with_body 403 '{"model":"claude-haiku-4-5","mod\u0065l":"claude-opus-4-5","max_tokens":9,"messages":[]}'
with_body 403 '{"max_tokens":9,"messages":[]}'
[[ $(upstream_saw True) == "$before" ]] || die "the provider saw a model that is not granted"
with_body 200 '{"max_tokens":9,"model":"claude-haiku-4-5","messages":[]}'
