#!/usr/bin/env python3
"""Changes a broker over its sockets and remembers in a file what must be there afterwards, whenever either of them is killed.

    changes.py RUN MODEL drive [OPS [COUNT]]   OPS: comma list of enroll,replace,remove,rekey,lease,renew,revoke (default: all); until
                                               the broker is gone or COUNT changes were asked for
    changes.py RUN MODEL turns OPS             for each line on stdin: check, "begun", drive, "over"
    changes.py RUN MODEL once OP               one change; prints "ok", "refused CODE" or "gone"
    changes.py RUN MODEL check                 what the broker has must be what the model says; then the model is what it has
    changes.py RUN MODEL serve                 lines on stdin: an OP, or "check"; each is answered by a line as above ("checked")
    changes.py RUN MODEL count                 acknowledged, refused
    changes.py RUN - ask WHO METHOD PATH [JSON [TOKEN]]    prints "STATUS BODY"

For each name and each lease the model holds what may be there: two things between asking and the answer, one after "done". A refusal or a
lost answer leaves both. The consumer is `gateway`, which must have grants of `secret` for c0 to c3.
"""
import json, os, random, socket, sys

NAMES = ["c0", "c1", "c2", "c3"]
RUN, MODEL = sys.argv[1:3]


class Gone(Exception):
    """The broker ended before it answered."""


class Link:
    """HTTP/1.1 by hand, because http.client takes longer to load than a broker to start."""

    def __init__(self, path):
        self.path, self.sock, self.file = path, None, None

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self.path)
        self.file = self.sock.makefile("rb")

    def ask(self, method, path, body, token):
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
        data = b"" if body is None else json.dumps(body).encode()
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
        if token:
            head += f"Authorization: Bearer {token}\r\n"
        try:
            if not self.sock:
                self.connect()
            self.sock.sendall(head.encode() + b"\r\n" + data)
            return self.answer()
        except OSError as e:
            raise Gone from e

    def answer(self):
        status = self.file.readline().split()
        length, close = 0, False
        while (line := self.file.readline().strip()):
            name, value = line.lower().split(b":", 1)
            length = int(value) if name == b"content-length" else length
            close = close or (name == b"connection" and value.strip() == b"close")
        text = self.file.read(length)
        if not status or len(text) < length:
            raise Gone
        if close:
            self.sock = None
        return int(status[1]), text


class Broker:
    def __init__(self):
        self.link = {n: Link(f"{RUN}/{n}/broker.sock") for n in ("admin", "gateway")}

    def ask(self, who, method, path, body=None, token=None):
        status, text = self.link[who].ask(method, path, body, token)
        return status, json.loads(text) if text else {}


class Model:
    def __init__(self):
        self.m = {"values": {n: [None] for n in NAMES}, "leases": {}, "serial": 0, "done": 0, "refused": 0, "random": 1}
        if os.path.exists(MODEL):
            self.m = json.load(open(MODEL))

    def save(self):
        with open(MODEL + ".new", "w") as f:
            json.dump(self.m, f)
        os.rename(MODEL + ".new", MODEL)

    def change(self, where, key, new, step):
        """`step` asks the broker; the model is ahead of it by one possibility until it answered."""
        old = self.m[where].get(key, [None])
        self.m[where][key] = old + [new]
        self.save()
        status, body = step()
        assert status not in (400, 404, 405), f"{key}: {status} {body}"
        if status < 300:
            self.m[where][key] = [new]
            self.m["done"] += 1
        else:
            self.m["refused"] += 1
        self.save()
        return status, body


def put(b, m, replace, name=None):
    have = [n for n in NAMES if m.m["values"][n][-1] is not None]
    free = [n for n in NAMES if n not in have]
    if not (have if replace else free):
        return put(b, m, not replace)
    name = name or random.choice(have if replace else free)
    m.m["serial"] += 1
    value = "value-%d-" % m.m["serial"] + "x" * random.choice([1, 40, 3000])
    if replace:
        return m.change("values", name, value, lambda: b.ask("admin", "PUT", "/v1/credentials/" + name, {"provider": "generic", "data": value}))
    body = {"name": name, "provider": "generic", "data": value}
    return m.change("values", name, value, lambda: b.ask("admin", "POST", "/v1/credentials", body))


def remove(b, m):
    have = [n for n in NAMES if m.m["values"][n][-1] is not None]
    if not have:
        return put(b, m, False)
    name = random.choice(have)
    for lease in m.m["leases"].values():  # the leases of a removed credential end with it
        if lease["of"] == name:
            lease["live"] = sorted(set(lease["live"] + [False]))
    return m.change("values", name, None, lambda: b.ask("admin", "DELETE", "/v1/credentials/" + name))


def rekey(b, m):
    status, body = b.ask("admin", "POST", "/v1/rekey")
    m.m["done" if status < 300 else "refused"] += 1
    m.save()
    return status, body


def issue(b, m):
    have = [n for n in NAMES if m.m["values"][n][-1] is not None]
    if not have:
        return put(b, m, False)
    name = random.choice(have)
    status, body = b.ask("gateway", "POST", "/v1/leases", {"credential": name, "deliver": "secret"})
    if status >= 300:
        m.m["refused"] += 1
    else:
        assert body["secret"] in m.m["values"][name], f"{name}: a lease gave {body['secret'][:12]}, not one of {m.m['values'][name]}"
        m.m["leases"][body["id"]] = {"token": body["token"], "live": [True], "of": name}
        m.m["done"] += 1
    m.save()
    return status, body


def renew(b, m):
    live = [i for i, l in m.m["leases"].items() if l["live"] == [True]]
    if not live:
        return issue(b, m)
    i = random.choice(live)
    status, body = b.ask("gateway", "POST", f"/v1/leases/{i}/renew", {}, m.m["leases"][i]["token"])
    if status < 300:
        m.m["leases"][i]["token"] = body["token"]
    m.m["done" if status < 300 else "refused"] += 1
    m.save()
    return status, body


def revoke(b, m):
    live = [i for i, l in m.m["leases"].items() if l["live"] == [True]]
    if not live:
        return issue(b, m)
    lease = m.m["leases"][random.choice(live)]
    i = next(k for k, l in m.m["leases"].items() if l is lease)
    lease["live"] = [True, False]
    m.save()
    status, body = b.ask("admin", "POST", "/v1/revoke", {"lease": i})
    if status < 300:
        lease["live"] = [False]
    m.m["done" if status < 300 else "refused"] += 1
    m.save()
    return status, body


def deny(b, m):
    """Nothing but a long line in the log."""
    return b.ask("gateway", "POST", "/v1/leases", {"credential": "x" * 64})


OPS = {
    "enroll": lambda b, m: put(b, m, False),
    "replace": lambda b, m: put(b, m, True),
    "remove": remove,
    "rekey": rekey,
    "lease": issue,
    "renew": renew,
    "revoke": revoke,
}
NO_CHANGE = {"deny": deny}


def drive(b, m, ops, count):
    for _ in range(count):
        try:
            {**OPS, **NO_CHANGE}[random.choice(ops)](b, m)
        except Gone:
            return


def once(b, m, op):
    try:
        status, body = OPS[op](b, m)
    except Gone:
        return print("gone")
    print("ok" if status < 300 else f"refused {status} {body.get('error')} {body.get('message')}")


def check_values(b, m):
    status, listed = b.ask("admin", "GET", "/v1/credentials")
    assert status == 200, f"the list: {status} {listed}"
    names = {c["name"] for c in listed["credentials"]}
    for name, may in m.m["values"].items():
        if name not in names:
            assert None in may, f"{name} is lost; it was {may[0][:12]}"
            m.m["values"][name] = [None]
            continue
        status, lease = b.ask("gateway", "POST", "/v1/leases", {"credential": name, "deliver": "secret"})
        assert status < 300, f"{name} cannot be read: {status} {lease}"
        assert lease["secret"] in may, f"{name} is {lease['secret'][:12]}, not one of {[v and v[:12] for v in may]}"
        m.m["values"][name] = [lease["secret"]]
        b.ask("gateway", "DELETE", "/v1/leases/" + lease["id"])


def check_leases(b, m):
    for i, lease in list(m.m["leases"].items()):
        status, said = b.ask("gateway", "POST", "/v1/token/introspect", {"token": lease["token"]})
        assert status == 200, f"introspection: {status} {said}"
        assert said["active"] in lease["live"], f"lease {i} of {lease['of']}: active is {said['active']}, not {lease['live']}"
        lease["live"] = [said["active"]]
        if not said["active"] and len(m.m["leases"]) > 40:
            del m.m["leases"][i]
    live = [i for i, l in m.m["leases"].items() if l["live"] == [True]]
    for i in live[20:]:
        b.ask("gateway", "DELETE", "/v1/leases/" + i)
        del m.m["leases"][i]


def check(b, m):
    check_values(b, m)
    check_leases(b, m)
    m.save()


def serve(m):
    for line in sys.stdin:
        b, what = Broker(), line.strip()
        if what != "check":
            once(b, m, what)
        else:
            check(b, m)
            print("checked")
        sys.stdout.flush()


def turns(m, ops):
    for _ in sys.stdin:
        b = Broker()
        check(b, m)
        print("begun", flush=True)
        drive(b, m, ops, 1 << 30)
        print("over", flush=True)


def ask(who, method, path, body="", token=None):
    status, text = Link(f"{RUN}/{who}/broker.sock").ask(method, path, json.loads(body) if body else None, token)
    print(status, text.decode())


def main():
    if sys.argv[3] == "ask":
        return ask(*sys.argv[4:])
    b, m = Broker(), Model()
    random.seed(os.environ.get("CHANGES_SEED") or None)
    verb, rest = sys.argv[3], sys.argv[4:]
    if verb == "drive":
        ops = rest[0].split(",") if rest and rest[0] else list(OPS)
        return drive(b, m, ops, int(rest[1]) if len(rest) > 1 else 1 << 30)
    if verb == "once":
        return once(b, m, rest[0])
    if verb == "serve":
        return serve(m)
    if verb == "turns":
        return turns(m, rest[0].split(","))
    if verb == "check":
        return check(b, m)
    print(f"{m.m['done']} acknowledged, {m.m['refused']} refused")


try:
    main()
except (AssertionError, Gone) as e:
    print(f"changes: {e or 'the broker is gone'}", flush=True)
    sys.exit(1)
