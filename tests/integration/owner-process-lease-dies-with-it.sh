#!/usr/bin/env bash
# A lease with owner: process ends within a second of the process that asked, however it ended, and its projected file goes with it; an
# exec keeps it (the process is the same); a broker that was away meanwhile notices when it is back.
. "$(dirname "$0")/promise.bash" || exit 1
init_broker
enroll_claude
"$CLI" consumer add gateway >/dev/null
"$CLI" grant gateway claude --deliver file,access_token --owner process >/dev/null
"$CLI" consumer add free >/dev/null
"$CLI" grant free claude --deliver file,access_token >/dev/null
FILE=$RUN/gateway/files/claude/.credentials.json
asserts "$(sock gateway)" "$(sock free)" "$FILE" <<'PY'
import json, os, signal, sys, time, unixhttp
sock, free, path = sys.argv[1:4]

def holder(deliver, then, where=sock, owner=None):
    """(pid, lease, pipe) of a process that has a lease; it does `then` when the pipe is written to."""
    r, w = os.pipe()
    go_r, go_w = os.pipe()
    pid = os.fork()
    if pid == 0:
        ask = {"credential": "claude", "deliver": deliver}
        if owner:
            ask["owner"] = owner
        os.write(w, json.dumps(unixhttp.ask(where, "POST", "/v1/leases", ask)).encode())
        os.close(w)
        os.read(go_r, 1)
        then()
        os._exit(0)
    os.close(w)
    with os.fdopen(r) as f:
        status, lease = json.loads(f.read())
    assert status == 200, lease
    return pid, lease, go_w

def active(lease, where=sock):
    return unixhttp.ask(where, "POST", "/v1/token/introspect", {"token": lease["token"]})[1]["active"]

def ends(pid, lease, why, file=None):
    os.waitpid(pid, 0)
    at = time.monotonic()
    while active(lease) or (file and os.path.exists(file)):
        assert time.monotonic() - at < 1, f"{why}: the lease or its file outlived the process by over a second"
        time.sleep(0.005)
    print(f"ok {why} ({(time.monotonic() - at) * 1000:.0f} ms)")

def crash():
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGSEGV)

for deliver in "access_token", "file":
    file = path if deliver == "file" else None
    for why, then in (("it ended", lambda: None), ("it crashed", crash)):
        pid, lease, go = holder(deliver, then)
        assert active(lease) and lease["owner"] == "process", lease
        assert not file or os.path.exists(file)
        os.write(go, b"x")
        ends(pid, lease, f"{deliver}: {why}", file)
    pid, lease, go = holder(deliver, signal.pause)
    os.kill(pid, signal.SIGKILL)
    ends(pid, lease, f"{deliver}: kill -9", file)

# asked for by the consumer where the grant does not demand it
pid, lease, go = holder("access_token", signal.pause, free, "process")
other, free_lease, go2 = holder("access_token", signal.pause, free)
for p in pid, other:
    os.kill(p, signal.SIGKILL)
    os.waitpid(p, 0)
at = time.monotonic()
while active(lease, free):
    assert time.monotonic() - at < 1
assert active(free_lease, free)
print("ok the consumer may ask for it; a lease without an owner stays")
status, body = unixhttp.ask(sock, "POST", "/v1/leases", {"credential": "claude", "owner": "none"})
assert status != 200 or body["owner"] == "process", body
print("ok it cannot be asked away")

# the same process, another program
pid, lease, go = holder("file", lambda: os.execv("/bin/sleep", ["sleep", "30"]))
os.write(go, b"x")
time.sleep(0.3)
assert active(lease) and os.path.exists(path)
print("ok an exec keeps the lease")
# two owners of one file: it goes with the last
second, lease2, go2 = holder("file", signal.pause)
os.kill(pid, signal.SIGKILL)
ends(pid, lease, "the first of two owners")
assert os.path.exists(path) and active(lease2)
print("ok the file stays for the second owner")
os.kill(second, signal.SIGKILL)
ends(second, lease2, "the second of two owners", path)
PY
holds "the end is not recorded" audit_has event=lease.owner_gone consumer=gateway credential=claude delivery=file
holds "nor that the file went" audit_has event=file.remove consumer=gateway

# ---- an owner that ends while the broker is down, or is dead
PROGRAM='import json, sys, time, unixhttp
status, lease = unixhttp.ask(sys.argv[1], "POST", "/v1/leases", {"credential": "claude", "deliver": "file"})
print(lease["token"], flush=True)
time.sleep(60)'
for how in TERM KILL; do
    "$PYTHON" -c "$PROGRAM" "$(sock gateway)" >"$T/token" &
    owner=$!
    PIDS+=("$owner")
    eventually 5 test -s "$T/token" || die "no lease"
    token=$(<"$T/token")
    : >"$T/token"
    if [[ $how == TERM ]]; then stop_broker; else
        kill -9 "$(vault_pid)"
        wait "$BROKER" || true
    fi
    kill -9 "$owner"
    wait "$owner" 2>/dev/null || true
    start_broker
    holds "after SIG$how: the lease came back without its owner" \
        is "$(call gateway POST /v1/token/introspect "{\"token\":\"$token\"}")" '200 {"active":false}'
    holds "after SIG$how: the file is still there" eventually 2 test ! -e "$FILE"
done
tally
