#!/usr/bin/env python3
"""A fake ACP adapter: answers on standard output what is asked on standard input, a JSON-RPC message a line.

    acp_adapter.py [--log FILE] [--providers ID:PROTOCOL] [--gateway PROTOCOL] [--always-gateway] [--refuse METHOD] [--slow SECONDS] [--turns] [--v2] [--echo]

It takes its login by providers/set (with --providers), by the auth method `gateway` (with --gateway, offered only to a client that says it has gateways),
else from ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL. session/new without a login is refused. session/prompt asks the model with the login of the
session, which is the one that it was made with, or set since by providers/set; with --turns providers/set waits for a turn that runs. With --echo
every line but those of the login comes back as it is. --log gets every line as it came. Methods of its own: test/exit {code}, test/die {signal}, test/stderr {bytes}, test/token, test/environment, test/turn {seconds}.
"""
import argparse
import json
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request

p = argparse.ArgumentParser()
p.add_argument("--log")
p.add_argument("--providers")
p.add_argument("--gateway")
p.add_argument("--refuse", action="append", default=[])
p.add_argument("--slow", type=float, default=0)
p.add_argument("--turns", action="store_true")
p.add_argument("--v2", action="store_true")
p.add_argument("--echo", action="store_true")
options = p.parse_args()
provider_id, _, protocol = (options.providers or "").partition(":")
log = open(options.log, "ab", buffering=0) if options.log else None
out_lock, turn = threading.Lock(), threading.Lock()


class Refused(Exception):
    pass


class State:
    route = None  # (base, headers), of providers/set
    gateway = None
    client_gateway = False
    sessions = {}  # id → route of the gateway that it was made with


def send(message):
    with out_lock:
        sys.stdout.buffer.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        sys.stdout.buffer.flush()


def from_environment():
    key, base = os.environ.get("ANTHROPIC_API_KEY"), os.environ.get("ANTHROPIC_BASE_URL")
    return (base, {"x-api-key": key}) if key and base else None


def initialize(params):
    capabilities = params.get("capabilities" if options.v2 else "clientCapabilities") or {}
    State.client_gateway = ((capabilities.get("auth") or {}).get("_meta") or {}).get("gateway") is True
    name = "methodId" if options.v2 else "id"
    methods = [{name: "own-login", "name": "A login of its own"}]
    if options.gateway and State.client_gateway:
        methods += [{name: "gateway-bedrock", "name": "Gateway", "_meta": {"gateway": {"protocol": "bedrock"}}},
                    {name: "gateway", "name": "Gateway", "_meta": {"gateway": {"protocol": options.gateway}}}]
    can = {"loadSession": False, **({"providers": {}} if provider_id else {})}
    return {"protocolVersion": 2 if options.v2 else 1, "capabilities" if options.v2 else "agentCapabilities": can, "authMethods": methods}


def set_provider(params):
    time.sleep(options.slow)
    if params["providerId"] != provider_id or params["apiType"] != protocol:
        raise Refused(f"no such provider: {params['providerId']} {params['apiType']}")
    with turn if options.turns else threading.Lock():
        State.route = params["baseUrl"], params["headers"]
    return {}


def authenticate(params):
    if params["methodId"] == "own-login":
        return {}
    if params["methodId"] != "gateway" or not State.client_gateway:
        raise Refused(f"no such method: {params['methodId']}")
    gateway = params["_meta"]["gateway"]
    State.gateway = gateway["baseUrl"], gateway["headers"]
    return {}


def login():
    return State.route or State.gateway or from_environment()


def new_session(params):
    if not login():
        raise Refused("auth_required")
    session = f"session-{len(State.sessions)}"
    State.sessions[session] = State.gateway or from_environment()
    return {"sessionId": session}


def prompt(params):
    base, headers = State.route or State.sessions[params["sessionId"]]
    body = json.dumps({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}).encode()
    request = urllib.request.Request(base + "/v1/messages", body, {"content-type": "application/json", "anthropic-version": "2023-06-01", **headers})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        status, text = e.code, e.read().decode()
    send({"method": "session/update", "params": {"sessionId": params["sessionId"], "update": {"text": text[:2000]}}})
    return {"stopReason": "end_turn" if status == 200 else "refusal", "status": status}


def long_turn(params):
    with turn:
        time.sleep(params["seconds"])
    return {}


def flood(params):
    left = params["bytes"]
    while left > 0:
        n = min(left, 8192)
        os.write(2, b"e" * (n - 1) + b"\n")
        left -= n
    return {}


def leave(params):
    if "signal" in params:
        signal.signal(params["signal"], signal.SIG_DFL) if params["signal"] != signal.SIGKILL else None
        os.kill(os.getpid(), params["signal"])
        time.sleep(5)
    sys.stdout.buffer.flush()
    os._exit(params["code"])


METHODS = {"initialize": initialize, "session/new": new_session, "session/prompt": prompt, "test/exit": leave, "test/die": leave,
           "test/stderr": flood, "test/token": lambda _: {"login": login(), "environment": from_environment()}, "test/turn": long_turn,
           "test/environment": lambda _: dict(os.environ)}
METHODS |= {"auth/login" if options.v2 else "authenticate": authenticate}
if provider_id:
    METHODS |= {"providers/set": set_provider, "providers/list": lambda _: {"providers": [
        {"providerId": "other", "supported": ["bedrock"], "required": False}, {"providerId": provider_id, "supported": [protocol, "bedrock"], "required": False}]}}


def answer(message):
    method = message["method"]
    try:
        if method not in METHODS or method in options.refuse:
            raise Refused("Method not found")
        send({"id": message["id"], "result": METHODS[method](message.get("params") or {})})
    except Refused as e:
        send({"id": message["id"], "error": {"code": -32000, "message": str(e)}})


waiting = []
LOGIN = (b'"initialize"', b'"providers/list"', b'"providers/set"')
for line in sys.stdin.buffer:
    if log:
        log.write(line)
    if options.echo and not any(name in line[:200] for name in LOGIN):
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
        continue
    got = json.loads(line)
    if "method" not in got or "id" not in got:
        continue
    if got["method"] in ("test/turn", "providers/set", "session/prompt"):
        waiting.append(threading.Thread(target=answer, args=(got,), daemon=True))
        waiting[-1].start()
    else:
        answer(got)
for w in waiting:
    w.join(1)
