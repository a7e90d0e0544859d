# For the tests of the data plane: a strict fake provider on loopback, credentials in its shapes, and a broker whose upstreams it is.
# shellcheck shell=bash disable=SC2034
. "$(dirname "${BASH_SOURCE[0]}")/lib.bash"
KEY=sk-ant-api03-FAKE-planted-0123456789abcdefghijklmnopqrstuv
RECORD=$T/record
: >"$RECORD"

start_provider() { # arguments of provider.py: fills PORT and PROVIDER
    python3 "$ROOT/tests/fake/provider.py" --expect "anthropic=$KEY" --record "$RECORD" "$@" >"$T/port" &
    PROVIDER=$!
    PIDS+=($!)
    eventually 10 test -s "$T/port" || die "the fake provider did not come up"
    PORT=$(<"$T/port")
}
stop_provider() {
    kill "$PROVIDER"
    wait "$PROVIDER" 2>/dev/null || true
    rm -f "$T/port"
}
# upstream_config [ORIGIN]: every provider's requests go to the fake one; what follows on stdin are further sections
upstream_config() {
    local origin=${1:-http://127.0.0.1:$PORT} p
    {
        echo "upstreams:"
        for p in anthropic claude openai codex gemini; do echo "  - { provider: $p, origin: \"$origin\", private: true${2:+, $2} }"; done
        cat
    } >"$CONFIG"
}
grant_proxy() { # CONSUMER CREDENTIAL [extra grant arguments]
    local name=$1 credential=$2
    shift 2
    consumer "$name" "$credential" proxy "$@"
    eventually 5 test -S "$RUN/$name/proxy.sock" || die "no proxy.sock for $name"
}
proxy_token() { call "$1" POST /v1/leases "{\"credential\":\"$2\",\"deliver\":\"proxy\"}" | field token; }
# ask CONSUMER TOKEN [curl arguments]: status and body of one small request to Anthropic's endpoint
ask() {
    local name=$1 token=$2
    shift 2
    curl -sS -o "$T/body" -w '%{http_code} ' --max-time 30 --unix-socket "$RUN/$name/proxy.sock" -H "x-api-key: $token" -H 'anthropic-version: 2023-06-01' \
        -H 'content-type: application/json' -d '{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}' "$@" http://localhost/v1/messages || true
    cat "$T/body" 2>/dev/null || true
}
# stream CONSUMER TOKEN FILE: the same as events, in the background; its pid in STREAM
stream() {
    curl -sSN --max-time 60 --unix-socket "$RUN/$1/proxy.sock" -H "x-api-key: $2" -H 'anthropic-version: 2023-06-01' -H 'content-type: application/json' \
        -d '{"model":"claude-sonnet-4-5","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"hi"}]}' http://localhost/v1/messages >"$3" 2>"$3.err" &
    STREAM=$!
    PIDS+=($!)
    eventually 10 grep -q message_start "$3" || die "the stream did not begin: $(cat "$3" "$3.err")"
}
begins() { [[ $1 == "$2 "* ]]; }
# upstream_saw JSON-FILTER: number of recorded requests (begin events) that python's expression, over r, holds for
upstream_saw() { python3 -c 'import json, sys
print(sum(1 for line in open(sys.argv[1]) for r in [json.loads(line)] if r.get("event") == "end" and eval(sys.argv[2])))' "$RECORD" "$1"; }
audit_has() { "$CLI" audit tail --lines 200 | grep -E -- "$1" >/dev/null; }
