#!/usr/bin/env bash
# Fails on calls that have no place here, on memset used to wipe, on plain comparisons of secrets, and on words that say "later".
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0
files=$(ls broker/*.c broker/*/*.[ch] include/broker/*.h)
check() { # pattern, why
    local hits
    hits=$(grep -nE "$1" $files | grep -vE 'lint: allow' || true)
    [[ -z $hits ]] || { printf '%s\n  -> %s\n' "$hits" "$2"; bad=1; }
}
check '\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|system|popen|alloca|tmpnam|mktemp|rand|srand|gmtime|localtime|ctime)\(' 'banned call'
check '\b(strncpy|strncat|sscanf|scanf)\(' 'banned call: use view_copy, a cursor or a parser'
check '\bgoto\b' 'no goto: AUTO() and early return'
check '\bmemset\([^;]*(secret|key|pass|token)' 'memset of something secret: wipe()'
check '\b(memcmp|strcmp)\([^;]*(->tag|\.tag|mac\b|master|slot_key|passphrase|->token|secret_bytes)' 'plain comparison near a secret: equal_ct()'
check '\b(TODO|FIXME|XXX)\b|not implemented|unimplemented' 'unfinished by its own words'
check '\bpthread_|#include <threads\.h>' 'no threads'
exit $bad
