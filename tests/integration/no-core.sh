#!/usr/bin/env bash
# A crash of a process of the broker leaves no core: neither a file, nor a pipe to a collector. The vault's crash ends all, and the next
# start has every lease. The control dumps core in the same place under the same uid, so that a file would have been seen.
. "$(dirname "$0")/promise.bash" || exit 1
ulimit -c unlimited 2>/dev/null || true
init_broker
enroll_key
consumer gateway key secret
lease=$(call gateway POST /v1/leases '{"credential":"key"}')
token=$(field token <<<"$lease")
for pid in $(all_pids); do
    holds "$(<"/proc/$pid/comm") may dump: $(grep core "/proc/$pid/limits")" grep -qE '^Max core file size +0 +0 ' "/proc/$pid/limits"
    # where the kernel would dump through a pipe the limit counts for nothing, and this for all: not dumpable
    holds "$(<"/proc/$pid/comm") is dumpable" is "$(stat -c %u "/proc/$pid/environ")" 0
done

restarted() { [[ $(worker_pid "$1") != "$2" ]]; }
# ---- a worker: its wait status in the log has no core bit (0x80)
for role in api audit; do
    pid=$(worker_pid $role)
    kill -SEGV "$pid"
    holds "the end of $role is not recorded as signal 11 without a core" audit_has event=worker.exit "role=$role" status=11
    holds "$role did not come back" eventually 5 restarted $role "$pid"
done

# ---- the vault, with cores directed to where everybody may write
where=$T/cores
mkdir -m 777 "$where"
chmod 777 "$where"
uid=$(stat -c %u "/proc/$(vault_pid)")
pattern=
if ((EUID == 0)); then
    exec 9</proc/sys/kernel/core_pattern
    flock -w 10 9 || die "another test holds the core pattern"
    pattern=$(</proc/sys/kernel/core_pattern)
    put_back() { echo "$pattern" >/proc/sys/kernel/core_pattern; }
    trap 'put_back; cleanup' EXIT
    echo "$where/core.%e.%p" >/proc/sys/kernel/core_pattern
    setpriv --reuid="$uid" --regid="$uid" --clear-groups "$PYTHON" -c 'import os; os.kill(os.getpid(), 11)' || true
    if [[ -n $(ls "$where") ]]; then seen=$((seen + 1)); else leave_out 1 "the control leaves no core here"; fi
    rm -f "$where"/*
else
    leave_out 1 "directing cores to a place needs root"
fi
kill -SEGV "$(vault_pid)"
code=0
wait "$BROKER" || code=$?
holds "the supervisor ended well when its vault crashed" test "$code" -ne 0
holds "there is a core: $(ls "$where")" is "$(ls "$where")" ""
holds "the crash is not in the log of the service" grep -q 'child.ended child=vault.* signal=11' "$T/log"
if [[ -n $pattern ]]; then
    put_back
    trap cleanup EXIT
fi
start_broker
holds "a lease was lost with the vault" is "$(call gateway POST /v1/token/introspect "{\"token\":\"$token\"}" | field active)" True
tally
