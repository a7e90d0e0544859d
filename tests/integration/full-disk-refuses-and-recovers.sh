#!/usr/bin/env bash
# No record, no release: on a full disk leases are refused within a second and changes change nothing, while what needs no disk is still
# answered; with room again service comes back by itself, and the log tells a lease for each release. As root on a small tmpfs of its own
# and on an ext4 that turned read-only; for ordinary users, and root too, with RLIMIT_FSIZE set on the running processes.
. "$(dirname "$0")/lib.bash" || exit 1
. "$(dirname "$0")/faults.bash"
LOOP=
finish() {
    local code=$?
    set +e
    for pid in "${PIDS[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    { wait || true; } 2>/dev/null
    umount "$STATE" 2>/dev/null || true
    [[ -z $LOOP ]] || losetup -d "$LOOP" 2>/dev/null || true
    (exit "$code")
    cleanup
}
trap finish EXIT
ISSUED=0
begin() {
    init_broker
    "$CLI" enroll key --provider generic <<<the-value >/dev/null 2>&1
    consumer gateway key secret --ttl 1h
    take_leases 3
}
take_leases() { # each must be released, and is counted
    local i
    for ((i = 0; i < $1; i++)); do released gateway key || die "no lease with room on the disk"; ISSUED=$((ISSUED + 1)); done
}
until_refused() { # the last page of a file has room for a few lines yet
    local i
    for ((i = 0; i < 60; i++)); do
        released gateway key || return 0
        ISSUED=$((ISSUED + 1))
    done
    die "$1: it never refuses"
}
store_sum() { (cd "$STATE" && find . -type f ! -path './log/*' ! -name lock -exec sha256sum {} + | sort -k 2 | sha256sum); }
refuses() { # WHAT
    local i before out
    until_refused "$1"
    for ((i = 0; i < 3; i++)); do refused gateway key; done
    before=$(store_sum)
    [[ $(call gateway GET /v1/whoami) == 200* ]] || die "$1: whoami is not answered"
    "$CLI" status | grep -qE 'audit +the audit log cannot be written' || die "$1: status does not tell: $("$CLI" status)"
    for out in "$("$CLI" enroll second --provider generic <<<other 2>&1)" "$("$CLI" replace key --yes <<<other 2>&1)" \
        "$("$CLI" remove key --yes 2>&1)" "$("$CLI" grant gateway second --deliver secret 2>&1)"; do
        grep -qE 'audit|space' <<<"$out" || die "$1: a change was not refused: $out"
    done
    [[ $(store_sum) == "$before" ]] || die "$1: a refused change changed something"
}
serves_again() { # WHAT
    eventually 3 released gateway key || die "$1: service does not come back: $(lease gateway key)"
    ISSUED=$((ISSUED + 1))
    [[ $(lease gateway key | field secret) == the-value ]] || die "$1: the credential is not what it was"
    ISSUED=$((ISSUED + 1))
    "$CLI" enroll "after-$RANDOM$RANDOM" --provider generic <<<other >/dev/null 2>&1 || die "$1: nothing can be enrolled"
}
adds_up() { # a lease in the log, and in force, for each that was given; a refused one was taken back
    local issued undone live
    sleep 1.3 # the end of a refused lease is kept by the journal's next generation, within a second of recovery
    end_broker
    verify_log
    issued=$(cat "$STATE"/log/audit-*.jsonl | sort -u | grep -c '"event":"lease.issue","outcome":"ok"')
    undone=$(cat "$STATE"/log/audit-*.jsonl | sort -u | grep -c '"event":"lease.undo"' || true)
    ((issued - undone == ISSUED)) || die "$1: $ISSUED leases were given, $issued recorded, $undone taken back"
    start_broker
    live=$("$CLI" status --json | "$PYTHON" -IS -c 'import json,sys; print(json.load(sys.stdin)["leases"])')
    ((live == ISSUED)) || die "$1: $ISSUED leases were given, $live are in force"
    end_broker
    rm -rf "${STATE:?}"/*
    ISSUED=0
}
files_limit() { # N or unlimited, on the vault and its writer
    local as=() role
    if ((EUID == 0)); then as=(setpriv --reuid "$SYSTEM_USER" --regid "$(id -g "$SYSTEM_USER")" --clear-groups); fi
    for role in audit vault; do "${as[@]}" prlimit --pid "$(role_pid "$role")" --fsize="$1": || return 1; done
}

mkdir -m 700 "$STATE"
if ((EUID == 0)); then chown "$SYSTEM_USER:" "$STATE"; fi
begin
if ! files_limit 0; then
    echo "prlimit does not work here: left out"
else
    refuses "no file may grow"
    files_limit unlimited
    serves_again "no file may grow"
fi
adds_up "no file may grow"

if ((EUID != 0)) || ! mount -t tmpfs -o "size=400k,mode=700,uid=$(id -u $SYSTEM_USER),gid=$(id -g $SYSTEM_USER)" tmpfs "$STATE"; then
    echo "a file system of its own needs root: left out"
    exit 0
fi
begin
for _ in 1 2; do
    head -c 1M /dev/zero >"$STATE/filler" 2>/dev/null || true
    refuses "a full disk"
    rm "$STATE/filler"
    serves_again "a full disk"
done
adds_up "a full disk"
umount "$STATE"

# an ext4 that met an error turns read-only under everybody's hands
truncate -s 16M "$T/disk"
if ! mkfs.ext4 -q -F -J size=1 "$T/disk" 2>/dev/null || ! LOOP=$(losetup -f --show "$T/disk" 2>/dev/null) ||
    ! mount -o errors=remount-ro "$LOOP" "$STATE" || ! [[ -w /sys/fs/ext4/${LOOP##*/}/trigger_fs_error ]]; then
    echo "no loop device, or no errors of ext4 on demand: left out"
    exit 0
fi
chown "$SYSTEM_USER:" "$STATE"
chmod 700 "$STATE"
rmdir "$STATE/lost+found"
begin
echo "a test" >"/sys/fs/ext4/${LOOP##*/}/trigger_fs_error"
refuses "a read-only disk"
kill_all # such a file system comes back by a new mount only
umount "$STATE"
e2fsck -fy "$LOOP" >/dev/null 2>&1 || true
mount "$LOOP" "$STATE"
start_broker
state_is ready || die "after a read-only disk: $("$CLI" status | head -n 1)"
serves_again "a read-only disk"
end_broker
verify_log
