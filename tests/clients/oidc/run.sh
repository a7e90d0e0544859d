#!/usr/bin/env bash
# The broker logs in at a real OpenID provider whose refresh tokens rotate (npm: oidc-provider): authorization code with PKCE by a redirect to this
# host and by a pasted address, device code, client credentials; each login is renewed twice, so the token of the first renewal is the one that
# is kept; a declined one is said. Afterwards nothing that the provider gave out lies in a file, log, command line or environment.
# In a network namespace of its own; without root, or without npm, all counts as skipped.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
here=$root/tests/clients/oidc
modules=${OIDC:-${BUILD:-$root/build}/oidc}
leave() { echo "$1"; echo "0 passed, 0 failed, 46 skipped"; exit; }
((EUID == 0)) || leave "needs root, for a network namespace of its own"
if [[ ${1:-} != inside ]]; then
    command -v npm >/dev/null || leave "needs npm"
    if ! cmp -s "$here/package.json" "$modules/installed"; then
        mkdir -p "$modules"
        cp "$here/package.json" "$modules/package.json"
        (cd "$modules" && npm install --no-audit --no-fund --no-package-lock --ignore-scripts --loglevel=error >npm.log 2>&1) || { tail -n 20 "$modules/npm.log" >&2; exit 1; }
        cp "$here/package.json" "$modules/installed"
    fi
    exec unshare --net -- "${BASH_SOURCE[0]}" inside
fi
ip link set lo up
. "$root/tests/integration/promise.bash"
SCAN=$BUILD/fake/scan
[[ -x $SCAN ]] || die "tests/fake/scan.c is not built: make $SCAN"
NODE=$(echo "$BUILD"/clients/node_modules/node-linux-*/bin/node) # the clients' own, where it is installed; any of 20 or newer will do
[[ -x $NODE ]] || NODE=$(command -v node)
ISSUED=$T/issued TYPED=
: >"$ISSUED"
"$NODE" "$here/server.mjs" "$modules" "$ISSUED" >"$T/port" 2>"$T/idp.err" &
PIDS+=($!)
eventually 20 test -s "$T/port" || die "the OpenID provider did not come up: $(<"$T/idp.err")"
URL=http://127.0.0.1:$(<"$T/port")
cat >"$CONFIG" <<YAML
providers:
  - { name: corp, authorize_url: "$URL/auth", token_url: "$URL/token", device_url: "$URL/device/auth", client_id: broker, scopes: "openid offline_access email", insecure_loopback: true }
  - { name: service, token_url: "$URL/token", client_id: service, insecure_loopback: true }
YAML
init_broker
person() { python3 "$here/person.py" "$@" >"$T/page" 2>&1; }
begin() { # arguments of login: it runs, with standard input open; what is to be opened is in $T/err
    rm -f "$T/in"
    mkfifo "$T/in"
    env -i PATH=/usr/bin:/bin HOME="$T" CREDENTIAL_BROKER_RUN="$RUN" "$CLI" login "$@" <"$T/in" >"$T/out" 2>"$T/err" &
    LOGIN=$!
    PIDS+=("$LOGIN")
    exec {TYPED}>"$T/in"
    eventually 10 grep -q http "$T/err" || die "no address is said: $(cat "$T/out" "$T/err")"
    OPEN=$(grep -o 'http://[^ ]*' "$T/err" | tail -n 1)
}
finish() { # EXIT
    local code=0
    exec {TYPED}>&-
    timeout 20 tail -s 0.05 --pid="$LOGIN" -f /dev/null || die "the login does not end: $(cat "$T/out" "$T/err")"
    wait "$LOGIN" || code=$?
    is "$code" "$1" || { cat "$T/out" "$T/err" "$T/page" "$T/idp.err" >&2; return 1; }
}
detail() { "$CLI" show "$1" --json | python3 -c 'import json, sys
c = json.load(sys.stdin)
print(eval(sys.argv[1]))' "$2"; }
holder() { # NAME: the value that a consumer gets
    consumer gw "$1" access_token --ttl 5m
    "$CLI" token "$1" --deliver access_token --socket "$RUN/gw"
}
given() { # NAME: the last one that the provider gave out
    awk -v n="$1" '$1 == n { v = $2 } END { print v }' "$ISSUED"
}
count() { awk -v n="$1" '$1 == n' "$ISSUED" | wc -l; }
renews_twice() { # NAME
    local before
    before=$(given access_token)
    for n in 2 3; do
        holds "renewal $n of $1" "$CLI" refresh "$1"
        holds "it is version $n" is "$(detail "$1" 'c["version"]')" "$n"
        holds "a new access token is handed out" is "$(holder "$1")" "$(given access_token)"
    done
    holds "which is another one" refused is "$(given access_token)" "$before"
}

# authorization code with PKCE, brought by the browser
begin browser --provider corp --no-browser
person "$OPEN"
holds "a login by redirect, the browser said: $(<"$T/page")" finish 0
holds "the browser is told that it is done" grep -q "go back to the terminal" "$T/page"
holds "it can be renewed" is "$(detail browser 'c["refresh"]["renewable"]')" True
holds "whose login it is at which provider is known" is "$(detail browser 'c["detail"]["issuer"]')" corp
holds "a consumer gets the access token" is "$(holder browser)" "$(given access_token)"
renews_twice browser

# the browser is on another machine: its last address is pasted
begin pasted --provider corp --paste
address=$(curl -sS -o /dev/null -L -c "$T/jar" -b "$T/jar" -w '%{url_effective}' "$OPEN" 2>/dev/null || true)
echo "$address" >&"$TYPED"
holds "a login by a pasted address ($address)" finish 0
renews_twice pasted

# a short code, entered anywhere
begin device --provider corp --device
person "$OPEN"
holds "the page says so: $(<"$T/page")" grep -q "device: agreed" "$T/page"
holds "a login by a device code" finish 0
renews_twice device

# the client's own
holds "a login of the client itself" "$CLI" login svc --provider service --client-credentials --client-secret-file - <<<"FAKE-service-secret-0123456789"
renews_twice svc
holds "a wrong secret is said" expect_fail 4 "invalid_client" bash -c "echo wrong | '$CLI' login svc2 --provider service --client-credentials --client-secret-file -"

# declined; and replaced
begin declined --provider corp --no-browser
person "$OPEN" deny
holds "a declined login is said" finish 4
holds "with its reason" grep -q "access_denied" "$T/err"
holds "and nothing is enrolled" refused "$CLI" show declined
begin browser --replace --yes --no-browser
person "$OPEN"
holds "a login takes the place of the old one" finish 0
holds "under the next version" is "$(detail browser 'c["version"]')" 4

# nothing of it lies anywhere
holds "the provider gave out what is looked for" test "$(count code)" -ge 3 -a "$(count refresh_token)" -ge 9 -a "$(count device_code)" -ge 1
echo "secret FAKE-service-secret-0123456789" >>"$ISSUED"
for pid in $(all_pids); do tr '\0' '\n' <"/proc/$pid/cmdline"; tr '\0' '\n' <"/proc/$pid/environ"; done >"$T/env" 2>/dev/null
"$CLI" audit export >"$T/audit"
sort -u "$ISSUED" >"$T/needles"
holds "it is no more than the scanner takes" test "$(wc -l <"$T/needles")" -lt 64
if ! "$SCAN" "$STATE" "$RUN" "$T/log" "$T/audit" "$T/env" "$T/out" "$T/err" <"$T/needles" >"$T/found" 2>&1; then die "found: $(<"$T/found")"; fi
holds "the scanner sees" refused "$SCAN" "$ISSUED" <"$T/needles"
tally
