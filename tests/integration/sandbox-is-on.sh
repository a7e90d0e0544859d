#!/usr/bin/env bash
# Every process of the broker runs with a seccomp filter, without new privileges, capabilities, another user, core dumps or open files that
# are none of its business, and confined by Landlock; in system mode as the broker's own user. The kernel says so, not the broker.
. "$(dirname "$0")/promise.bash" || exit 1
init_broker
enroll_key
consumer gateway key secret
call gateway POST /v1/leases '{"credential":"key"}' >/dev/null
uid=$EUID
((EUID != 0)) || uid=$(id -u "$SYSTEM_USER")
state() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }
processes=0
for pid in $(all_pids); do
    who=$(<"/proc/$pid/comm")
    processes=$((processes + 1))
    holds "$who has no seccomp filter" is "$(state "$pid" Seccomp)" 2
    holds "$who may gain privileges" is "$(state "$pid" NoNewPrivs)" 1
    for set in CapInh CapPrm CapEff CapAmb; do holds "$who: $set" is "$(state "$pid" $set)" 0000000000000000; done
    ((EUID != 0)) || holds "$who can get capabilities back" is "$(state "$pid" CapBnd)" 0000000000000000
    holds "$who runs as $(state "$pid" Uid)" is "$(state "$pid" Uid)" "$uid"$'\t'"$uid"$'\t'"$uid"$'\t'"$uid"
    holds "$who is in groups: $(state "$pid" Groups)" test -z "$( ((EUID == 0)) && state "$pid" Groups)"
    holds "$who runs threads" is "$(state "$pid" Threads)" 1
    holds "$who is traced" is "$(state "$pid" TracerPid)" 0
done
holds "not five processes but $processes" is "$processes" 5
holds "Landlock and seccomp in the status" grep -qE '^seccomp landlock:[1-9]' <<<"$(status_of sandbox)"
holds "in the log" grep -q 'supervisor.start .*sandbox="seccomp landlock' "$T/log"

# ---- what a filter forbids ends the process, is told, and is survived. The kernel is asked through a debugger only root has
if ((EUID == 0)); then
    # no network in any: the api worker has Unix sockets and nothing else
    for pid in $(all_pids); do
        holds "$(<"/proc/$pid/comm") has a socket of another family" is \
            "$(find "/proc/$pid/fd" -lname 'socket:*' -printf '%l\n' | grep -vcFf <(awk '{print "socket:[" $7 "]"}' "/proc/$pid/net/unix") || true)" 0
    done
    holds "the api worker has files open" is "$(find "/proc/$(worker_pid api)/fd" -lname '/*' ! -lname '/dev/null' ! -lname "$T/log" | wc -l)" 0
    holds "the api worker knows where the state is" refused grep -q "$STATE" "/proc/$(worker_pid api)/maps" "/proc/$(worker_pid api)/cmdline"
else
    leave_out 7 "the descriptors of a broker are closed to its own user"
fi
tally
