#!/usr/bin/env python3
"""generate.py SEED N: N hostile requests on stdout, each a big-endian u32 length and so many bytes; the same for the same seed.

A third are rows of requests.txt with one to four mutations; the rest are composed: a request line, fields of framing in the spellings that
parsers differ about, a body that may or may not be what they say, and often a second request behind it. What is right to do with one is
for whoever reads them to say. \\T and \\K of the rows become the values of HOSTILE_TOKEN and HOSTILE_FOREIGN in the environment."""

import os
import random
import re
import struct
import sys

TOKEN = os.environ.get("HOSTILE_TOKEN", "sk-ant-api03-ours-0123456789").encode()
FOREIGN = os.environ.get("HOSTILE_FOREIGN", "sk-ant-api03-foreign-9876543210").encode()
LARGEST = 16 * 1024  # of a row that is mutated; the few larger ones are about size alone
ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|\*(\d+)\(([^)]*)\)|.)")
PLAIN = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\", "T": TOKEN, "K": FOREIGN}


def expand(text):
    out, at = [], 0
    for m in ESCAPE.finditer(text):
        out.append(text[at:m.start()].encode())
        at = m.end()
        if m[2]:
            out.append(expand(m[3]) * int(m[2]))
        elif m[1][0] == "x":
            out.append(bytes([int(m[1][1:], 16)]))
        else:
            out.append(PLAIN[m[1]])
    out.append(text[at:].encode())
    return b"".join(out)


def named_rows():
    """(name, verdicts, bytes) of each."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "requests.txt")
    with open(path, encoding="ascii") as f:
        lines = [line.rstrip("\n").split(" ", 2) for line in f if line.strip() and line[0] != "#"]
    return [(name, verdicts.split(","), expand(raw)) for name, verdicts, raw in lines]


def rows():
    return [raw for _, _, raw in named_rows() if len(raw) <= LARGEST]


SPICE = [b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b"\r\n ", b"\r\n\r\n", b":", b",", b";", b"/", b"//", b"/../", b"%2e", b"%2f", b"%00", b"%0d%0a", b"%25", b"#", b"?",
         b"\\", b"\x0b", b"\x7f", b"\x80", b"\xff", b"0", b"00", b"-", b"+", b"0x", b"chunked", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: evil\r\n",
         b"0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1", b"Upgrade: h2c\r\n", b"Expect: 100-continue\r\n", b"Connection: close\r\n"]


def mutate(rng, raw, others):
    raw = bytearray(raw)
    for _ in range(rng.randint(1, 4)):
        i = rng.randrange(len(raw) + 1)
        j = min(len(raw), i + rng.randint(1, 12))
        how = rng.randrange(7)
        if how == 0:
            raw[i:i] = rng.choice(SPICE)
        elif how == 1:
            del raw[i:j]
        elif how == 2:
            raw[i:j] = rng.choice(SPICE)
        elif how == 3 and i < len(raw):
            raw[i] = rng.randrange(256)
        elif how == 4:
            raw[i:i] = raw[i:j]
        elif how == 5:
            other = rng.choice(others)
            k = rng.randrange(len(other))
            raw[i:i] = other[k:k + rng.randint(1, 60)]
        elif i < len(raw):
            raw[i] ^= 1 << rng.randrange(8)
    return bytes(raw)


METHODS = [b"POST"] * 40 + [b"GET"] * 4 + [b"HEAD", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"CONNECT", b"TRACE", b"get", b"PRI", b""]
TARGETS = [b"/v1/messages"] * 40 + [b"/v1/models", b"/v1/messages?beta=true", b"/", b"*", b"http://evil/v1/messages", b"//evil/", b"/v1/../admin", b"/v1/%2e%2e/admin", b"/v1%2fmessages",
                                    b"/v1/messages;a", b"/v1/messages?key=" + FOREIGN, b"/v1/messages#", b"evil:443", b"/v1/messages/%252e", b"/v1/\\admin", b""]
VERSIONS = [b"HTTP/1.1"] * 40 + [b"HTTP/1.0"] * 3 + [b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.2", b"http/1.1", b"HTTP/1.1 ", b""]
HOSTS = [b"Host: localhost\r\n"] * 40 + [b"", b"Host: evil\r\n", b"Host: a\r\nHost: b\r\n", b"Host: a, b\r\n", b"Host : a\r\n", b"Host:\r\n", b" Host: a\r\n"]
NAMES = {"cl": [b"Content-Length"] * 24 + [b"content-length", b"Content_Length", b"Content-Length ", b" Content-Length", b"Content-Length\0", b"CONTENT-LENGTH"],
         "te": [b"Transfer-Encoding"] * 24 + [b"transfer-encoding", b"Transfer_Encoding", b"Transfer-Encoding ", b"\tTransfer-Encoding", b"Transfer-Encoding\x0b", b"TRANSFER-ENCODING"]}
CODINGS = [b"chunked"] * 24 + [b"Chunked", b"xchunked", b"chunked, identity", b"identity", b"gzip, chunked", b"chunked;a", b"\"chunked\"", b"\x0bchunked", b"chunked\0", b""]
COLONS = [b": "] * 40 + [b":", b":\t", b" : ", b":\r\n ", b":\n", b"::"]
ENDS = [b"\r\n"] * 150 + [b"\n", b"\r", b"\r\r\n", b"\r\n "]
KEYS = [b"Authorization: Bearer " + TOKEN, b"x-api-key: " + TOKEN, b"x-goog-api-key: " + TOKEN]
EXTRAS = [b"x-api-key: " + FOREIGN, b"Authorization: Bearer " + FOREIGN, b"Cookie: a=" + FOREIGN, b"Proxy-Authorization: Basic YTpi", b"Connection: close", b"Connection: keep-alive",
          b"Connection: x-api-key", b"Connection: content-length", b"Expect: 100-continue", b"Expect: x", b"Upgrade: websocket", b"TE: trailers", b"Trailer: x", b"X-A: b",
          b"X-HTTP-Method-Override: DELETE", b"X-Forwarded-Host: evil", b"X-A: b\0c", b"X-\xe4: b", b"X-A: \xe4", b"X_A: b", b"Accept: */*", b"User-Agent: x"]
SIZES = [b"%x"] * 60 + [b"%X", b"0%x", b"0x%x", b"+%x", b"-%x", b" %x", b"%x ", b"%x;a=b", b"%x\t", b"ffffffffffffffff%x", b"%xg", b"000000000000000%x"]


def chunks(rng, data):
    out = []
    while data:
        n = rng.randint(1, len(data))
        size = n + (rng.choice([-1, 1, 16]) if rng.random() < 0.04 else 0)
        out += [rng.choice(SIZES) % max(size, 0), rng.choice(ENDS), data[:n], rng.choice(ENDS)]
        data = data[n:]
    trailer = rng.choice([b""] * 8 + [b"X: y\r\n", b"Content-Length: 5\r\n", b"x-api-key: " + FOREIGN + b"\r\n"])
    return b"".join(out) + rng.choice([b"0"] * 12 + [b"00", b"0;a", b"-0", b"0 "]) + rng.choice(ENDS) + trailer + rng.choice(ENDS)


def framing(rng, body):
    """Fields and the body that some reader would think they tell of."""
    kind = rng.choice(["none", "cl", "cl", "cl", "te", "te", "te", "both", "clcl", "tete"])
    length = rng.choice([b"%d"] * 40 + [b"+%d", b"0%d", b"%d, %d", b"-%d", b"0x%x", b"%d ", b"%d\0", b"1%d", b"9999999999999999999%d"])
    length = length % ((len(body),) * length.count(b"%"))
    wire = chunks(rng, body) if kind in ("te", "both", "tete") else body
    def field(what, value):
        return rng.choice(NAMES[what]) + rng.choice(COLONS) + value + rng.choice(ENDS)
    coding = rng.choice(CODINGS)
    fields = {"none": [], "cl": [field("cl", length)], "te": [field("te", coding)], "both": [field("cl", length), field("te", coding)],
              "clcl": [field("cl", length), field("cl", rng.choice([length, b"0", b"5"]))], "tete": [field("te", coding), field("te", rng.choice(CODINGS))]}[kind]
    return fields, wire


def compose(rng, depth=0):
    method = rng.choice(METHODS)
    body = rng.choice([b"", b"hello", b'{"model":"m"}', b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n", b"0\r\n\r\nGET /admin HTTP/1.1\r\n"]) if rng.random() < 0.9 else rng.randbytes(rng.randint(1, 40))
    fields, wire = framing(rng, body if method in (b"POST", b"PUT", b"PATCH", b"DELETE") or rng.random() < 0.2 else b"")
    fields += [rng.choice(HOSTS)]
    fields += [rng.choice(KEYS) + b"\r\n"] if rng.random() < 0.9 else []
    fields += [rng.choice(EXTRAS) + rng.choice(ENDS) for _ in range(rng.randint(0, 3))]
    rng.shuffle(fields)
    line = rng.choice([b" "] * 60 + [b"  ", b"\t"]).join([method, rng.choice(TARGETS), rng.choice(VERSIONS)])
    raw = line + rng.choice(ENDS) + b"".join(fields) + rng.choice(ENDS) + wire
    if depth < 2 and rng.random() < 0.3:
        raw += compose(rng, depth + 1)
    return raw


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    rng, n, known, out = random.Random(int(sys.argv[1])), int(sys.argv[2]), rows(), sys.stdout.buffer
    for _ in range(n):
        raw = mutate(rng, rng.choice(known), known) if rng.random() < 1 / 3 else compose(rng)
        out.write(struct.pack(">I", len(raw)) + raw)


if __name__ == "__main__":
    main()
