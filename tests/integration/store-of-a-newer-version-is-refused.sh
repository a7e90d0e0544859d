#!/usr/bin/env bash
# A key header, manifest, record or log state written by a later version is not guessed at: the error names it as newer, nothing is
# released from it, and not one byte of it is changed.
. "$(dirname "$0")/lib.bash" || exit 1
. "$(dirname "$0")/faults.bash"
init_broker
"$CLI" enroll key --provider anthropic <"$LOGINS/anthropic.txt" >/dev/null 2>&1
consumer gateway key secret
released gateway key || die "no lease"
end_broker
good=$T/good
cp -a "$STATE" "$good"
sums() { (cd "$STATE" && find . -type f ! -path './log/*' ! -name lock -exec sha256sum {} + | sort -k 2); }
newer() { # FILE OFFSET: the version byte there, plus one
    "$PYTHON" -IS - "$1" "$2" <<'PY'
import sys
path, at = sys.argv[1], int(sys.argv[2])
with open(path, "r+b") as f:
    b = bytearray(f.read())
    b[at] += 1
    f.seek(0)
    f.write(b)
PY
}
fresh() { rm -rf "$STATE" && cp -a "$good" "$STATE"; }
before=$(sums)
try() { # FILE OFFSET PATTERN: what the status or the refusal of a lease says
    fresh
    newer "$STATE/$1" "$2"
    local sums_then said
    sums_then=$(sums)
    "$DAEMON" "${ARGS[@]}" >>"$T/log" 2>&1 &
    BROKER=$!
    PIDS+=("$BROKER")
    if eventually 2 "$CLI" status; then
        said="$("$CLI" status) $(lease gateway key)"
    else
        said=$(tail -n 5 "$T/log")
    fi
    grep -qE "$3" <<<"$said" || die "$1 of a newer version: $said"
    ! grep -q '"secret":"' <<<"$said" || die "released from a $1 of a newer version"
    kill "$BROKER" 2>/dev/null || true
    forget_broker
    [[ $(sums) == "$sums_then" ]] || die "$1 of a newer version: something was changed: $(diff <(echo "$sums_then") <(sums))"
}
ARGS=(--state "$STATE" --run "$RUN" --config "$CONFIG")
if ((EUID == 0)); then ARGS+=(--user "$SYSTEM_USER"); fi
newer='format 2.*(reads|knows) 1'
manifest=$(cd "$STATE" && echo manifest-*)
record=$(cd "$STATE" && find records -type f)
try keys 4 "$newer"
try keys 5 "suite 2|$newer"
try "$manifest" 11 "$newer"
try "$manifest" 32 "$newer"
try "$record" 4 "not the one the manifest names" # its hash comes first
try log/audit.state 4 "$newer"
# and with the right bytes back, all is as it was
fresh
[[ $(sums) == "$before" ]] || die "the copy is not the store"
start_broker
released gateway key || die "the untouched store does not open"
