#!/usr/bin/env bash
# broker-exec --acp gives an adapter its login over the protocol: by providers/set, else by the gateway method, else it keeps that of its
# environment; for a client that never authenticates and for one that does. No session is made before, and the client sees nothing of it.
. "$(dirname "$0")/acp.bash"
start_model

asserts <<'PY'
import json, os, time
from acp_client import Client
T = os.environ["T"]
EXEC = [os.environ["EXEC"], "--socket", os.environ["RUN"] + "/gateway", "--profile", "env", "--acp", "--"]
ADAPTER = [os.environ["PYTHON"], os.environ["ADAPTER"]]
n = 0

def start(*options):
    global n
    n += 1
    c = Client([*EXEC, *ADAPTER, "--log", f"{T}/log{n}", *options])
    c.log = lambda path=f"{T}/log{n}": [json.loads(line) for line in open(path)]
    return c

def methods(c):
    return [m.get("method") for m in c.log()]

def ends(c, name):
    assert c.end() == 0
    assert not any("broker-exec" in line for line in map(bytes.decode, c.raw)), c.raw
    assert not any("cbrk1_" in line for line in c.errors), c.errors
    print("ok", name)

PROVIDERS, GATEWAY = ("--providers", "main:anthropic"), ("--gateway", "anthropic")

# ---- by providers/set
c = start(*PROVIDERS, *GATEWAY, "--slow", "0.7")
seen = c.initialize()
assert [m["id"] for m in seen["authMethods"]] == ["own-login"], seen
assert c.prompt(c.session()) == 200
login = c.result("test/token")["login"]
assert login[0].startswith("http://127.0.0.1:") and list(login[1]) == ["x-api-key"] and "cbrk1_" in login[1]["x-api-key"], login
assert methods(c)[:4] == ["initialize", "providers/list", "providers/set", "session/new"], methods(c)
sent = c.log()[0]
assert sent["params"]["clientCapabilities"] == {"auth": {"_meta": {"gateway": True}}, "fs": {"readTextFile": False}}, sent
ends(c, "by providers/set, before the session, though the adapter takes its time")

c = start(*PROVIDERS, "--slow", "0.5")
ids = [c.ask("initialize", {"protocolVersion": 1, "clientCapabilities": {}}), c.ask("session/new", {"cwd": "/", "mcpServers": []})]
assert "result" in c.answer(ids[0]) and c.answer(ids[1])["result"]["sessionId"] == "session-0"
assert methods(c)[:4] == ["initialize", "providers/list", "providers/set", "session/new"], methods(c)
ends(c, "a client that does not wait for an answer gets the session after the login all the same")

# ---- by the gateway method
c = start(*GATEWAY)
seen = c.initialize()
assert [m["id"] for m in seen["authMethods"]] == ["own-login"], seen
assert c.prompt(c.session()) == 200
given = next(m for m in c.log() if m.get("method") == "authenticate")
assert given["params"]["methodId"] == "gateway" and given["params"]["_meta"]["gateway"]["headers"]["x-api-key"], given
ends(c, "by the gateway method where there is no providers/set")

c = start(*PROVIDERS, *GATEWAY, "--refuse", "providers/set")
c.initialize()
assert c.prompt(c.session()) == 200
assert methods(c)[:5] == ["initialize", "providers/list", "providers/set", "authenticate", "session/new"], methods(c)
ends(c, "by the gateway method where providers/set is refused")

c = start("--providers", "main:openai", *GATEWAY)
c.initialize()
assert c.prompt(c.session()) == 200 and "providers/set" not in methods(c)
ends(c, "by the gateway method where no provider speaks the credential's protocol")

# ---- by the environment
for options, why in ((), "neither"), ((*PROVIDERS, "--refuse", "providers/set"), "refused providers/set: Method not found"), (("--gateway", "openai"), "neither"):
    c = start(*options)
    c.initialize()
    s = c.session()
    assert c.prompt(s) == 200 and c.result("test/token")["environment"], c.errors
    c.said("the adapter keeps the login of key that it has")
    c.said(why)
    ends(c, f"by the environment: {' '.join(options) or 'an adapter that has nothing'}")

c = start()
c.send({"id": 1, "method": "session/new", "params": {}})
assert c.answer(1)["result"]["sessionId"]
ends(c, "by the environment for a client that never initializes")

# ---- what the client says of logins
c = start(*PROVIDERS, *GATEWAY)
seen = c.initialize({"auth": {"_meta": {"gateway": True}}})
assert [m["id"] for m in seen["authMethods"]] == ["own-login", "gateway-bedrock", "gateway"], seen
before = c.result("test/token")
own = {"methodId": "gateway", "_meta": {"gateway": {"baseUrl": "http://192.0.2.1", "headers": {}}}}
assert c.call("authenticate", own) == {"jsonrpc": "2.0", "id": c.n, "result": {}}
assert c.call("authenticate", {"methodId": "own-login"})["result"] == {}
c.send({"id": "a \"quoted\" id", "method": "authenticate", "params": {"methodId": "own-login"}})
assert c.answer("a \"quoted\" id")["result"] == {}
for method in "logout", "providers/set", "providers/disable":
    error = c.call(method, {"providerId": "main"})["error"]
    assert error["code"] == -32600 and "the broker's" in error["message"], error
assert c.result("providers/list")["providers"]
assert c.result("test/token") == before and c.prompt(c.session()) == 200
assert "authenticate" not in methods(c) and methods(c).count("providers/set") == 1, methods(c)
ends(c, "a client that authenticates is told that it is done, and cannot put another login in its place")

c = start("--refuse", "initialize")
assert "error" in c.call("initialize", {"protocolVersion": 1})
assert c.call("authenticate", {"methodId": "own-login"})["result"] == {} and "authenticate" in methods(c)
ends(c, "an adapter that cannot be initialized keeps talking to its client")

c = start()
c.initialize()
c.session()
assert c.call("authenticate", {"methodId": "own-login"})["result"] == {} and "authenticate" in methods(c)
ends(c, "where the login is the environment's, authenticate reaches the adapter")

# ---- version 2 of the protocol
for options in (PROVIDERS, GATEWAY):
    c = start("--v2", *options)
    seen = c.initialize({}, 2)
    assert [m["methodId"] for m in seen["authMethods"]] == ["own-login"], seen
    assert c.prompt(c.session()) == 200
    assert c.call("auth/login", {"methodId": "own-login"})["result"] == {}
    ends(c, f"version 2 of the protocol, {options[0]}")

# ---- the client's request, whatever it holds
for params, want in (
    ('{"protocolVersion":1}', {"auth": {"_meta": {"gateway": True}}}),
    ('{"clientCapabilities":null,"protocolVersion":1}', {"auth": {"_meta": {"gateway": True}}}),
    ('{"protocolVersion":1,"clientCapabilities":{"auth":{"terminal":true,"_meta":{"gateway":false,"x":[1,{"a":"}"}]}}}}',
     {"auth": {"terminal": True, "_meta": {"gateway": True, "x": [1, {"a": "}"}]}}}),
):
    c = start(*GATEWAY)
    c.process.stdin.write(b' { "id" : 7 , "params": ' + params.encode() + b', "method":"initialize","jsonrpc":"2.0"} \r\n')
    c.process.stdin.flush()
    assert c.answer(7)["result"]["authMethods"][0]["id"] == "own-login"
    assert c.prompt(c.session()) == 200
    assert c.log()[0]["params"]["clientCapabilities"] == want, c.log()[0]
    ends(c, f"initialize with {params[:40]}")
PY

upstream() { python3 -c 'import json, sys
lines = [json.loads(l) for l in open(sys.argv[1])]
ends = [r for r in lines if r["event"] == "end"]
assert ends and not any(r["violations"] for r in ends), ends
print("clean")' "$RECORD"; }
holds "the provider saw something else than the credential, once" is "$(upstream)" clean
none_left() { [[ $(live_leases) == 0 ]]; }
holds "a lease outlived its adapter" eventually 3 none_left
tally
