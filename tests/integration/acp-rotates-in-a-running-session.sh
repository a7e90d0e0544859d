#!/usr/bin/env bash
# A session over ACP outlives its token: before the lease reaches its max_ttl the adapter is given another, the old one works until it
# was taken and ends then; a revocation ends the session's use at once, for good, and is said.
. "$(dirname "$0")/acp.bash"
start_model --ttl 3s --max-ttl 8s

cat >"$T/py/session.py" <<'PY'
import json, os, subprocess, sys, time
from acp_client import Client
T, CLI = os.environ["T"], os.environ["CLI"]
EXEC = [os.environ["EXEC"], "--socket", os.environ["RUN"] + "/gateway", "--profile", "env", "--acp", "--"]
ADAPTER = [os.environ["PYTHON"], os.environ["ADAPTER"]]

def start(*options):
    c = Client([*EXEC, *ADAPTER, *options])
    c.initialize()
    return c

def leases():
    return {l["id"]: l for l in json.loads(subprocess.run([CLI, "lease", "list", "--json"], capture_output=True, check=True).stdout)["leases"]}

def token(c):
    return c.result("test/token")["login"][1]["x-api-key"]

def await_that(what, why, wait=15):
    until = time.monotonic() + wait
    while not what():
        assert time.monotonic() < until, why
        time.sleep(0.05)

def ask_with(c, token):
    """What the provider says to this token, by the relay of the session."""
    import urllib.request, urllib.error
    r = urllib.request.Request(c.result("test/token")["login"][0] + "/v1/messages", b'{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[]}',
                               {"x-api-key": token, "content-type": "application/json", "anthropic-version": "2023-06-01"})
    try:
        return urllib.request.urlopen(r, timeout=10).status
    except urllib.error.HTTPError as e:
        return e.code
PY

asserts <<'PY'
from session import *
c = start("--providers", "main:anthropic")
s = c.session()
first, before = token(c), leases()
assert len(before) == 1 and c.prompt(s) == 200
until = time.monotonic() + 16
seen, n = [first], 0
while time.monotonic() < until:
    assert c.prompt(s) == 200, f"request {n} was refused: {c.errors}"
    n += 1
    if token(c) != seen[-1]:
        seen.append(token(c))
        assert ask_with(c, seen[-2]) == 200, "the old token ended before the new one was in use"
    time.sleep(0.1)
assert len(seen) >= 3, f"{len(seen)} tokens"
print(f"ok a session of 16 s under a max_ttl of 8 s: {len(seen)} tokens, {n} requests, none refused")
await_that(lambda: ask_with(c, seen[0]) in (401, 403), "the first token works still")
await_that(lambda: len(leases()) == 1, f"leases are left: {leases()}")
assert list(leases())[0] not in before
print("ok a token that was replaced ends")
assert not c.errors, c.errors
assert c.end() == 0
await_that(lambda: not leases(), "a lease outlived the session")
print("ok nothing of it reaches the client, and nothing is left")

# ---- the adapter ends its turn before it takes a token
c = start("--providers", "main:anthropic", "--turns")
s = c.session()
first = token(c)
assert c.prompt(s) == 200
time.sleep(5.2)
turn = c.ask("test/turn", {"seconds": 1.6})
time.sleep(1.2)
assert len(leases()) == 2 and token(c) == first and ask_with(c, first) == 200, (leases(), c.errors)
print("ok while the adapter ends a turn, both tokens work")
c.answer(turn)
await_that(lambda: token(c) != first, "the new token was not taken")
assert c.prompt(s) == 200
await_that(lambda: ask_with(c, first) in (401, 403), "the first token works still")
print("ok and then the new one is the only one")
c.end()

PY

asserts <<'PY'
from session import *
# ---- by the gateway method, sessions keep what they were made with
c = start("--gateway", "anthropic")
s = c.session()
first = token(c)
await_that(lambda: token(c) != first, "no other token was given by the gateway method")
assert c.prompt(c.session()) == 200
assert ask_with(c, first) == 200 and c.prompt(s) == 200, "a running session lost its token"
print("ok by the gateway method new sessions have the new token, and old ones keep theirs for its time")
c.end()

# ---- an adapter without either
c = start()
s = c.session()
assert c.prompt(s) == 200
c.said("the lease of key is over: the adapter's requests are refused from here on")
assert c.prompt(s) in (401, 403)
assert c.end() == 0 and len([e for e in c.errors if "from here on" in e]) == 1, c.errors
print("ok a token of the environment lives until max_ttl, and its end is said once")
PY

# ---- revocation
"$CLI" grant gateway key --deliver proxy --ttl 5m --max-ttl 1h >/dev/null
asserts <<'PY'
from session import *
c = start("--providers", "main:anthropic")
s = c.session()
assert c.prompt(s) == 200
id = list(leases())[0]
subprocess.run([CLI, "lease", "revoke", id], check=True, capture_output=True)
assert c.prompt(s) in (401, 403)
print("ok the next request after a revocation is refused")
c.said("the lease of key was ended at the broker: the adapter's requests are refused from here on")
print("ok and broker-exec says so")
time.sleep(6)
assert not leases() and c.prompt(s) in (401, 403), "it leased again"
assert sum("from here on" in e for e in c.errors) == 1, c.errors
print("ok for good: nothing is leased again, and it is said once")
c.ask("test/exit", {"code": 33})
assert c.process.wait(5) == 33
print("ok the session ends as the adapter does")

PY

# ---- a broker that is away for a while
export BROKER DAEMON STATE CONFIG SYSTEM_USER
asserts <<'PY'
from session import *
c = start("--providers", "main:anthropic")
s = c.session()
assert c.prompt(s) == 200
os.kill(int(os.environ["BROKER"]), 15)
await_that(lambda: not os.path.exists(f"/proc/{os.environ['BROKER']}") or "Z" in open(f"/proc/{os.environ['BROKER']}/stat").read().rsplit(")", 1)[1][:3], "the broker did not end")
time.sleep(6)
options = [v for name in ("STATE", "RUN", "CONFIG") for v in ("--" + name.lower(), os.environ[name])]
log = open(f"{T}/log", "ab")
again = subprocess.Popen([os.environ["DAEMON"], *options, *(["--user", os.environ["SYSTEM_USER"]] if os.geteuid() == 0 else [])], stdout=log, stderr=log)
try:
    await_that(lambda: subprocess.run([CLI, "status"], capture_output=True).returncode == 0, "the broker did not come back")
    assert c.prompt(s) == 200 and not c.errors, c.errors
    print("ok a restart of the broker ends no session")
    c.end()
finally:
    again.terminate()
    again.wait(10)
PY
tally
