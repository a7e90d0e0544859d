# For the tests that kill a broker, fill its disk or stop it: what they share beyond lib.bash.
# shellcheck shell=bash
PYTHON=/usr/bin/python3 # a version manager's shim takes longer than the request
[[ -x $PYTHON ]] || PYTHON=$(command -v python3)
call() { "$PYTHON" -IS "$ROOT/tests/crash/changes.py" "$RUN" - ask "$@"; } # as in lib.bash, in a quarter of the time
field() { "$PYTHON" -IS -c 'import json,sys; v=json.loads(sys.stdin.read().split(" ",1)[1])[sys.argv[1]]; print("" if v is None else v)' "$1"; }
# tests/crash/changes.py on this test's broker
changes() { "$PYTHON" -IS "$ROOT/tests/crash/changes.py" "$RUN" "$T/model" "$@"; }
# changes_in_turns OPS: one process for all turns; then in each turn begin_changes, a fault, end_changes
changes_in_turns() {
    coproc CHANGES { exec "$PYTHON" -IS "$ROOT/tests/crash/changes.py" "$RUN" "$T/model" turns "$1" 2>&1; }
    PIDS+=("$CHANGES_PID")
}
expect_changes() {
    local line=
    read -r -t 30 line <&"${CHANGES[0]}" || true
    [[ $line == "$1" ]] || die "${TURN:-}: ${line:-the changes did not come to \"$1\"}"
}
begin_changes() { # what the last turn left is checked first
    echo >&"${CHANGES[1]}"
    expect_changes begun
}
end_changes() { expect_changes over; } # the broker is gone
parts() { pgrep -P "$BROKER" || true; } # the pids of every role
role_pid() { pgrep -P "$BROKER" -f -- "--role=$1"; }
# an ended broker's number may be somebody else's soon
forget_broker() {
    local kept=() pid
    { wait "$BROKER" || true; } 2>/dev/null
    for pid in "${PIDS[@]}"; do [[ $pid == "$BROKER" ]] || kept+=("$pid"); done
    PIDS=("${kept[@]}")
}
kill_vault() { # the supervisor ends the rest
    { kill -KILL "$(role_pid vault)" && forget_broker; } 2>/dev/null
}
kill_all() {
    local all
    mapfile -t all < <(parts)
    { kill -KILL "${all[@]}" "$BROKER" && forget_broker; } 2>/dev/null
    # nobody waits for the orphans, and the next vault wants their lock
    eventually 5 flock -n "$STATE/lock" true || die "a killed vault keeps its lock"
}
end_broker() { # asked politely
    kill "$BROKER"
    forget_broker
}
verify_log() { # [directory]
    "$CLI" audit verify --dir "${1:-$STATE/log}" --key "${2:-$STATE/log/auditor.key}" >"$T/verify" 2>&1 || die "the log does not verify: $(cat "$T/verify")"
}
state_is() { "$CLI" status --json 2>/dev/null | grep -q "\"state\":\"$1\""; }
# lease CONSUMER CREDENTIAL [more members of the request]: prints "STATUS BODY"
lease() { call "$1" POST /v1/leases "{\"credential\":\"$2\"${3:+,$3}}"; }
released() { [[ $(lease "$@") == 20[01]* ]]; }
now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }
# refused CONSUMER CREDENTIAL: within a second, with audit_unavailable or no_space, and without a secret
refused() {
    local out begun took
    begun=$(now_ms)
    out=$(lease "$1" "$2")
    took=$(($(now_ms) - begun))
    [[ $out == 50[37]* ]] || die "not refused: $out"
    grep -qE '"error":"(audit_unavailable|no_space)"' <<<"$out" || die "refused as something else: $out"
    ! grep -q '"secret"\|"token"' <<<"$out" || die "a refusal with a secret in it: $out"
    ((took <= ${LATEST_MS:-1200})) || die "refused after $took ms only"
}
