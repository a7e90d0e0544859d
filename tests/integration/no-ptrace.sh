#!/usr/bin/env bash
# The same uid, without further rights, gets nowhere near a process of the broker: no ptrace, no memory, no environment, no descriptors,
# no look at what it maps. A process of the same uid that is no broker is the control: with that one, all of it works.
. "$(dirname "$0")/promise.bash" || exit 1
init_broker
enroll_key
consumer gateway key secret
call gateway POST /v1/leases '{"credential":"key"}' >/dev/null
uid=$(stat -c %u "/proc/$(vault_pid)") gid=$(stat -c %g "/proc/$(vault_pid)")
same=(env) # what runs a command as the broker's uid, without further rights
((EUID != 0)) || same=(setpriv "--reuid=$uid" "--regid=$gid" --clear-groups)
cat >"$T/pry.py" <<'PY'
"""Tries every way into a process; prints "WAY open" or "WAY closed" for each."""
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
pid = int(sys.argv[1])

def call(name, *args):
    if getattr(libc, name)(*args) < 0:
        raise OSError(ctypes.get_errno(), name)

def memory():
    with open(f"/proc/{pid}/maps") as f:
        first = int(f.readline().split("-")[0], 16)
    with open(f"/proc/{pid}/mem", "rb") as f:
        f.seek(first)
        assert f.read(4)

def process_vm():
    class Iov(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
    with open(f"/proc/{pid if len(sys.argv) > 2 else os.getpid()}/maps") as f:
        first = int(f.readline().split("-")[0], 16)
    room = ctypes.create_string_buffer(8)
    here, there = Iov(ctypes.addressof(room), 8), Iov(first, 8)
    if libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) < 0:
        raise OSError(ctypes.get_errno(), "process_vm_readv")

def descriptor():
    pidfd = os.pidfd_open(pid)
    if libc.syscall(438, pidfd, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")

def attach():
    call("ptrace", 16, pid, None, None)
    os.waitpid(pid, 0)
    call("ptrace", 17, pid, None, None)

ways = {
    "ptrace attach": attach,
    "ptrace seize": lambda: (call("ptrace", 0x4206, pid, None, None), call("ptrace", 0x4207, pid, None, None), os.waitpid(pid, 0), call("ptrace", 17, pid, None, None)),
    "mem": memory,
    "mem for writing": lambda: open(f"/proc/{pid}/mem", "r+b").close(),
    "process_vm_readv": process_vm,
    "pidfd_getfd": descriptor,
    "environ": lambda: open(f"/proc/{pid}/environ").read(),
    "maps": lambda: open(f"/proc/{pid}/maps").read(),
    "fd": lambda: os.listdir(f"/proc/{pid}/fd"),
    "exe": lambda: os.readlink(f"/proc/{pid}/exe"),
    "cwd": lambda: os.readlink(f"/proc/{pid}/cwd"),
    "auxv": lambda: open(f"/proc/{pid}/auxv", "rb").read(),
}
for way, go in ways.items():
    try:
        go()
        print(way, "open", sep=": ")
    except PermissionError:
        print(way, "closed", sep=": ")
    except OSError as e: # some say ESRCH or EIO for the same
        print(way, "closed", sep=": ") if e.errno in (3, 5) else print(way, e, sep=": ")
PY
chmod 644 "$T/pry.py"
"${same[@]}" sleep 60 &
control=$!
PIDS+=("$control")
eventually 5 grep -q sleep "/proc/$control/comm"
"${same[@]}" "$PYTHON" "$T/pry.py" "$control" control >"$T/control"
ways=$(wc -l <"$T/control")
((ways == 12)) || die "only $ways ways were tried"
if grep -q closed "$T/control"; then # Yama or the like: those ways prove nothing
    grep closed "$T/control"
    leave_out 1 "the control is closed too, by the kernel's own settings"
fi
for pid in $(all_pids); do
    "${same[@]}" "$PYTHON" "$T/pry.py" "$pid" >"$T/pried"
    holds "$(<"/proc/$pid/comm") is open: $(grep -v 'closed$' "$T/pried" || true)" is "$(grep -c 'closed$' "$T/pried")" "$ways"
    holds "$(<"/proc/$pid/comm") belongs to root where the kernel says that nobody may look" is "$(stat -c %u "/proc/$pid/environ")" 0
done
if command -v gdb >/dev/null; then
    "${same[@]}" gdb -p "$(vault_pid)" -batch -ex 'info proc' >"$T/gdb" 2>&1 || true
    holds "gdb attached: $(cat "$T/gdb")" grep -qi 'not permitted\|could not attach' "$T/gdb"
fi
# it took no harm
holds "the broker lives" begins "$(call gateway POST /v1/leases '{"credential":"key"}')" 200
tally
