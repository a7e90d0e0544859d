#!/usr/bin/env bash
# Kills a run of store operations (store_ops.c) at every system call, and fails every call it makes with each error, one at a time;
# after each the store is opened again: nothing may be torn, nothing acknowledged may be lost. The controls must be caught: one writes
# in place, one removes the old record before the commit.
#   kill_points.sh [--every N] [--errors-every N]     every Nth point only (a dose); default 1 and 7
set -euo pipefail
cd "$(dirname "$0")/../.."

every=1 errors_every=7
while [ $# -gt 0 ]; do
    case $1 in
        --every) every=$2; shift 2 ;;
        --errors-every) errors_every=$2; shift 2 ;;
        *) echo "usage: $0 [--every N] [--errors-every N]" >&2; exit 2 ;;
    esac
done
command -v strace >/dev/null || { echo "strace is not installed"; exit 77; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
B=${B:-build}
libs=()
for l in vault keysource store provider crypto base; do libs+=("$B/lib$l.a"); done

build() { # name flags…
    local out=$1; shift
    ${CC:-gcc} -std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror "$@" -Iinclude -Ibroker tests/crash/store_ops.c \
        -Wl,--start-group "${libs[@]}" -Wl,--end-group -lsodium -ljansson -lcyaml -lyaml -o "$out"
}

# One line per system call after the store began to be opened: its name and how often it was called until then.
points() { # trace
    awk '{ sub(/^[0-9]+ +/, ""); name = $0; sub(/\(.*/, "", name); if (name !~ /^[a-z0-9_]+$/) next; n[name]++
           if (begun) print name, n[name]; if ($0 ~ /^write\(1, "open 0/) begun = 1 }' "$1"
}

fresh() { rm -rf "$work/s"; cp -a "$work/initial" "$work/s"; }
acked() { sed -n 's/^ack //p' "$work/out" | tail -n 1; }

prepare() { # program
    rm -rf "$work/initial"
    "$1" init "$work/initial"
    fresh
    strace -f -o "$work/trace" "$1" run "$work/s" >"$work/out"
    "$1" check "$work/s" "$(acked)"
    points "$work/trace" >"$work/points"
}

# Injects into one call of one run, then checks. Says what went wrong.
attempt() { # program mode inject
    fresh
    local status=0 n
    { strace -f -o /dev/null -e "inject=$3" "$1" "$2" "$work/s" >"$work/out" 2>"$work/err" || status=$?; } 2>/dev/null
    n=$(acked)
    if [ "$2" = retry ] && [ "$status" -ne 0 ]; then
        echo "  $3 ($2): ended with $status: $(tail -n 1 "$work/err")"
        return 1
    fi
    "$1" check "$work/s" "${n:-0}" 2>"$work/err" || { echo "  $3 ($2), ${n:-0} acknowledged: $(tail -n 1 "$work/err")"; return 1; }
}

passed=0 failed=0
count() { if attempt "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi; }

kill_all() { # program
    local i=0 name k
    while read -r name k <&3; do
        i=$((i + 1))
        [ $((i % every)) -eq 0 ] || continue
        count "$1" run "$name:signal=SIGKILL:when=$k"
    done 3<"$work/points"
}

# The errors that a call can really give; each once in a run that stops there, and once in one that goes on.
errors_of() {
    case $1 in
        write | pwrite64) echo EIO ENOSPC EDQUOT EFBIG EINTR ;;
        fsync | fdatasync) echo EIO ENOSPC EDQUOT ;;
        renameat | renameat2 | mkdirat | unlinkat) echo EIO ENOSPC EDQUOT EROFS ENOMEM ;;
        openat) echo EIO ENOSPC EMFILE ENFILE ENOMEM EROFS ;;
        pread64 | read) echo EIO EINTR ;;
        ftruncate | fchmod | newfstatat | faccessat2) echo EIO ;;
        flock) echo ENOLCK ;;
    esac
}

error_all() { # program
    local i=0 name k e mode
    while read -r name k <&3; do
        for e in $(errors_of "$name"); do
            for mode in run retry; do
                i=$((i + 1))
                [ $((i % errors_every)) -eq 0 ] || continue
                count "$1" "$mode" "$name:error=$e:when=$k"
            done
        done
    done 3<"$work/points"
}

report() { echo "$1: $(wc -l <"$work/points") calls, $passed passed, $failed failed"; }

build "$work/real"
prepare "$work/real"
kill_all "$work/real"
report "kill points"
kills=$passed
error_all "$work/real"
report "with injected errors"
good=$passed bad=$failed

# the controls must be caught; a dose of them is enough, if one point in it is
for control in CONTROL_IN_PLACE CONTROL_EARLY_REMOVE; do
    build "$work/control" "-D$control"
    prepare "$work/control"
    grep -E '^(write|fsync|fdatasync|unlinkat) ' "$work/points" >"$work/some"
    awk 'NR % 2 == 0' "$work/some" >"$work/points"
    passed=0 failed=0 every=1
    kill_all "$work/control" >"$work/control.log"
    report "$control (must fail)"
    if [ "$failed" -eq 0 ]; then
        echo "  $control was not caught: this test proves nothing"
        bad=$((bad + 1))
    fi
done
echo "$kills kill points, $((good + bad - kills)) errors"
echo "$good passed, $bad failed, 0 skipped"
[ "$bad" -eq 0 ]
