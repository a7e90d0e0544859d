#!/usr/bin/env bash
# A lease has the life, the uses and the number that its grant says, never more: asking for more is refused, a renewal cannot pass the
# maximum, a lease is dead the moment its time is over, its file with it, and the last use is the last.
. "$(dirname "$0")/promise.bash" || exit 1
cat >"$CONFIG" <<'YAML'
consumers:
  - name: timed
    grants:
      - { credential: key, deliver: [secret], ttl: 2s, max_ttl: 3s }
      - { credential: claude, deliver: [file], ttl: 2s, max_ttl: 3s }
  - name: counted
    grants: [{ credential: key, deliver: [secret], uses: 2 }]
  - name: few
    max_leases: 2
    grants: [{ credential: key, deliver: [secret] }]
YAML
init_broker
enroll_key
enroll_claude
asserts "$(sock timed)" "$(sock counted)" "$(sock few)" "$RUN/timed/files/claude/.credentials.json" <<'PY'
import os, sys, time, unixhttp
timed, counted, few, file = sys.argv[1:5]
def lease(where, **ask):
    return unixhttp.ask(where, "POST", "/v1/leases", {"credential": "key", **ask})
def renew(where, l, **ask):
    return unixhttp.ask(where, "POST", f"/v1/leases/{l['id']}/renew", ask, l["token"])
def active(where, l):
    return unixhttp.ask(where, "POST", "/v1/token/introspect", {"token": l["token"]})[1]["active"]

# more than the grant's is refused, and so is less than a second
for ttl, status in ((2001, 403), (10**15, 403), (999, 400), (1, 400), (2**62, 400)):
    got = lease(timed, ttl_ms=ttl)
    assert got[0] == status, (ttl, got)
for bad in (-1, 1.5, "2s", True, 2**64):
    assert lease(timed, ttl_ms=bad)[0] == 400, bad
print("ok a ttl over the grant's, or none at all, is refused")
_, l = lease(timed)
_, f = lease(timed, credential="claude")
_, short = lease(timed, ttl_ms=1000)
issued = time.monotonic()
assert l["expires_at_ms"] - l["issued_at_ms"] == 2000 and short["expires_at_ms"] - short["issued_at_ms"] == 1000
assert l["max_expires_at_ms"] - l["issued_at_ms"] == 3000
assert active(timed, l) and active(timed, short) and os.path.exists(file)
print("ok it lives as long as the grant says, or shorter when asked")
time.sleep(1.1)
assert not active(timed, short) and renew(timed, short)[0] == 401
assert active(timed, l)
assert renew(timed, l, ttl_ms=2001)[0] == 403
status, r = renew(timed, l)
assert status == 200, r
assert r["expires_at_ms"] <= l["max_expires_at_ms"], "a renewal passed the maximum"
assert r["expires_at_ms"] > l["expires_at_ms"]
print("ok a renewal lengthens it, up to the maximum and no further")
time.sleep(max(0, issued + 2.1 - time.monotonic()))
assert active(timed, l) and not active(timed, f)
assert not os.path.exists(file), "the file outlived its lease"
time.sleep(max(0, issued + 3.1 - time.monotonic()))
assert not active(timed, l) and renew(timed, l)[0] == 401
assert unixhttp.ask(timed, "GET", f"/v1/leases/{l['id']}")[0] == 404
print("ok over is over")

status, l = lease(counted)
assert status == 200 and l["uses_left"] == 1, l
assert lease(counted, uses=3)[0] == 403
status, one = lease(counted, uses=1)
assert one["uses_left"] == 0
assert renew(counted, one)[0] in (401, 429)
print("ok fewer uses may be asked for, more may not")
status, r = renew(counted, l)
assert status == 200 and r["uses_left"] == 0 and r["secret"], r
status, r = renew(counted, l)
assert status in (401, 429) and "secret" not in r, (status, r)
assert not active(counted, l)
print("ok the last use is the last")

got = [lease(few) for _ in range(3)]
assert [g[0] for g in got] == [200, 200, 429], [g[0] for g in got]
assert unixhttp.ask(few, "DELETE", f"/v1/leases/{got[0][1]['id']}")[0] == 200
assert lease(few)[0] == 200
print("ok live leases are limited, and an ended one makes room")
PY
holds "an expiry is not recorded" audit_has event=lease.expired consumer=timed
holds "a refusal is not recorded" audit_has event=lease.denied consumer=few reason=limit
tally
