#!/usr/bin/env python3
"""A fake provider on loopback: Anthropic, OpenAI, ChatGPT and Gemini in one server, which is strict about what reaches it.

    provider.py --expect KIND=VALUE … [--record FILE] [--tls CERT KEY] [--unix PATH] [--fault FAULT] …

Prints the port on standard output and serves until it is terminated. KIND says how the credential comes:
    anthropic   x-api-key                                     openai   Authorization: Bearer
    claude      Authorization: Bearer, and oauth-2025-04-20   chatgpt  Authorization: Bearer, and chatgpt-account-id (VALUE is TOKEN,ACCOUNT)
                in anthropic-beta                             gemini   x-goog-api-key
    anthropic-bearer  Authorization: Bearer, which is how the SDK sends an API key
@FILE for VALUE: what the file holds. Exactly one credential may come, of a kind that belongs to the path, with its value; the Host must be
ours; what --never names (default: the marker of the broker's tokens) must come nowhere. Anything else is answered 401, and is a violation.

--record appends one JSON object per request when it has come ("event": "begin") and one when it has ended ("end"): method, path, names of query parameters and headers, SHA-256 of credentials,
size of the body, model, violations, status, bytes sent, whether the reader was gone before the end. Never a value.

FAULT is NAME=ARGUMENT, with *N behind it for the first N requests only (a credential that is wrong is refused before any fault):
    status=401|429|529|…  that error            first-byte=SECONDS  silence before the answer     chunk-delay=SECONDS  between two events
    cut=BYTES  ends the connection so far in    write=BYTES  writes of at most this size           repeat=N  the answer's text N times
    echo=raw|base64|base64+1|base64+2|base64url|hex|HEX|url|json  the credential stands in the answer (and in an error's message)
    echo-header=…  in a header of the answer

--control FILE is read at each request. A line `expire=WORD` ends the access tokens when WORD is a new one; a line `token=FAULT` is what the token
endpoints do:  status=N   slow=SECONDS (before anything is done)   hang   lose (the tokens are rotated, and no answer comes)   cut=BYTES (so far in,
after the rotation)   garbage   flood (two gigabytes)   html. `token=FAULT*N` is for the first N requests. Further lines: authorize.py, which plays
the providers' logins (authorize pages, code exchanges, device grants).
"""
import argparse
import asyncio
import base64
import ctypes
import ctypes.util
import hashlib
import json
import ssl
import sys
import time
import urllib.parse

import authorize
import dialects
import tokens

HEAD_MAX, BODY_MAX = 256 * 1024, 64 * 1024 * 1024
CREDENTIAL_HEADERS = ("authorization", "x-api-key", "x-goog-api-key", "api-key", "proxy-authorization", "cookie")
CREDENTIAL_QUERIES = ("key", "api_key", "access_token", "token")
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 426: "Upgrade Required", 429: "Too Many Requests"}

KINDS = ("anthropic", "anthropic-bearer", "claude", "openai", "chatgpt", "gemini")
ANTHROPIC = ("anthropic", "anthropic-bearer", "claude")
# (method, path: a whole one, or the end of one below /v1beta/, credential kinds, dialect of its errors, maker of the answer)
# Token endpoints: path → kind of credential that is renewed there. No credential comes in a header.
RENEWALS = {"/v1/oauth/token": "claude", "/oauth/token": "chatgpt"}
ROUTES = (
    ("POST", "/v1/messages", ANTHROPIC, "anthropic", dialects.anthropic_message),
    ("POST", "/v1/messages/count_tokens", ANTHROPIC, "anthropic", dialects.anthropic_count),
    ("GET", "/v1/models", ANTHROPIC, "anthropic", dialects.anthropic_models),
    ("GET", "/v1/models", ("openai",), "openai", dialects.openai_models),
    ("POST", "/v1/responses", ("openai",), "openai", dialects.openai_response),
    ("POST", "/v1/chat/completions", ("openai",), "openai", dialects.openai_chat),
    ("GET", "/backend-api/codex/models", ("chatgpt",), "openai", dialects.openai_models),
    ("POST", "/backend-api/codex/responses", ("chatgpt",), "openai", dialects.openai_response),
    ("GET", "/backend-api/wham/accounts/check", ("chatgpt",), "openai", dialects.chatgpt_accounts),
    ("GET", "/v1beta/models", ("gemini",), "gemini", dialects.gemini_models),
    ("POST", "*:generateContent", ("gemini",), "gemini", dialects.gemini_generate),
    ("POST", "*:streamGenerateContent", ("gemini",), "gemini", dialects.gemini_stream),
    ("POST", "*:countTokens", ("gemini",), "gemini", dialects.gemini_count),
)


def same_path(pattern, path):
    if pattern[0] == "*":
        return path.startswith("/v1beta/") and path.endswith(pattern[1:])
    return path == pattern


class Refused(Exception):
    """The bytes are no HTTP request that this server reads; it closes."""


class Fault:
    def __init__(self, text):
        body, _, times = text.partition("*")
        self.name, _, self.argument = body.partition("=")
        self.left = int(times) if times else None
        if self.name not in ("status", "first-byte", "chunk-delay", "cut", "write", "repeat", "echo", "echo-header"):
            sys.exit(f"unknown fault: {self.name}")

    def take(self):
        if self.left is not None:
            self.left -= 1
        return self.argument


def encoded(secret, how):
    raw = secret.encode()
    forms = {
        "raw": lambda: secret,
        "base64": lambda: base64.b64encode(raw).decode(),
        "base64+1": lambda: base64.b64encode(b"x" + raw).decode(),
        "base64+2": lambda: base64.b64encode(b"xy" + raw).decode(),
        "base64url": lambda: base64.urlsafe_b64encode(raw).decode(),
        "hex": raw.hex,
        "HEX": lambda: raw.hex().upper(),
        "url": lambda: "".join(f"%{b:02X}" for b in raw),
        "json": lambda: "".join(f"\\u{b:04x}" for b in raw),
    }
    return forms[how]()


def unzstd(data):
    """Through the C library that Debian's dpkg needs anyway; None where it is not there or the frame is broken."""
    name = ctypes.util.find_library("zstd")
    if not name:
        return None
    lib = ctypes.CDLL(name)
    lib.ZSTD_decompress.restype = ctypes.c_size_t
    room = ctypes.create_string_buffer(BODY_MAX)
    n = lib.ZSTD_decompress(room, ctypes.c_size_t(BODY_MAX), data, ctypes.c_size_t(len(data)))
    return None if lib.ZSTD_isError(ctypes.c_size_t(n)) else room.raw[:n]


class Request:
    def __init__(self, head):
        try:
            first, *lines = head.decode("latin-1").split("\r\n")
            self.method, target, self.version = first.split(" ")
            self.headers = [(n.lower(), v.strip()) for n, v in (line.split(":", 1) for line in lines)]
        except ValueError:
            raise Refused("no request head") from None
        self.path, _, query = target.partition("?")
        self.query = urllib.parse.parse_qsl(query, keep_blank_values=True)
        self.head, self.body = head, b""

    def values(self, name):
        return [v for n, v in self.headers if n == name]

    def value(self, name):
        return ", ".join(self.values(name))

    def asked(self):
        """The body as an object; {} where it is none."""
        body = unzstd(self.body) if self.value("content-encoding") == "zstd" else self.body
        try:
            ask = json.loads(body or b"{}")
        except ValueError:
            ask = {}
        return ask if isinstance(ask, dict) else {}

    def credentials(self):
        """(where, value) of everything that could be one."""
        in_query = [("?" + n, v) for n, v in self.query if n in CREDENTIAL_QUERIES]
        return [(n, v) for n, v in self.headers if n in CREDENTIAL_HEADERS] + in_query


async def read_chunked(reader):
    body = b""
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        if size + len(body) > BODY_MAX:
            raise Refused("body too large")
        body += (await reader.readexactly(size + 2))[:size]
        if size == 0:
            return body


async def read_request(reader, writer):
    """None: the peer has ended the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as e:
        if e.partial:
            raise Refused("half a head") from None
        return None
    request = Request(head[:-4])
    if request.value("expect").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if request.values("transfer-encoding"):
        request.body = await read_chunked(reader)
    elif request.values("content-length"):
        length = int(request.value("content-length"))
        if length > BODY_MAX:
            raise Refused("body too large")
        request.body = await reader.readexactly(length)
    return request


class Provider:
    def __init__(self, options):
        self.expect = options.expect
        self.never = options.never
        self.hosts = set(options.host)
        self.faults = options.fault
        self.answer = options.answer
        self.tokens = tokens.Tokens(self.expect, options.refresh, options.life, options.grace, options.family)
        self.control, self.expired, self.token_faults = options.control, "", {}
        self.logins, self.said = authorize.Logins(self.tokens, options.issued), {}
        self.record_file = open(options.record, "a", buffering=1) if options.record else None
        self.count = 0

    # ---- what may come

    def route(self, request):
        """(credential kinds, dialect, maker) of its path: of two rows for one, the row whose credential is expected here."""
        rows = [r for r in ROUTES if r[0] == request.method and same_path(r[1], request.path)]
        versioned = bool(request.values("anthropic-version"))
        rows.sort(key=lambda r: (not any(k in self.expect for k in r[2]), (r[2] == ANTHROPIC) != versioned))
        return rows[0][2:] if rows else None

    def fits(self, request, kind, where, value):
        """Is this the credential of this kind? The reason why not, or None."""
        wanted, _, account = self.expect[kind].partition(",")
        header = {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}.get(kind, "authorization")
        if where != header:
            return f"credential in {where}, not {header}"
        if value != ("Bearer " + wanted if header == "authorization" else wanted):
            return f"another value in {where}"
        if kind == "claude" and "oauth-2025-04-20" not in [b.strip() for b in request.value("anthropic-beta").split(",")]:
            return "no oauth-2025-04-20 in anthropic-beta"
        if kind == "chatgpt" and request.values("chatgpt-account-id") != [account]:
            return "no chatgpt-account-id, or another"
        return None

    def violations(self, request, kinds):
        found = []
        for marker in self.never:
            if marker.encode() in request.head or marker.encode() in request.body:
                found.append("a placeholder came through")
        if len(request.values("host")) != 1 or request.value("host") not in self.hosts:
            found.append("Host is not ours")
        got = request.credentials()
        if request.path in RENEWALS:
            kinds = None
            if got:
                found.append("a credential where tokens are renewed")
        if kinds is not None:
            if len(got) != 1:
                found.append(f"{len(got)} credentials: {', '.join(w for w, _ in got) or 'none'}")
            else:
                reasons = [self.fits(request, k, *got[0]) for k in kinds if k in self.expect] or ["no credential is expected there"]
                if None not in reasons:
                    found.append("; ".join(reasons))
        return found

    # ---- what happens with it

    def fault(self, name):
        for f in self.faults:
            if f.name == name and f.left != 0:
                return f.take()
        return None

    def read_control(self):
        """The fault of the token endpoints now: (name, argument), or none."""
        lines = []
        if self.control:
            try:
                with open(self.control) as f:
                    lines = f.read().split()
            except FileNotFoundError:
                pass
        said = self.said = dict(line.partition("=")[::2] for line in lines)
        if said.get("expire", self.expired) != self.expired:
            self.expired = said["expire"]
            self.tokens.expire()
        return said.get("token", "")

    def token_fault(self):
        text = self.read_control()
        fault, _, times = text.partition("*")
        if times:
            self.token_faults[text] = self.token_faults.get(text, 0) + 1
            if self.token_faults[text] > int(times):
                return "", ""
        name, _, argument = fault.partition("=")
        return name, argument

    async def serve_token(self, request, writer, line):
        """One request to a token endpoint, with its fault. False: the connection ends."""
        name, argument = self.token_fault()
        line["fault"] = name or None
        if name in ("slow", "hang"):
            await asyncio.sleep(float(argument) if name == "slow" else 3600)
        headers = []
        if name == "status":
            line["status"], data = int(argument), {"error": {"400": "invalid_client", "429": "rate_limited"}.get(argument, "temporarily_unavailable")}
            headers = ["retry-after: 1"] if argument == "429" else []
        else:
            line["status"], data = self.tokens.answer(RENEWALS[request.path], request.asked())
        body = json.dumps(data).encode()
        if name == "lose":
            return False
        if name in ("garbage", "html"):
            body = b"<html>a proxy between says hello</html>" if name == "html" else bytes(range(256)) * 4
        length = 2 << 30 if name == "flood" else len(body)
        head = [f"HTTP/1.1 {line['status']} {REASONS.get(line['status'], 'Fault')}", "content-type: application/json", f"content-length: {length}", *headers]
        writer.write(("\r\n".join(head) + "\r\n\r\n").encode())
        if name == "flood":
            for _ in range(2 << 14):
                writer.write(bytes(1 << 16))
                await writer.drain()
        writer.write(body[: int(argument)] if name == "cut" else body)
        await writer.drain()
        return name not in ("cut", "flood")

    def echo(self, request, how):
        value = (request.credentials() or [("", "")])[0][1]
        return encoded(value.removeprefix("Bearer "), how)

    def reply(self, request, line):
        """(status, headers, content type, pieces) for a request."""
        route = self.route(request)
        kinds, dialect, maker = route or (None, "openai", None)
        line["violations"] = self.violations(request, kinds)
        error = dialects.ERRORS[dialect]
        if line["violations"]:
            return 401, [("x-should-retry", "false")], *dialects.plain(error(401, "; ".join(line["violations"])))
        if request.values("upgrade"):
            return 426, [], *dialects.plain(error(426, "no WebSocket here"))
        if not route:
            line["unknown"] = True
            return 404, [], *dialects.plain(dialects.no_such_model(request.path))
        text, headers = self.answer, []
        if echo := self.fault("echo"):
            text += " " + self.echo(request, echo)
        if echo := self.fault("echo-header"):
            headers.append(("x-echo", self.echo(request, echo)))
        if status := self.fault("status"):
            headers.append(("retry-after", "1"))
            return int(status), headers, *dialects.plain(error(int(status), "a fault was asked for: " + text))
        ask = {**request.asked(), "_account": self.expect.get("chatgpt", "").partition(",")[2]}
        line["model"], line["stream"] = ask.get("model"), bool(ask.get("stream")) or request.path.endswith(":streamGenerateContent")
        return 200, headers, *maker(ask, text + (" " + text) * (int(self.fault("repeat") or 1) - 1))

    async def send(self, writer, line, data, cut):
        """One chunk of the body. False: the connection is to be cut here."""
        if cut is not None and line["sent"] + len(data) >= cut:
            data = data[: cut - line["sent"]]
            writer.write(f"{len(data) + 1:x}\r\n".encode() + data)
            line["sent"] += len(data)
            await writer.drain()
            return False
        writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        line["sent"] += len(data)
        await writer.drain()
        return True

    async def send_body(self, writer, line, pieces):
        delay, size, cut = self.fault("chunk-delay"), self.fault("write"), self.fault("cut")
        for n, piece in enumerate(pieces):
            if delay and n:
                await asyncio.sleep(float(delay))
            step = int(size) if size else len(piece)
            for at in range(0, len(piece), step):
                if not await self.send(writer, line, piece[at : at + step], int(cut) if cut else None):
                    return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def serve_login(self, writer, line, answer):
        line["status"], headers, data = answer
        line["fault"] = "login"
        text, kind = (data, "text/plain") if isinstance(data, str) else (json.dumps(data), "application/json")
        head = [f"HTTP/1.1 {line['status']} {REASONS.get(line['status'], 'Fault')}", f"content-type: {kind}", f"content-length: {len(text.encode())}"]
        writer.write(("\r\n".join(head + [f"{n}: {v}" for n, v in headers]) + "\r\n\r\n" + text).encode())
        await writer.drain()
        return True

    async def serve_one(self, request, writer, line):
        self.read_control()
        if not self.violations(request, None) and (answer := self.logins.answer(request, self.said)):
            return await self.serve_login(writer, line, answer)
        if request.path in RENEWALS and request.method == "POST" and not self.violations(request, None):
            return await self.serve_token(request, writer, line)
        self.read_control()
        status, headers, content_type, pieces = self.reply(request, line)
        line["status"] = status
        if silence := self.fault("first-byte"):
            await asyncio.sleep(float(silence))
        head = [f"HTTP/1.1 {status} {REASONS.get(status, 'Fault')}", f"content-type: {content_type}", "request-id: req_fake"]
        head += [f"{n}: {v}" for n, v in headers]
        if request.method == "HEAD":
            writer.write(("\r\n".join(head + ["content-length: 0"]) + "\r\n\r\n").encode())
            return True
        writer.write(("\r\n".join(head + ["transfer-encoding: chunked"]) + "\r\n\r\n").encode())
        return await self.send_body(writer, line, pieces)

    def record(self, event, line):
        if self.record_file:
            self.record_file.write(json.dumps({"event": event, **line}) + "\n")

    def line(self, request):
        self.count += 1
        digests = {w: hashlib.sha256(v.encode()).hexdigest() for w, v in request.credentials()}
        return {"n": self.count, "begun": time.time(), "method": request.method, "path": request.path, "query": [n for n, _ in request.query],
                "host": request.value("host"), "headers": [n for n, _ in request.headers], "credentials": digests, "body": len(request.body),
                "encoding": request.value("content-encoding") or None, "status": None, "sent": 0, "violations": []}

    async def watched(self, request, reader, writer, line):
        """Serves one request, and stops when the reader has gone."""
        work = asyncio.ensure_future(self.serve_one(request, writer, line))
        gone = asyncio.ensure_future(self.gone(reader))
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if not work.done():
            work.cancel()
            line["gone"] = True
            return False
        if work.exception():
            line["gone"] = True
            return False
        return work.result()

    @staticmethod
    async def gone(reader):
        """Returns when the peer has ended its side or reset; bytes of a next request are not touched."""
        while not reader.at_eof() and reader.exception() is None:
            await asyncio.sleep(0.002)

    async def connection(self, reader, writer):
        try:
            while (request := await read_request(reader, writer)) is not None:
                line = self.line(request)
                self.record("begin", {"n": line["n"], "path": request.path})
                try:
                    keep = await self.watched(request, reader, writer, line)
                finally:
                    line["ended"] = time.time()
                    self.record("end", line)
                if not keep or "close" in request.value("connection").lower():
                    return
        except ConnectionError as e:  # between two requests: how some clients end
            self.record("reset", {"reason": str(e)})
        except (Refused, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as e:
            self.record("broken", {"reason": str(e)})
        finally:
            writer.close()


def expectation(text):
    kind, _, value = text.partition("=")
    if kind not in KINDS or not value:
        raise argparse.ArgumentTypeError("KIND=VALUE, and KIND one of " + ", ".join(KINDS))
    if value.startswith("@"):
        with open(value[1:]) as f:
            value = f.read().strip()
    return kind, value


def parse(argv):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--expect", type=expectation, action="append", default=[], metavar="KIND=VALUE")
    p.add_argument("--refresh", type=expectation, action="append", default=[], metavar="KIND=VALUE", help="refresh token of claude or chatgpt; it is good once")
    p.add_argument("--never", action="append", metavar="TEXT", help="must come in no request (default: cbrk1_)")
    p.add_argument("--life", type=int, default=28800, metavar="SECONDS", help="of an access token that comes of a refresh")
    p.add_argument("--grace", type=float, default=0, metavar="SECONDS", help="a used refresh token still works that long")
    p.add_argument("--family", action="store_true", help="a refresh token used twice ends the whole login")
    p.add_argument("--control", metavar="FILE")
    p.add_argument("--issued", metavar="FILE", help="gets a line for each code, token and verifier of a login")
    p.add_argument("--host", action="append", default=[], help="accepted as Host too, beside 127.0.0.1:PORT and localhost:PORT")
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    p.add_argument("--unix", metavar="PATH", help="serve there too")
    p.add_argument("--record", metavar="FILE")
    p.add_argument("--answer", default=dialects.ANSWER)
    p.add_argument("--fault", type=Fault, action="append", default=[])
    options = p.parse_args(argv)
    options.expect, options.refresh = dict(options.expect), dict(options.refresh)
    options.never = ["cbrk1_"] if options.never is None else [n for n in options.never if n]
    return options


async def main(options):
    provider = Provider(options)
    context = None
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options.tls)
    server = await asyncio.start_server(provider.connection, "127.0.0.1", options.port, ssl=context, limit=HEAD_MAX)
    port = server.sockets[0].getsockname()[1]
    provider.hosts |= {f"127.0.0.1:{port}", f"localhost:{port}"}
    if options.unix:
        provider.hosts.add("localhost")
        await asyncio.start_unix_server(provider.connection, options.unix, limit=HEAD_MAX)
    print(port, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main(parse(sys.argv[1:])))
    except KeyboardInterrupt:
        pass
