# For the tests of logins: a fake provider that plays the vendors' authorize pages, exchanges and device grants, and a person.
# shellcheck shell=bash disable=SC2034
. "$(dirname "${BASH_SOURCE[0]}")/refresh.bash"
ISSUED=$T/issued TYPED=
: >"$ISSUED"
login_config() { # further entries of `providers:` on stdin
    cat >"$CONFIG" <<YAML
upstreams:
  - { provider: claude, origin: "http://127.0.0.1:$PORT", private: true }
providers:
  - { name: claude, token_url: "http://127.0.0.1:$PORT/v1/oauth/token", authorize_url: "http://127.0.0.1:$PORT/cai/oauth/authorize", insecure_loopback: true }
  - { name: codex, token_url: "http://127.0.0.1:$PORT/oauth/token", authorize_url: "http://127.0.0.1:$PORT/oauth/authorize", device_url: "http://127.0.0.1:$PORT/api/accounts/deviceauth/usercode", insecure_loopback: true }
  - { name: gemini, token_url: "http://127.0.0.1:$PORT/google/token", authorize_url: "http://127.0.0.1:$PORT/o/oauth2/v2/auth", insecure_loopback: true }
  - { name: corp, token_url: "http://127.0.0.1:$PORT/oidc/token", device_url: "http://127.0.0.1:$PORT/oidc/device", client_id: fake-oidc-client, insecure_loopback: true }
YAML
    cat >>"$CONFIG"
}
# begin arguments of login: it runs with nothing but standard input, output and error, no display and no terminal; what is to be opened is in OPEN
begin() {
    rm -f "$T/in"
    mkfifo "$T/in"
    setsid env -i PATH=/usr/bin:/bin HOME="$T" CREDENTIAL_BROKER_RUN="$RUN" "$CLI" login "$@" <"$T/in" >"$T/out" 2>"$T/err" &
    LOGIN=$!
    PIDS+=("$LOGIN")
    exec {TYPED}>"$T/in"
    eventually 10 grep -qE 'http' "$T/err" || die "no address is said: $(cat "$T/out" "$T/err")"
    OPEN=$(grep -o 'http[^ ]*' "$T/err" | head -n 1)
    CODE=$(sed -n 's/^and enter this code: //p' "$T/err")
}
finish() { # EXIT
    local code=0
    exec {TYPED}>&-
    timeout 30 tail -s 0.05 --pid="$LOGIN" -f /dev/null || die "the login does not end: $(cat "$T/out" "$T/err")"
    wait "$LOGIN" || code=$?
    is "$code" "$1" || { cat "$T/out" "$T/err" >&2; return 1; }
}
person() { curl -sS --max-time 10 --noproxy '*' "$@" || true; }
agree() { person "http://127.0.0.1:$PORT/device?user_code=$CODE&answer=${1:-allow}" >/dev/null; }
