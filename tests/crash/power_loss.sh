#!/usr/bin/env bash
# Power cut at random instants: store operations run on ext4 on a loop device over a reflink image, and a reflink copy of the image is
# the disk as it was when the power went. Each copy is mounted (its journal replayed) and opened: nothing acknowledged
# before the cut may be lost. The same without fsync must lose something, or the rig proves nothing. Needs root.
#   power_loss.sh [--cuts N]     default 20
set -euo pipefail
cd "$(dirname "$0")/../.."
cuts=20
[ "${1:-}" != --cuts ] || cuts=$2
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
for tool in mkfs.xfs mkfs.ext4 losetup; do
    command -v "$tool" >/dev/null || { echo "$tool is not installed"; exit 77; }
done

work=$(mktemp -d)
writer=''
loops=()
cleanup() {
    [ -z "$writer" ] || kill -KILL "$writer" 2>/dev/null || true
    for m in cut disk host; do umount "$work/$m" 2>/dev/null || true; done
    for l in "${loops[@]}"; do losetup -d "$l" 2>/dev/null || true; done
    rm -rf "$work"
}
trap cleanup EXIT

mkdir "$work/host" "$work/disk" "$work/cut"
truncate -s 800M "$work/host.img"
mkfs.xfs -q -m reflink=1 "$work/host.img"
mount -o loop "$work/host.img" "$work/host" 2>/dev/null || { echo "no loop devices here"; exit 77; }
truncate -s 64M "$work/host/disk.img"

build() { # output flags…
    local out=$1; shift
    ${CC:-gcc} -std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror "$@" -Iinclude -Ibroker tests/crash/store_ops.c \
        broker/store/*.c broker/vault/{credential,credential_keys,manifest,index}.c broker/base/file.c \
        -Wl,--start-group "${B:-build}"/lib{keysource,provider,crypto,base}.a -Wl,--end-group -lsodium -ljansson -lcyaml -lyaml -o "$out"
}

# One cut of the disk under the running writer; says what was lost.
cut() { # program
    local acked loop status=0
    acked=$(sed -n 's/^ack //p' "$work/acks" | tail -n 1)
    cp --reflink=always "$work/host/disk.img" "$work/host/cut.img"
    loop=$(losetup -f --show "$work/host/cut.img")
    loops+=("$loop")
    mount "$loop" "$work/cut"
    "$1" least "$work/cut/s" "${acked:-0}" 2>"$work/err" || status=1
    [ "$status" -eq 0 ] || echo "  after ${acked:-0} acknowledged: $(tail -n 1 "$work/err")"
    umount "$work/cut"
    losetup -d "$loop"
    unset 'loops[-1]'
    return "$status"
}

passed=0 failed=0
run() { # program
    local loop i
    passed=0 failed=0
    mkfs.ext4 -q -F -J size=4 "$work/host/disk.img"
    loop=$(losetup -f --show "$work/host/disk.img")
    loops+=("$loop")
    mount -o commit=1 "$loop" "$work/disk"
    "$1" init "$work/disk/s"
    sync -f "$work/disk"
    "$1" forever "$work/disk/s" >"$work/acks" &
    writer=$!
    for ((i = 0; i < cuts; i++)); do
        sleep "0.$((RANDOM % 5))$((RANDOM % 10))"
        if cut "$1"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    done
    kill -KILL "$writer"
    { wait "$writer" || true; } 2>/dev/null
    writer=''
    umount "$work/disk"
    losetup -d "$loop"
    loops=()
}

build "$work/real"
run "$work/real"
echo "power cuts: $passed passed, $failed failed, $(grep -c ack "$work/acks") writes"
good=$passed bad=$failed

build "$work/control" -DCONTROL_NO_FSYNC -Dfsync=control_no_sync -Dfdatasync=control_no_sync
run "$work/control" >"$work/control.log"
echo "without fsync (must fail): $passed passed, $failed failed"
if [ "$failed" -eq 0 ]; then
    echo "  the control was not caught: this test proves nothing"
    bad=$((bad + 1))
fi
echo "$good passed, $bad failed, 0 skipped"
[ "$bad" -eq 0 ]
