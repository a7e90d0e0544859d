#!/usr/bin/env bash
# Refresh tokens, the old and each new one, and the provider's answers are nowhere but sealed: not in state, run, logs, journal, argv, environment,
# or in the memory of any process but the one that uses it just then; also not while a refresh hangs in the middle, nor after a crash.
. "$(dirname "$0")/refresh.bash"
SCAN=$BUILD/fake/scan
[[ -x $SCAN ]] || die "tests/fake/scan.c is not built: make $SCAN"
start_idp --life 3600 --grace 60
idp_config </dev/null
init_broker
enroll_login 3600
consumer gateway claude access_token,file,proxy
echo "refresh ${REFRESH#sk-ant-ort01-}" >"$T/needles" # every later one begins with it
look() { # [PIDS]: 0: clean; 1: found; 2: a process ended while it was looked at
    local pid memory=() code=0
    : >"$T/seen.none"
    for pid in ${1-$(all_pids)}; do
        # brokerd-oauth has the one it was given, while it works; the vault has none outside of its secret memory
        if ((EUID == 0)) && ! grep -aq -- --role=oauth "/proc/$pid/cmdline" 2>/dev/null; then memory+=(-p "$pid"); fi
        cat "/proc/$pid/cmdline" >"$T/seen.$pid.cmdline" 2>/dev/null || true
        cat "/proc/$pid/environ" >"$T/seen.$pid.environ" 2>/dev/null || true
    done
    "$SCAN" "${memory[@]}" "$STATE" "$RUN" "$T/log" "$T"/seen.* "$T"/out.* <"$T/needles" >"$T/found" 2>"$T/blind" || code=$?
    rm -f "$T"/seen.*
    return "$code"
}
clean() { # WHEN [PIDS]: the files and what may be seen of the processes
    local code
    for _ in 1 2 3 4 5; do
        code=0
        look "${@:2}" || code=$?
        [[ $code == 2 ]] || break
    done
    ((code == 0)) || die "$1: $(cat "$T/found" "$T/blind")"
    seen=$((seen + 1))
}
: >"$T/out.0"
clean "enrolled"
"$CLI" refresh claude >"$T/out.refresh"
"$CLI" refresh claude --json >"$T/out.refresh.json"
for how in access_token file proxy; do lease gateway claude $how >>"$T/out.leases"; done
"$CLI" show claude --json >"$T/out.show"
"$CLI" status --json >"$T/out.status"
"$CLI" audit export >"$T/out.audit"
"$CLI" metrics >"$T/out.metrics"
clean "after refreshes"
holds "two refreshes were made" is "$(refreshes 200)" 2
idp token=hang
"$CLI" refresh claude >"$T/out.hung" 2>&1 &
PIDS+=($!)
eventually 5 shows claude 'c["refresh"]["running"]' True || die "no refresh began"
holds "the journal is there" test -n "$(find "$STATE/refresh" -name '*.refresh')"
clean "while one hangs, with its journal"
crash_broker
: >"$T/control"
clean "after a crash in the middle" ""
start_broker
renewed() { shows claude 'c["version"]' 4; }
eventually 20 renewed || die "it was not taken up: $("$CLI" show claude --json)"
idp token=garbage
expect_fail 3 'cannot be understood' "$CLI" refresh claude
clean "after an answer that cannot be understood, which is kept"
idp token=lose
expect_fail 21 . "$CLI" refresh claude
clean "after an answer that was lost"
cat "$T/found"
# the control: the scanner finds it where it is
login 10 >"$T/login.json"
if "$SCAN" "$T/login.json" <"$T/needles" >"$T/found"; then die "the scanner is blind"; fi
seen=$((seen + 1))
tally
