#!/usr/bin/env bash
# contrib/python/credential_broker.py leases, renews and ends on a real broker, tells failures apart by their word, and prints no secret.
. "$(dirname "$0")/lib.bash" || exit 1
command -v python3 >/dev/null || skip "needs python3"
export PYTHONPATH=$ROOT/contrib/python PYTHONDONTWRITEBYTECODE=1
python3 -m doctest "$ROOT/contrib/python/credential_broker.py"
expect_no_broker() { python3 -c 'import credential_broker as b, sys
try: b.whoami(sys.argv[1])
except b.Error as e: sys.exit(e.code != "no_broker")
sys.exit(1)' "$1"; }
expect_no_broker "$T/nowhere" || die "no broker is not told as no_broker"
init_broker
"$CLI" enroll key --provider anthropic <"$LOGINS/anthropic.txt" >/dev/null 2>&1
"$CLI" enroll claude --provider claude <"$LOGINS/claude.json" >/dev/null 2>&1
if ((EUID == 0)); then "$CLI" consumer add app --uid 0 >/dev/null; else "$CLI" consumer add app >/dev/null; fi
consumer app key secret --ttl 60s --max-ttl 10m
consumer app claude access_token,file --ttl 60s --max-ttl 10m
python3 - "$RUN/app" "$LOGINS" <<'PY'
import json, os, sys, time
import credential_broker as broker

where, logins = sys.argv[1:3]
key = open(logins + "/anthropic.txt").read().strip()
login = json.load(open(logins + "/claude.json"))["claudeAiOauth"]
assert broker.whoami(where)["consumer"] == "app"
assert sorted(g["credential"] for g in broker.grants(where)) == ["claude", "key"]

with broker.lease("key", deliver="secret", socket=where) as lease:
    assert lease.secret == key and lease.env == "ANTHROPIC_API_KEY" and lease.file is None
    assert key not in repr(lease) + str(lease) and lease._token not in repr(lease)
    assert 50 < lease.left_s <= 60, lease.left_s
    before = lease.expires_at
    time.sleep(0.05)
    lease.renew()
    assert lease.expires_at > before and lease.secret == key
    assert lease.renew(ttl_s=30).left_s <= 30
    ident = lease.id
    shown = broker.find(ident, where)
    assert shown["state"] == "live" and "secret" not in shown and "token" not in shown
assert lease.secret is None
lease.end()  # a second time

def code_of(function, *arguments, **named):
    try:
        function(*arguments, **named)
    except broker.Error as e:
        assert key not in str(e)
        return e.code
    return "ok"

assert code_of(broker.find, ident, where) == "not_found"
assert code_of(broker.lease, "key", ttl_s=61, socket=where) == "denied", "over the grant's"
assert code_of(lease.renew) in ("bad_token", "not_found"), code_of(lease.renew)
assert code_of(broker.lease, "key", deliver="file", socket=where) == "denied"
assert code_of(broker.lease, "nothing", socket=where) in ("denied", "not_found")
assert code_of(broker.lease, "key", ttl_s=-1, socket=where) == "invalid"

os.environ["CREDENTIAL_BROKER_SOCKET"] = where
with broker.lease("claude", deliver="file") as lease:
    projected = json.load(open(lease.file))["claudeAiOauth"]
    assert projected["accessToken"] == login["accessToken"] and not projected.get("refreshToken")
    assert lease.secret is None
assert not os.path.exists(lease.file), "the file outlived its lease"
assert broker.lease("claude").deliver == "access_token", "the least exposed one was granted"
PY
