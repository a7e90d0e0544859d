# For the tests of refreshes: a fake provider whose token endpoint and API are where broker.yaml says Claude's are, and logins of any age.
# shellcheck shell=bash disable=SC2034
. "$(dirname "${BASH_SOURCE[0]}")/promise.bash"
ACCESS=sk-ant-oat01-FAKE-planted-access-0123456789abcdefghijklmnop
REFRESH=sk-ant-ort01-FAKE-zyxwvutsrqponmlkjihgfedcba9876543210-renewal
RECORD=$T/record CONTROL=$T/control
: >"$RECORD"
: >"$CONTROL"

start_idp() { # arguments of provider.py: fills PORT and IDP
    rm -f "$T/port"
    python3 "$ROOT/tests/fake/provider.py" --expect "claude=$ACCESS" --refresh "claude=$REFRESH" --record "$RECORD" --control "$CONTROL" "$@" >"$T/port" 2>"$T/idp.err" &
    IDP=$!
    PIDS+=($!)
    eventually 10 test -s "$T/port" || die "the fake provider did not come up: $(<"$T/idp.err")"
    PORT=$(<"$T/port")
}
stop_idp() {
    kill "$IDP"
    wait "$IDP" 2>/dev/null || true
}
idp_config() { # further sections on stdin
    {
        echo "upstreams:"
        echo "  - { provider: claude, origin: \"http://127.0.0.1:$PORT\", private: true }"
        echo "providers:"
        echo "  - { name: claude, token_url: \"http://127.0.0.1:$PORT/v1/oauth/token\", insecure_loopback: true }"
        cat
    } >"$CONFIG"
}
login() { # SECONDS-LEFT [REFRESH-TOKEN]: Claude's file, on standard output
    python3 - "$1" "${2-$REFRESH}" "$ACCESS" <<'PY'
import json, sys, time
left, refresh, access = sys.argv[1:]
print(json.dumps({"claudeAiOauth": {"accessToken": access, "refreshToken": refresh, "expiresAt": int((time.time() + float(left)) * 1000),
                                    "scopes": ["user:inference"], "subscriptionType": "max"}, "mcpOAuth": {"kept": {"x": 1}}}))
PY
}
enroll_login() { # SECONDS-LEFT [NAME]
    login "$1" >"$T/login.json"
    "$CLI" enroll "${2:-claude}" --provider claude --file "$T/login.json" >/dev/null 2>&1 || die "the login was not enrolled"
    rm -f "$T/login.json"
}
idp() { echo "$*" >"$CONTROL"; } # what the provider does from now on
# refreshes [STATUS]: how many requests the token endpoint has answered so, all without STATUS
refreshes() {
    python3 -c 'import json, sys
print(sum(1 for l in open(sys.argv[1]) for r in [json.loads(l)] if r.get("event") == "end" and r.get("path") == "/v1/oauth/token"
          and (len(sys.argv) < 3 or str(r.get("status")) == sys.argv[2])))' "$RECORD" "$@"
}
asked() { # requests that the token endpoint has seen begin
    python3 -c 'import json, sys
print(sum(1 for l in open(sys.argv[1]) for r in [json.loads(l)] if r.get("event") == "begin" and r.get("path") == "/v1/oauth/token"))' "$RECORD"
}
show() { # NAME PYTHON-EXPRESSION over c
    "$CLI" show "$1" --json | python3 -c 'import json, sys
c = json.load(sys.stdin)
print(eval(sys.argv[1]))' "$2"
}
shows() { is "$(show "$1" "$2")" "$3" 2>/dev/null; }
lease() { call "${1:-gateway}" POST /v1/leases "{\"credential\":\"${2:-claude}\",\"deliver\":\"${3:-access_token}\"}"; }
proxy_ask() { # CONSUMER TOKEN: status of one small request through the proxy
    curl -sS -o "$T/body.$BASHPID" -w '%{http_code}' --max-time 40 --unix-socket "$RUN/$1/proxy.sock" -H "authorization: Bearer $2" -H 'anthropic-version: 2023-06-01' \
        -H 'content-type: application/json' -d '{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}' http://localhost/v1/messages || true
}
