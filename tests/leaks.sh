#!/usr/bin/env bash
# Prints the ASAN_OPTIONS for this machine: leaks are looked for where LeakSanitizer works (it needs ptrace, which some sandboxes forbid).
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
echo 'int main(void) { return 0; }' >"$dir/t.c"
"${CC:-gcc}" -fsanitize=address "$dir/t.c" -o "$dir/t"
if "$dir/t" 2>/dev/null; then
    echo detect_leaks=1
else
    echo "LeakSanitizer does not work here: leaks are not looked for" >&2
    echo detect_leaks=0
fi
