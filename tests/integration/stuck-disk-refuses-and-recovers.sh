#!/usr/bin/env bash
# A disk that neither writes nor fails: leases and changes are refused within a second, and nothing hangs; what needs no disk is answered at
# once meanwhile; when it moves again so does the broker, by itself, and what was refused was taken back. The audit writer is stopped
# (everybody), and an ext4 on a loop device is frozen (root).
. "$(dirname "$0")/lib.bash" || exit 1
. "$(dirname "$0")/faults.bash"
LOOP='' FROZEN=''
finish() {
    local code=$?
    set +e
    [[ -z $FROZEN ]] || fsfreeze -u "$STATE" || true
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
    consumer other key secret --ttl 1h
}
within() { # MS CMD…: its exit status, and not later
    local begun took code=0
    begun=$(now_ms)
    "${@:2}" >"$T/out" 2>&1 || code=$?
    took=$(($(now_ms) - begun))
    ((took <= $1)) || die "${*:2} took $took ms"
    return "$code"
}
refuses() { # WHAT: the first waits for the disk, the later ones need not
    local i many=()
    for i in 1 2 3; do refused gateway key; done
    for i in 1 2 3 4 5 6; do
        (refused other key) &
        many+=($!)
    done
    for i in "${many[@]}"; do wait "$i" || die "$1: one of many at once was not refused in time"; done
    LATEST_MS=400 refused gateway key
    within 400 call gateway GET /v1/whoami
    grep -q '^200' "$T/out" || die "$1: whoami: $(cat "$T/out")"
    within 400 call gateway GET /v1/leases
    within 400 "$CLI" list
    within 400 "$CLI" status || die "$1: status: $(cat "$T/out")"
    grep -qE 'audit +.*stuck' "$T/out" || die "$1: status does not tell: $(cat "$T/out")"
    ! within 1500 "$CLI" replace key --yes <<<other || die "$1: a change was acknowledged"
    ! within 1500 "$CLI" enroll second --provider generic <<<other || die "$1: an enrolment was acknowledged"
    ! within 1500 "$CLI" consumer add third || die "$1: a consumer was acknowledged"
}
serves_again() { # WHAT
    local issued undone
    eventually 3 released gateway key || die "$1: service does not come back: $(lease gateway key)"
    [[ $(lease gateway key | field secret) == the-value ]] || die "$1: a refused change changed the credential"
    ISSUED=$((ISSUED + 2))
    [[ $("$CLI" list --json | "$PYTHON" -IS -c 'import json,sys; print(len(json.load(sys.stdin)["credentials"]))') == 1 ]] || die "$1: a refused enrolment is there"
    sleep 0.3
    issued=$(cat "$STATE"/log/audit-*.jsonl | grep -c '"event":"lease.issue","outcome":"ok"')
    undone=$(cat "$STATE"/log/audit-*.jsonl | grep -c '"event":"lease.undo"' || true)
    ((issued - undone == ISSUED)) || die "$1: $ISSUED leases were given, $issued recorded, $undone taken back"
}

begin
for _ in 1 2; do
    kill -STOP "$(role_pid audit)"
    refuses "a stopped writer"
    kill -CONT "$(role_pid audit)"
    serves_again "a stopped writer"
done
# a writer that dies is replaced, and what it had not written is written
kill -KILL "$(role_pid audit)"
eventually 5 released gateway key || die "a killed writer is not replaced"
end_broker
verify_log
((EUID == 0)) || { echo "a file system to freeze needs root: left out"; exit 0; }

rm -rf "$STATE"
mkdir -m 700 "$STATE"
truncate -s 16M "$T/disk"
if ! mkfs.ext4 -q -F -J size=1 "$T/disk" 2>/dev/null || ! LOOP=$(losetup -f --show "$T/disk" 2>/dev/null) || ! mount "$LOOP" "$STATE"; then
    echo "no loop device: left out"
    exit 0
fi
chown "$SYSTEM_USER:" "$STATE"
chmod 700 "$STATE"
rmdir "$STATE/lost+found"
ISSUED=0
begin
for _ in 1 2; do
    fsfreeze -f "$STATE"
    FROZEN=1
    refuses "a frozen disk"
    fsfreeze -u "$STATE"
    FROZEN=
    serves_again "a frozen disk"
done
end_broker
verify_log
