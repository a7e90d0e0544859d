#!/usr/bin/env bash
# A connected descriptor that is passed on (SCM_RIGHTS) is still the one's who connected: it can do what that one could, its leases end
# with that process, and after its end the descriptor is worth nothing. What was passed is no way to another consumer or another uid.
. "$(dirname "$0")/promise.bash" || exit 1
init_broker
enroll_key
consumer alpha key secret
consumer beta key secret
asserts "$(sock alpha)" "$(sock beta)" <<'PY'
import os, signal, socket, sys, time, unixhttp
alpha, beta = sys.argv[1:3]

def opener():
    """A process that connects to alpha, passes the descriptor on to us, and stays."""
    ours, its = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        s = unixhttp.dial(alpha)
        unixhttp.send(s, "GET", "/v1/whoami")
        assert unixhttp.answer(s)[1]["pid"] == os.getpid()
        unixhttp.give(its, s.fileno())
        signal.pause()
    its.close()
    return pid, unixhttp.take(ours)

def lease(s, owner):
    status, body = unixhttp.ask(s, "POST", "/v1/leases", {"credential": "key", "owner": owner})
    assert status == 200, (status, body)
    return body

def active(token):
    return unixhttp.ask(alpha, "POST", "/v1/token/introspect", {"token": token})[1]["active"]

pid, s = opener()
assert unixhttp.ask(s, "GET", "/v1/whoami")[1]["pid"] == pid
print("ok whoami over a passed descriptor names who connected")
bound, free = lease(s, "process"), lease(s, "none")
assert active(bound["token"]) and active(free["token"])
assert unixhttp.ask(s, "GET", "/v1/grants")[1]["grants"][0]["credential"] == "key"
assert unixhttp.ask(s, "POST", "/v1/leases", {"credential": "other"})[0] == 403
print("ok it may what the one who connected may, and no more")
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
at = time.monotonic()
while active(bound["token"]):
    assert time.monotonic() - at < 1, "the lease outlived the process that connected by over a second"
assert active(free["token"])
print("ok a lease with owner: process ends with the process that connected, though the descriptor lives")
for method, path, body in (("POST", "/v1/leases", {"credential": "key"}), ("POST", "/v1/leases", {"credential": "key", "owner": "process"}),
                           ("GET", "/v1/grants", None), ("GET", "/v1/leases", None)):
    status, answer = unixhttp.ask(s, method, path, body)
    assert status in (403, 409), (method, path, status, answer)
print("ok after the end of the process that connected, its descriptor is refused")
s.close()

# a descriptor that nothing was asked on before its process ended: refused at the first request
ours, its = socket.socketpair()
pid = os.fork()
if pid == 0:
    s = unixhttp.dial(alpha)
    unixhttp.give(its, s.fileno())
    os._exit(0)
s = unixhttp.take(ours)
os.waitpid(pid, 0)
status, answer = unixhttp.ask(s, "POST", "/v1/leases", {"credential": "key"})
assert status == 403, (status, answer)
print("ok nor does one that was never used before")

# alpha's descriptor is alpha's: with beta's token it is a thief, and it cannot see beta
token = unixhttp.ask(beta, "POST", "/v1/leases", {"credential": "key"})[1]
pid, s = opener()
status, _ = unixhttp.ask(s, "POST", f"/v1/leases/{token['id']}/renew", {}, token["token"])
assert status == 401, status
assert unixhttp.ask(s, "GET", f"/v1/leases/{token['id']}")[0] == 404
assert unixhttp.ask(s, "GET", "/v1/status")[0] == 404
print("ok a passed descriptor reaches neither another consumer nor the operator's verbs")
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
PY
if ((EUID != 0)); then
    leave_out 4 "passing to another uid needs root"
    tally
    exit
fi

# ---- to another uid: 1000 is named, 1001 is not
"$CLI" consumer add gateway --uid 1000 >/dev/null
"$CLI" grant gateway key --deliver secret >/dev/null
chmod 777 "$RUN/gateway" "$(sock gateway)" # the directory's ACL is another test
asserts "$(sock gateway)" <<'PY'
import os, signal, socket, sys, unixhttp
path = sys.argv[1]

def as_uid(uid, do):
    """`do` in a process of that uid; what it returns."""
    import json
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        unixhttp.become(uid)
        os.write(w, json.dumps(do()).encode())
        os._exit(0)
    os.close(w)
    with os.fdopen(r) as f:
        out = json.loads(f.read())
    os.waitpid(pid, 0)
    return out

ours, its = socket.socketpair()
pid = os.fork()
if pid == 0: # the consumer itself
    unixhttp.become(1000)
    s = unixhttp.dial(path)
    unixhttp.send(s, "POST", "/v1/leases", {"credential": "key"})
    unixhttp.give(its, s.fileno())
    signal.pause()
s = unixhttp.take(ours)
status, lease = unixhttp.answer(s)
assert status == 200, (status, lease)
renew = f"/v1/leases/{lease['id']}/renew"
status, answer = as_uid(1001, lambda: unixhttp.ask(path, "POST", renew, {}, lease["token"]))
assert status == 403 and answer["error"] == "denied", (status, answer)
print("ok another uid with the stolen token and a connection of its own is refused")
who = as_uid(1001, lambda: unixhttp.ask(s, "GET", "/v1/whoami"))[1]
assert (who["uid"], who["pid"]) == (1000, pid), who
print("ok over the passed descriptor it is the one who connected, to the broker and in the record")
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
status, answer = as_uid(1001, lambda: unixhttp.ask(s, "POST", renew, {}, lease["token"]))
assert status == 403, (status, answer)
print("ok and when that one has ended it is nobody")
PY
holds "the refusal is not recorded" audit_has event=peer.refused consumer=gateway uid=1001
tally
