#!/usr/bin/env bash
# Runs test programs and scripts, prints what failed with its output, and one last line "N passed, N failed, N skipped".
#   tests/run.sh [-v] FILE...     a program prints its own closing line; a script exits 0 (passed), 77 (skipped) or else (failed)
# A test that hangs is ended after 300 s and counted as failed. TEST_RETRY=1: what fails is tried once more, and that is said.
set -uo pipefail
verbose=0
[[ ${1:-} == -v ]] && { verbose=1; shift; }
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

one() {
    local test=$1 start=$SECONDS status line
    local note=
    timeout -k 10 "${TEST_TIMEOUT:-300}" "$test" >"$log" 2>&1 </dev/null
    status=$?
    if ((status != 0 && status != 77 && ${TEST_RETRY:-0})); then
        # a machine that stalls for a second fails a test with a deadline: what fails twice has failed; what does not is told
        printf '%s failed at first:\n' "${test#build/}"
        grep -vE '^(ok|skip) ' "$log" | tail -n 20 | sed 's/^/    /'
        note=" (at the second try)"
        timeout -k 10 "${TEST_TIMEOUT:-300}" "$test" >"$log" 2>&1 </dev/null
        status=$?
    fi
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$' "$log" | tail -n 1)
    if [[ -n $line ]]; then
        local p f s
        read -r p f s < <(sed -E 's/[^0-9]+/ /g' <<<"$line")
        passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + ${s:-0}))
        # a program that counted no failure and still ended badly (a leak, a crash at exit) has failed
        ((status == 0 || f > 0)) || { failed=$((failed + 1)); line+=" (exit $status)"; }
    elif ((status == 0)); then passed=$((passed + 1)); line=passed
    elif ((status == 77)); then skipped=$((skipped + 1)); line="skipped: $(tail -n 1 "$log")"
    else failed=$((failed + 1)); line="FAILED (exit $status)"; fi
    printf '%-58s %s  (%ds)\n' "${test#build/}" "$line$note" $((SECONDS - start))
    if ((verbose)) || ((status != 0 && status != 77)); then
        grep -vE '^(ok|skip) ' "$log" | tail -n 60 | sed 's/^/    /'
    fi
}
for test in "$@"; do one "$test"; done
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0 && passed > 0))
