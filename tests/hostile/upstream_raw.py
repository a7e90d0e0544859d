#!/usr/bin/env python3
"""upstream_raw.py KEY TOKEN [ROUTE]: an upstream that reads the bytes themselves, twice and independently, and must come to one understanding.

Prints its port. Every connection has to be whole requests, one behind the other, the last one perhaps cut short. The strict reading takes
only what the broker may write; the lenient one takes whatever some server somewhere takes (bare LF, folded lines, white space around names,
`_` for `-`, several lengths) and has to find the same lines and the same framing. Each whole request is answered 204 with x-upstream.
ROUTE: what to expect instead of x-api-key with KEY, as JSON (routes.py upstream), and "cert", a file with certificate and key, "port".
On SIGTERM: a JSON object of counts on standard output, and a line per violation (at most 50) before it."""
import asyncio
import json
import re
import signal
import ssl
import sys
import urllib.parse

KEY, TOKEN = (a.encode() for a in sys.argv[1:3])
ROUTE = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {"credential": ["x-api-key", sys.argv[1]]}
EXPECTED = sorted((n.encode(), v.encode()) for n, v in [*([ROUTE["credential"]] if "credential" in ROUTE else []), *ROUTE.get("also", [])])
REPLY = b"HTTP/1.1 204 No Content\r\nx-upstream: raw\r\n\r\n"
LINE = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/[!-~]*) HTTP/1\.1\Z")
FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ([ -~\t]*)\Z")
SIZE = re.compile(rb"[0-9a-fA-F]{1,16}\Z")
CREDENTIALS = {b"authorization", b"x-api-key", b"x-goog-api-key", b"api-key", b"apikey", b"x-authorization", b"cookie", b"proxy-authorization"}
CREDENTIALS |= {n for n, _ in EXPECTED}
KEY_PARAMETERS = {b"key", b"api-key", b"token", b"access-token", b"auth", b"apikey"}
counts = {"connections": 0, "requests": 0, "partial": 0, "violations": 0}
methods = {}


def violation(what, data):
    counts["violations"] += 1
    if counts["violations"] <= 50:
        print(f"violation: {what}: {data[:600]!r}", flush=True)


def lenient(head):
    """(names, lengths, codings) as the most forgiving server would have them."""
    names, lengths, codings = [], [], []
    for line in re.split(rb"\r\n|\n|\r", head)[1:]:
        if not line.strip(b" \t\r\n\0\x0b\x0c"):
            continue
        name, _, value = line.partition(b":")
        name = name.strip(b" \t\0\x0b\x0c").replace(b"_", b"-").lower()
        names.append(name)
        if name == b"content-length":
            lengths.append(value.strip(b" \t\0\x0b\x0c"))
        if name == b"transfer-encoding":
            codings.append(value.strip(b" \t\0\x0b\x0c").lower())
    return names, lengths, codings


def strict(head):
    """(method, target, [(name, value)]), or a sentence."""
    first, *lines = head.split(b"\r\n")
    m = LINE.match(first)
    if not m:
        return "the request line"
    fields = []
    for line in lines:
        f = FIELD.match(line)
        if not f:
            return f"the line {line!r}"
        fields.append((f[1].lower(), f[2]))
    return m[1], m[2], fields


class Upstream(asyncio.Protocol):
    def connection_made(self, transport):
        counts["connections"] += 1
        self.transport, self.bytes, self.host = transport, b"", b"127.0.0.1:%d" % transport.get_extra_info("sockname")[1]

    def data_received(self, data):
        self.bytes += data
        while self.bytes:
            end = self.request()
            if end is None:
                return
            counts["requests"] += 1
            self.bytes = self.bytes[end:]
            self.transport.write(REPLY)

    def connection_lost(self, exc):
        if not self.bytes:
            return
        counts["partial"] += 1
        if b"\r\n\r\n" not in self.bytes:
            violation("a connection ends within a head", self.bytes)

    def bad(self, what):
        violation(what, self.bytes)
        self.bytes = b""
        self.transport.abort()

    def request(self):
        """Where the request at the front ends; None: not here yet, or it is a violation."""
        at = self.bytes.find(b"\r\n\r\n")
        if at < 0:
            return self.bad("no end of a head within 80 KB") if len(self.bytes) > 80 * 1024 else None
        head = self.bytes[:at]
        read = strict(head)
        if isinstance(read, str):
            return self.bad(read)
        method, target, fields = read
        why = self.judge(head, target, fields)
        if why:
            return self.bad(why)
        end = self.body(at + 4, dict(fields))
        if end:
            methods[method.decode()] = methods.get(method.decode(), 0) + 1
        return end

    def judge(self, head, target, fields):
        names, lengths, codings = lenient(head)
        values = lambda name: [v for n, v in fields if n == name]
        if [n.replace(b"_", b"-") for n, _ in fields] != names:
            return "the lenient reading finds other fields"
        if values(b"content-length") != lengths or values(b"transfer-encoding") != codings or len(lengths) + len(codings) > 1:
            return "the lenient reading finds another framing, or there are two"
        if any(not v.isdigit() or str(int(v)).encode() != v for v in lengths) or any(v != b"chunked" for v in codings):
            return "a framing that can be read otherwise"
        if values(b"host") != [self.host]:
            return "the Host is not ours alone"
        if sorted((n, v) for n, v in fields if n.replace(b"_", b"-") in CREDENTIALS) != EXPECTED:
            return "not exactly one credential, the real one"
        if TOKEN in head:
            return "a token"
        return self.judge_query(target) or self.judge_route(target, fields)

    def judge_query(self, target):
        name, value = (a.encode() for a in ROUTE.get("query", ("", "")))
        seen = []
        for pair in target.partition(b"?")[2].split(b"&"):
            this = urllib.parse.unquote_to_bytes(pair.partition(b"=")[0]).lower().replace(b"_", b"-").partition(b"[")[0]
            if name and this == name:
                seen.append(pair)
            elif this in KEY_PARAMETERS:
                return "a key in the query"
        return "not exactly one credential in the query, the real one" if seen != ([name + b"=" + value] if name else []) else None

    def judge_route(self, target, fields):
        if b"oauth/token" in target.partition(b"?")[0]:
            return "what is the broker's own to answer"
        if not target.startswith(ROUTE.get("prefix", "/").encode()):
            return "a path outside of the route's"
        if "merge" not in ROUTE:
            return None
        name, member = (a.encode() for a in ROUTE["merge"])
        lines = [v for n, v in fields if n.replace(b"_", b"-") == name]
        members = [m.strip() for v in lines for m in v.split(b",")]
        return None if len(lines) == 1 and members.count(member) == 1 else "not one line with one of the route's member"

    def body(self, at, fields):
        if b"content-length" in fields:
            end = at + int(fields[b"content-length"])
            return end if end <= len(self.bytes) else None
        if b"transfer-encoding" not in fields:
            return at
        while True:
            eol = self.bytes.find(b"\r\n", at)
            if eol < 0:
                return self.bad("the size of a chunk") if len(self.bytes) - at > 18 else None
            if not SIZE.match(self.bytes[at:eol]):
                return self.bad("the size of a chunk")
            size = int(self.bytes[at:eol], 16)
            at = eol + 2 + size
            if len(self.bytes) < at + 2:
                return None
            if self.bytes[at:at + 2] != b"\r\n":
                return self.bad("the end of a chunk, or a trailer")
            at += 2
            if size == 0:
                return at


async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    tls = None
    if "cert" in ROUTE:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(ROUTE["cert"])
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", ROUTE.get("port", 0), ssl=tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()
    print(json.dumps({**counts, "methods": methods}), flush=True)


asyncio.run(main())
