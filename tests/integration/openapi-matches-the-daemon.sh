#!/usr/bin/env bash
# Every operation of contrib/openapi.yaml is asked of the running daemon, with real input, and each answer is held against its schema:
# types, patterns, enumerations, and no member that the document does not name. Each refusal is held against the Error schema.
. "$(dirname "$0")/lib.bash"
/usr/bin/python3 -c 'import yaml' 2>/dev/null || skip "needs python3-yaml"
start_broker
/usr/bin/python3 - "$ROOT/contrib/openapi.yaml" "$RUN" "$STATE" "$LOGINS" <<'PY'
import http.client, json, re, socket, sys, yaml
document, run, state, logins = sys.argv[1:]
api = yaml.safe_load(open(document))
seen, checked = set(), 0

def resolve(node):
    while isinstance(node, dict) and "$ref" in node:
        at = api
        for part in node["$ref"].lstrip("#/").split("/"):
            at = at[part]
        node = at
    return node

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
def is_type(value, name):
    if name == "integer": return isinstance(value, int) and not isinstance(value, bool)
    if name == "number": return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])

def check(value, schema, where):
    global checked
    schema = resolve(schema)
    checked += 1
    for part in schema.get("allOf", []): check(value, part, where)
    if "anyOf" in schema or "oneOf" in schema:
        for option in schema.get("anyOf", []) + schema.get("oneOf", []):
            try: return check(value, option, where)
            except AssertionError as e: last = e
        raise last
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    assert not types or any(is_type(value, t) for t in types), f"{where}: {value!r} is not {types}"
    if value is None: return
    assert "enum" not in schema or value in schema["enum"], f"{where}: {value!r} is not one of {schema['enum']}"
    assert "pattern" not in schema or re.search(schema["pattern"], value), f"{where}: {value!r} does not match"
    if isinstance(value, dict) and "properties" in schema:
        for key in schema.get("required", []): assert key in value, f"{where}: no {key}"
        for key, member in value.items():
            if key in schema["properties"]: check(member, schema["properties"][key], f"{where}.{key}")
            else: assert schema.get("additionalProperties", False), f"{where}: {key} is not in the document"
    if isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value): check(item, schema["items"], f"{where}[{i}]")

class Unix(http.client.HTTPConnection):
    def __init__(self, path): super().__init__("broker", timeout=30); self.path = path
    def connect(self): self.sock = socket.socket(socket.AF_UNIX); self.sock.connect(self.path)

def ask(consumer, method, path, template=None, body=None, token=None, status=200):
    template = template or path.split("?")[0]
    seen.add((method, template))
    operation = api["paths"][template][method.lower()]
    expected = "admin" if consumer == "admin" else "consumer"
    assert operation["x-socket"] in (expected, "both"), f"{method} {template} is not for the {expected} socket"
    c = Unix(f"{run}/{consumer}/broker.sock")
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if token: headers["Authorization"] = "Bearer " + token
    c.request(method, path, None if body is None else json.dumps(body), headers)
    r = c.getresponse()
    text, kind = r.read().decode(), r.getheader("Content-Type").split(";")[0]
    assert r.status == status, f"{method} {path} gives {r.status}: {text}"
    answer = resolve(operation["responses"]["200" if status == 200 else "default"])
    assert kind in answer["content"], f"{method} {path}: content type {kind}"
    if kind != "application/json": return text
    value = json.loads(text)
    check(value, answer["content"][kind]["schema"], f"{method} {path}")
    return value

key = open(f"{logins}/anthropic.txt").read()
ask("admin", "GET", "/v1/status")
ask("admin", "POST", "/v1/init", body={"source": "keyfile", "path": f"{state}/master.key"})
ask("admin", "POST", "/v1/init", body={"source": "keyfile"}, status=409)
ask("admin", "POST", "/v1/keys", body={"source": "passphrase", "passphrase": "eight or more"})
ask("admin", "GET", "/v1/keys")
ask("admin", "DELETE", "/v1/keys/1", "/v1/keys/{slot}")
ask("admin", "DELETE", "/v1/keys/7", "/v1/keys/{slot}", status=404)
ask("admin", "POST", "/v1/credentials", body={"name": "key", "provider": "anthropic", "data": key})
ask("admin", "POST", "/v1/credentials", body={"name": "claude", "provider": "claude", "data": open(f"{logins}/claude.json").read()})
ask("admin", "POST", "/v1/credentials", body={"name": "key", "provider": "anthropic", "data": key}, status=409)
ask("admin", "POST", "/v1/credentials", body={"name": "../x", "provider": "anthropic", "data": key}, status=400)
ask("admin", "PUT", "/v1/credentials/key", "/v1/credentials/{name}", {"provider": "anthropic", "data": key})
ask("admin", "GET", "/v1/credentials")
ask("admin", "GET", "/v1/credentials?limit=1", "/v1/credentials")
ask("admin", "GET", "/v1/credentials/claude", "/v1/credentials/{name}")
ask("admin", "GET", "/v1/credentials/none", "/v1/credentials/{name}", status=404)
ask("admin", "POST", "/v1/consumers", body={"name": "gw", "note": "a gateway"})
ask("admin", "POST", "/v1/consumers", body={"name": "gw"}, status=409)
ask("admin", "POST", "/v1/consumers/gw/grants", "/v1/consumers/{name}/grants", {"credential": "claude", "deliver": ["access_token", "file"], "ttl_ms": 60000})
ask("admin", "POST", "/v1/consumers/gw/grants", "/v1/consumers/{name}/grants", {"credential": "key", "deliver": ["secret"], "uses": 5})
ask("admin", "GET", "/v1/consumers")
ask("admin", "GET", "/v1/consumers/gw", "/v1/consumers/{name}")
ask("gw", "GET", "/v1/whoami")
ask("gw", "GET", "/v1/grants")
for wish in ({"credential": "claude"}, {"credential": "claude", "deliver": "file", "owner": "none"}, {"credential": "key", "ttl_ms": 5000, "uses": 2}):
    lease = ask("gw", "POST", "/v1/leases", body=wish)
ask("gw", "POST", "/v1/leases", body={"credential": "none"}, status=403)
ask("gw", "POST", "/v1/leases", body={"credential": "key", "colour": "red"}, status=400)
ask("gw", "GET", "/v1/leases")
ask("gw", "GET", f"/v1/leases/{lease['id']}", "/v1/leases/{id}")
ask("gw", "POST", f"/v1/leases/{lease['id']}/renew", "/v1/leases/{id}/renew", {}, lease["token"])
ask("gw", "POST", f"/v1/leases/{lease['id']}/renew", "/v1/leases/{id}/renew", {}, lease["token"][:-1] + "x", status=401)
assert ask("gw", "POST", "/v1/token/introspect", body={"token": lease["token"]})["active"] is True
assert ask("gw", "POST", "/v1/token/introspect", body={"token": "nonsense"}) == {"active": False}
ask("admin", "POST", "/v1/consumers/gw/grants", "/v1/consumers/{name}/grants", {"credential": "key", "deliver": ["proxy", "secret"], "uses": 5, "budget": "requests: 600/h, cost: 1/d, concurrent: 2"})
assert ask("gw", "POST", "/v1/leases", body={"credential": "key", "deliver": "proxy"})["proxy_socket"] == "proxy.sock"
assert ask("admin", "GET", "/v1/budgets")["budgets"][0]["limits"][0]["left"] == 600
ask("admin", "GET", "/v1/budgets?consumer=gw", "/v1/budgets")
ask("admin", "GET", "/v1/budgets?consumer=none", "/v1/budgets", status=404)
ask("admin", "GET", "/v1/leases")
ask("admin", "GET", "/v1/leases?consumer=gw&credential=claude", "/v1/leases")
ask("gw", "DELETE", f"/v1/leases/{lease['id']}", "/v1/leases/{id}")
ask("admin", "POST", "/v1/revoke", body={"consumer": "gw"})
ask("admin", "POST", "/v1/revoke", body={"lease": lease["id"]}, status=404)
lines = ask("admin", "GET", "/v1/audit?after=0&limit=5", "/v1/audit").splitlines()
assert len(lines) == 5 and all(json.loads(l)["seq"] == i + 1 for i, l in enumerate(lines))
assert "credential_broker_leases_issued_total 4" in ask("admin", "GET", "/metrics")
ask("admin", "POST", "/v1/rekey")
ask("admin", "POST", "/v1/reload")
ask("admin", "DELETE", "/v1/consumers/gw/grants/key", "/v1/consumers/{name}/grants/{credential}")
ask("admin", "DELETE", "/v1/consumers/gw", "/v1/consumers/{name}")
ask("admin", "POST", "/v1/credentials/key/refresh", "/v1/credentials/{name}/refresh", status=409)
ask("admin", "POST", "/v1/credentials/none/refresh", "/v1/credentials/{name}/refresh", status=404)
ask("admin", "DELETE", "/v1/credentials/key", "/v1/credentials/{name}")
back = ask("admin", "POST", "/v1/credentials/claude/release", "/v1/credentials/{name}/release")
assert back["fields"]["REFRESH_TOKEN"] == json.load(open(f"{logins}/claude.json"))["claudeAiOauth"]["refreshToken"]
ask("admin", "POST", "/v1/credentials/none/release", "/v1/credentials/{name}/release", status=404)
assert ask("admin", "GET", "/v1/credentials/claude", "/v1/credentials/{name}")["state"] == "held"
assert ask("admin", "DELETE", "/v1/credentials/claude/release", "/v1/credentials/{name}/release") == {"resumed": "claude"}
assert ask("admin", "GET", "/v1/credentials/claude", "/v1/credentials/{name}")["state"] == "ok"
ask("admin", "DELETE", "/v1/credentials/none/release", "/v1/credentials/{name}/release", status=404)
login = ask("admin", "POST", "/v1/logins", body={"name": "c2", "provider": "claude", "flow": "page"})
ask("admin", "POST", "/v1/logins", body={"name": "c2", "provider": "claude", "flow": "fax"}, status=400)
ask("admin", "POST", "/v1/logins", body={"name": "claude", "provider": "claude", "flow": "page"}, status=409)
ask("admin", "POST", "/v1/logins", body={"name": "x", "provider": "codex", "flow": "loopback", "port": 1455})
ask("admin", "GET", f"/v1/logins/{login['id']}", "/v1/logins/{id}")
ask("admin", "POST", f"/v1/logins/{login['id']}/code", "/v1/logins/{id}/code", {"code": "c", "state": "not of this login"}, status=401)
assert ask("admin", "POST", f"/v1/logins/{login['id']}/code", "/v1/logins/{id}/code", {"error": "access_denied", "state": login["state"]})["status"] == "failed"
assert ask("admin", "GET", f"/v1/logins/{login['id']}", "/v1/logins/{id}")["error"] == "denied"
ask("admin", "DELETE", f"/v1/logins/{login['id']}", "/v1/logins/{id}")
ask("admin", "GET", f"/v1/logins/{login['id']}", "/v1/logins/{id}", status=404)
ask("admin", "POST", "/v1/store/accept", status=409)
ask("admin", "POST", "/v1/lock")
ask("admin", "GET", "/v1/credentials", status=503)
ask("admin", "POST", "/v1/unlock", body={})
documented = {(m.upper(), p) for p, ms in api["paths"].items() for m in ms if m != "parameters"}
assert seen == documented, f"never asked: {documented - seen}"
print(f"{len(seen)} operations, {checked} values held against their schemas")
PY
