#!/usr/bin/env bash
# Every source has a unit test of the same name beside it in tests/unit, or a line in tests/lint/beside.exempt with the test that covers it.
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0
for src in broker/*/*.c; do
    rel=${src#broker/}
    [[ -f tests/unit/$rel ]] && continue
    line=$(grep -E "^${rel}[[:space:]]" tests/lint/beside.exempt 2>/dev/null || true)
    [[ -n $line ]] || { echo "$src has no tests/unit/$rel"; bad=1; continue; }
    for t in ${line#* }; do
        [[ -e $t ]] || { echo "$src: the test that should cover it is missing: $t"; bad=1; }
    done
done
for t in tests/unit/*/*.c tests/contract/*.c; do
    grep -qE 'CHECK(_OK|_INT|_STR)?\(' "$t" || { echo "$t asserts nothing"; bad=1; }
done
exit $bad
