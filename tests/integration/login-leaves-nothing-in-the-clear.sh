#!/usr/bin/env bash
# A login that the broker makes: Claude's pasted code, Codex's redirect to this host and its device grant, Gemini's redirect, another's device grant and a client's own. It
# works with standard input and output alone. Neither code, verifier, device code nor token is afterwards in a file, the log, the audit, a command
# line or an environment, nor while it runs; the login is served and renewed.
. "$(dirname "$0")/login.bash"
SCAN=$BUILD/fake/scan
[[ -x $SCAN ]] || die "tests/fake/scan.c is not built: make $SCAN"
free_port() { ! (exec 3<>/dev/tcp/127.0.0.1/1455) 2>/dev/null; }
start_idp --issued "$ISSUED"
login_config </dev/null
init_broker
scan() { # WHEN: everything that the provider has given out so far
    local pid
    for pid in $(all_pids) "$LOGIN"; do
        tr '\0' '\n' <"/proc/$pid/cmdline"
        tr '\0' '\n' <"/proc/$pid/environ"
    done >"$T/env" 2>/dev/null || true
    "$CLI" audit export >"$T/audit"
    sed "s/ sk-ant-o[ar]t01-/ /; s/ rt_/ /" "$ISSUED" | sort -u >"$T/needles" # our tokens begin as theirs do
    "$SCAN" "$STATE" "$RUN" "$CONFIG" "$T/log" "$T/audit" "$T/env" "$T/out" "$T/err" <"$T/needles" >"$T/found" 2>&1 || die "$1: $(<"$T/found")"
    seen=$((seen + 1))
}
given() { awk -v n="$1" '$1 == n { v = $2 } END { print v }' "$ISSUED"; }
served() { # NAME
    consumer gw "$1" access_token --ttl 5m
    is "$("$CLI" token "$1" --deliver access_token --socket "$RUN/gw")" "$(given access)"
}

# Claude: the page shows code#state
begin claude --provider claude
paste=$(person "$OPEN")
holds "the page shows a code: $paste" test "${#paste}" -gt 80
scan "Claude's code is not used yet"
echo "$paste" >&"$TYPED"
holds "Claude's login" finish 0
holds "it is said" grep -q "claude: logged in, version 1, sealed" "$T/out"
holds "the code is not echoed" refused grep -qF "${paste%%#*}" "$T/out" "$T/err"
scan "Claude's login"
holds "its token is served" served claude
holds "it is renewed" "$CLI" refresh claude
holds "once, after the exchange" is "$(refreshes 200)" 2
holds "the log says who logged in" audit_has event=login.begin credential=claude source=page
holds "and how it ended" audit_has event=login.end credential=claude outcome=ok version=1
holds "and what was enrolled" audit_has event=credential.enroll credential=claude source=login
holds "a code is good for one login" expect_fail 2 "standard input" "$CLI" login again --provider claude

# Codex: the browser is sent to port 1455 of this host
if free_port; then
    begin codex --provider codex
    person -o "$T/page" -L "$OPEN"
    holds "Codex's login by redirect; the page: $(<"$T/page")" finish 0
    holds "the browser is told" grep -q "go back to the terminal" "$T/page"
    holds "nobody listens there any more" free_port
    scan "Codex's login by redirect"
    holds "its token is served" served codex
    # the same, where the browser is elsewhere
    begin codex --replace --yes --paste
    holds "nobody listens" free_port
    address=$(person -o /dev/null -w '%{redirect_url}' "$OPEN")
    echo "$address" >&"$TYPED"
    holds "Codex's login by a pasted address" finish 0
    scan "Codex's login by a pasted address"
else
    leave_out 7 "port 1455 is taken"
fi

# Codex: its own device grant
begin codex2 --provider codex --device
holds "the page and a code are said" is "$OPEN" https://auth.openai.com/codex/device
agree
holds "Codex's login by a device code" finish 0
scan "Codex's login by a device code"
holds "its token is served" served codex2
holds "it is renewed" "$CLI" refresh codex2
holds "whose account it is was read from its id_token" is "$(show codex2 'c["detail"]["account"][-2:]')" 01

# Gemini: a redirect to any port; its refresh token stays
begin gemini --provider gemini
person -o "$T/page" -L "$OPEN"
holds "Gemini's login by redirect; the page: $(<"$T/page")" finish 0
scan "Gemini's login"
holds "its token is served" served gemini
for _ in 2 3; do holds "it is renewed" "$CLI" refresh gemini; done
holds "and served" served gemini

# RFC 8628, with its answers on the way; the first poll comes after one second, slow_down adds five
idp "poll=authorization_pending,503,slow_down"
begin corp --provider corp --device --origin https://api.example --env CORP_TOKEN
agree
holds "a device code of one's own provider" finish 0
holds "it is sealed with where it may go" is "$(show corp 'c["detail"]["origin"] + c["detail"]["issuer"]')" https://api.examplecorp
scan "a device code"
holds "its token is served" served corp

# a client of its own
echo FAKE-client-secret-0123456789 >"$T/secret"
holds "a client's own login" "$CLI" login service --provider corp --client-credentials --client-secret-file "$T/secret"
rm "$T/secret"
echo "secret FAKE-client-secret-0123456789" >>"$ISSUED"
holds "it is renewed by its secret" "$CLI" refresh service
scan "a client's own login"

# after a restart too; and the scanner is not blind
stop_broker
start_broker
holds "a login outlives the broker" served service
scan "after a restart"
holds "the scanner sees" refused "$SCAN" "$ISSUED" <"$T/needles"
tally
