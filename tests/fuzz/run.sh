#!/usr/bin/env bash
# Runs libFuzzer targets for T seconds each over their committed corpus; a new finding fails and its input is kept in build/fuzz/.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
bin=$1
shift
failed=0
for target in "$@"; do
    corpus=build/fuzz/corpus/$target
    mkdir -p "$corpus"
    log=build/fuzz/$target.log
    if "$bin/$target" -max_total_time="${T:-60}" -max_len=8192 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/$target-" "$corpus" "tests/fuzz/corpus/$target" >"$log" 2>&1; then
        printf '%-20s %s executions, nothing found\n' "$target" "$(sed -n 's/^stat::number_of_executed_units: //p' "$log")"
    else
        printf '%-20s FAILED\n' "$target"
        tail -n 30 "$log"
        failed=$((failed + 1))
    fi
done
echo "$(($# - failed)) passed, $failed failed, 0 skipped"
((failed == 0))
