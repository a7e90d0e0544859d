#!/usr/bin/env bash
# A restart of the broker, asked for or by kill -9 of every process, neither ends a lease nor revives one: the token still renews, what was
# revoked stays so, a deadline still holds, uses are not given back, and the lease of a process that ended meanwhile is over.
. "$(dirname "$0")/lib.bash" || exit 1
. "$(dirname "$0")/faults.bash"
init_broker
"$CLI" enroll key --provider generic <<<the-value >/dev/null 2>&1
"$CLI" enroll few --provider generic <<<the-few >/dev/null 2>&1
"$CLI" enroll mine --provider generic <<<the-mine >/dev/null 2>&1
consumer gateway key secret --ttl 1h
consumer gateway few secret --ttl 1h --uses 4
consumer gateway mine secret --ttl 1h --owner process
active() { [[ $(call gateway POST /v1/token/introspect "{\"token\":\"$1\"}" | field active) == True ]]; }
renew() { call gateway POST "/v1/leases/$1/renew" '{}' "$2"; }
issue() { # CREDENTIAL NAME more: sets ID[NAME] and TOKEN[NAME]
    local out
    out=$(lease gateway "$1" "${3:-}")
    [[ $out == 20[01]* ]] || die "no lease of $1: $out"
    ID[$2]=$(field id <<<"$out") TOKEN[$2]=$(field token <<<"$out")
}
declare -A ID TOKEN
# a process of its own that leases for itself, says so, and waits until its stdin ends
owner() {
    exec "$PYTHON" -IS - "$(sock gateway)" 3<&0 <<'PY'
import json, os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
body = b'{"credential":"mine","owner":"process"}'
s.sendall(b"POST /v1/leases HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
data = b""
while b"\r\n\r\n" not in data or not data.endswith(b"}"):
    data += s.recv(65536)
print(data.split(b"\r\n\r\n", 1)[0].split()[1].decode(), data.split(b"\r\n\r\n", 1)[1].decode(), flush=True)
s.close()
os.read(3, 1)
PY
}
own() { # NAME: a lease of a process that lives on; its pid in OWNER[NAME]
    local line
    mkfifo "$T/$1.in" "$T/$1.out"
    owner <"$T/$1.in" >"$T/$1.out" 2>&1 &
    OWNER[$1]=$!
    PIDS+=("$!")
    # shellcheck disable=SC2034 # stays open: the owner lives until its input ends
    exec {keep}>"$T/$1.in"
    read -r -t 10 line <"$T/$1.out"
    [[ $line == 20[01]* ]] || die "no lease of a process: $line"
    ID[$1]=$(field id <<<"$line") TOKEN[$1]=$(field token <<<"$line")
}
declare -A OWNER

round() { # how the broker ends
    issue key lives
    issue key revoked
    issue key ended
    local due=$(($(now_ms) + 1500)) # at the earliest
    issue key short '"ttl_ms":1500'
    issue few uses
    renew "${ID[uses]}" "${TOKEN[uses]}" >/dev/null
    local owned=yes
    if [[ $(lease gateway mine) == 20* ]]; then
        own stays
        own goes
    else # before Linux 6.5 the kernel cannot tell
        owned=
    fi
    "$CLI" revoke "${ID[revoked]}" --yes >/dev/null
    [[ $(call gateway DELETE "/v1/leases/${ID[ended]}") == 200* ]] || die "the lease is not ended"
    "$1"
    if [[ $owned ]]; then # while no broker looks
        kill "${OWNER[goes]}"
        wait "${OWNER[goes]}" 2>/dev/null || true
    fi
    start_broker
    state_is ready || die "$1: $("$CLI" status | head -n 1)"
    active "${TOKEN[lives]}" || die "$1: a live lease is gone"
    [[ $(renew "${ID[lives]}" "${TOKEN[lives]}" | field secret) == the-value ]] || die "$1: its token does not renew any more"
    for name in revoked ended; do
        ! active "${TOKEN[$name]}" || die "$1: a lease that was $name lives again"
        [[ $(renew "${ID[$name]}" "${TOKEN[$name]}") != 20* ]] || die "$1: a lease that was $name renews"
    done
    if (($(now_ms) < due - 300)); then active "${TOKEN[short]}" || die "$1: a lease ended before its time"; fi
    eventually 3 not_active "${TOKEN[short]}" || die "$1: a deadline does not hold any more"
    (($(now_ms) >= due)) || die "$1: the deadline came early"
    [[ $(renew "${ID[uses]}" "${TOKEN[uses]}" | field uses_left) == 1 ]] || die "$1: uses left are not what they were"
    if [[ $owned ]]; then
        active "${TOKEN[stays]}" || die "$1: the lease of a living process is gone"
        ! active "${TOKEN[goes]}" || die "$1: the lease of a dead process lives"
        kill "${OWNER[stays]}"
        eventually 3 not_active "${TOKEN[stays]}" || die "$1: a lease outlives its process"
        rm -f "$T"/stays.* "$T"/goes.*
    fi
    "$CLI" revoke --all --yes >/dev/null
}
not_active() { ! active "$1"; }
# a crash between a removal and the ends of its leases: the journal of before does not revive them for what has the name next
"$CLI" enroll brief --provider generic <<<the-first >/dev/null 2>&1
consumer gateway brief secret --ttl 1h
issue brief orphan
kill_all
mkdir "$T/journal"
cp -p "$STATE"/log/leases-* "$T/journal/"
start_broker
active "${TOKEN[orphan]}" || die "a live lease is gone"
"$CLI" remove brief --yes >/dev/null
"$CLI" enroll brief --provider generic <<<the-second >/dev/null 2>&1
kill_all
rm "$STATE"/log/leases-*
cp -p "$T"/journal/leases-* "$STATE/log/"
start_broker
! active "${TOKEN[orphan]}" || die "the lease of a removed credential counts for the next of its name"
[[ $(renew "${ID[orphan]}" "${TOKEN[orphan]}") != *the-second* ]] || die "a lease of a removed credential releases the next one"

round end_broker
round kill_all
round kill_vault
end_broker
verify_log
grep -hq '"event":"lease.owner_gone"' "$STATE"/log/audit-*.jsonl || echo "this kernel has no SO_PEERPIDFD: leases of processes were left out"
