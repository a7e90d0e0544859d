#!/usr/bin/env bash
# A process that connects, queues its request and then executes something trusted gains nothing, and loses nothing: the consumer is the
# socket's, the ids are those at connect(2), the cgroup is the process's; what it executes decides nothing.
. "$(dirname "$0")/promise.bash" || exit 1
init_broker
enroll_key
group=$(sed -n 's/^0:://p' /proc/self/cgroup)
"$CLI" consumer add plain >/dev/null
"$CLI" consumer add mine --uid "$EUID" >/dev/null
"$CLI" consumer add foreign --uid 4242 >/dev/null
"$CLI" consumer add in-group --cgroup "${group:-/}" >/dev/null
"$CLI" consumer add no-group --cgroup "/no/such.slice" >/dev/null
for name in plain mine foreign in-group no-group; do "$CLI" grant $name key --deliver secret >/dev/null; done
"$CLI" consumer add empty >/dev/null # a consumer, but without a grant

# what a path rule would trust
cp /bin/sleep "$T/claude"
chmod 755 "$T/claude"
SWAPPED=$T/claude
# the request waits in the kernel while the api worker stands still, and is read after the exec
cat >"$T/swap.py" <<'PY'
import os, signal, socket, sys, time, unixhttp
sock, worker, trusted, uid = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
swap = trusted != "-"
ours, its = socket.socketpair()
os.kill(worker, signal.SIGSTOP)
try:
    pid = os.fork()
    if pid == 0:
        if uid >= 0:
            unixhttp.become(uid)
        s = unixhttp.dial(sock)
        unixhttp.send(s, "POST", "/v1/leases", {"credential": "key"})
        unixhttp.give(its, s.fileno()) # so that the answer can be read; the connection is still the child's
        if swap:
            os.set_inheritable(s.fileno(), True)
            os.execv(trusted, [trusted, "30"])
        signal.pause()
    s = unixhttp.take(ours)
    if swap:
        until = time.monotonic() + 5
        while os.readlink(f"/proc/{pid}/exe") != os.path.realpath(trusted):
            assert time.monotonic() < until, "the child never became " + trusted
            time.sleep(0.005)
        if uid >= 0 and os.stat(trusted).st_mode & 0o4000:
            ids = [l.split()[1:3] for l in open(f"/proc/{pid}/status") if l.startswith("Uid:")][0]
            print("euid", ids[1], file=sys.stderr)
finally:
    os.kill(worker, signal.SIGCONT)
status, body = unixhttp.answer(s)
print(status, body.get("error", "lease"), body.get("message", ""))
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
PY
swap() { "$PYTHON" "$T/swap.py" "$(sock "$1")" "$(worker_pid api)" "${2:--}" "${3:--1}"; } # CONSUMER [TRUSTED [UID]]
for row in "plain 200 lease" "mine 200 lease" "in-group 200 lease" "foreign 403 denied" "no-group 403 denied" "empty 403 denied"; do
    read -r name want <<<"$row"
    holds "$name, without an exec" begins "$(swap "$name")" "$want"
    holds "$name, after an exec" begins "$(swap "$name" "$SWAPPED")" "$want"
    is "$(swap "$name")" "$(swap "$name" "$SWAPPED")" || die "$name: the exec changed the answer"
done
is "$(live_leases)" 12 || die "$(live_leases) leases, not 12"

if ((EUID != 0)); then
    leave_out 3 "becoming another uid needs root"
    tally
    exit
fi
# ---- connected as a uid that is not named, then a program with the set-user-id bit: the effective uid at the request is 0
"$CLI" consumer add roots --uid 0 >/dev/null
"$CLI" grant roots key --deliver secret >/dev/null
cp /bin/sleep "$T/su"
chmod 4755 "$T/su"
chmod 777 "$RUN/roots" "$(sock roots)"
holds "root itself is refused" begins "$(swap roots "$SWAPPED" 0)" "200 lease"
got=$(swap roots "$T/su" 1001 2>"$T/euid")
holds "an exec of a set-user-id program made its process root" begins "$got" "403 denied uid 1001"
if grep -qx 'euid 0' "$T/euid"; then seen=$((seen + 1)); else leave_out 1 "set-user-id has no effect on $T"; fi
tally
