#!/usr/bin/env python3
"""upstream_faults.py DIR: an upstream that does to a request what its x-fault header says, on plain TCP and on TLS with certificates of many
kinds. Prints a JSON object of its ports. What each port was sent is appended to DIR/PORT-NAME as one JSON line a connection: bytes of
requests, bytes of replies. DIR has the certificates (tests/integration/proxy-upstream-faults.sh makes them).

x-fault: FORM,END[,N]   FORM: one of REPLIES below; END: whole; rst or fin after N bytes of it; loop: its last part over and over; drip: 2,000 times, each by itself"""
import json
import os
import socket
import ssl
import struct
import sys
import threading
import time

home = sys.argv[1]
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
BODY = b'{"ok":true}'
LOOP_MAX = 64 << 20
ports = {}


def replies(port_of_target):
    return {
        "length": (OK + b"content-length: 11\r\n\r\n" + BODY,),
        "chunked": (OK + b"transfer-encoding: chunked\r\n\r\n6\r\n" + BODY[:6] + b"\r\n5\r\n" + BODY[6:] + b"\r\n0\r\n\r\n",),
        "close": (OK + b"connection: close\r\n\r\n" + BODY,),
        "garbage": (bytes(range(256)) * 8,),
        "ssh": (b"SSH-2.0-OpenSSH_9.2\r\n",),
        "zeros": (b"\0" * 4096,),
        "old": (b"HTTP/0.9 200\r\n\r\n",),
        "two-lengths": (OK + b"content-length: 11\r\ncontent-length: 12\r\n\r\n" + BODY,),
        "both": (OK + b"content-length: 11\r\ntransfer-encoding: chunked\r\n\r\nb\r\n" + BODY + b"\r\n0\r\n\r\n",),
        "coded": (OK + b"content-encoding: gzip\r\ncontent-length: 11\r\n\r\n" + BODY,),
        "101": (b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",),
        "redirect": (b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:%d/v1/messages\r\ncontent-length: 0\r\n\r\n" % port_of_target,),
        "redirect-name": (b"HTTP/1.1 302 Found\r\nlocation: https://localhost:%d/\r\ncontent-length: 0\r\n\r\n" % port_of_target,),
        "head": (b"HTTP/1.1 200 OK\r\n", b"x-more: 0123456789\r\n"),
        "line": (OK + b"x-more: ", b"0123456789"),
        "interim": (b"", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"),
        "size": (OK + b"transfer-encoding: chunked\r\n\r\n", b"0"),
        "extension": (OK + b"transfer-encoding: chunked\r\n\r\n5;a=", b"b"),
        "trailer": (OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", b"x-more: 0123456789\r\n"),
        "big-chunk": (OK + b"transfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\n",),
        "negative": (OK + b"content-length: -1\r\n\r\n" + BODY,),
        "silent": (b"",),
        "ones": (OK + b"transfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 20000 + b"0\r\n\r\n",),
        "more": (OK + b"content-length: 11\r\n\r\n" + BODY + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",),
    }


def record(name, got, sent):
    with open(f"{home}/seen-{name}", "a") as f:
        f.write(json.dumps({"got": got, "sent": sent}) + "\n")


def read_request(s):
    got = b""
    while b"\r\n\r\n" not in got:
        piece = s.recv(65536)
        if not piece:
            return got, None
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    while len(body) < int(fields.get(b"content-length", b"0")):
        piece = s.recv(65536)
        if not piece:
            break
        body += piece
    return got, fields.get(b"x-fault", b"length,whole").decode().split(",")


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    socket.socket.close(s)


def answer(s, fault):
    """(bytes sent, is another request welcome?)"""
    form, end = fault[0], fault[1]
    if form == "bytes":
        total = int(end) << 20
        s.sendall(OK + b"content-length: %d\r\n\r\n" % total)
        for _ in range(int(end)):
            s.sendall(b"x" * (1 << 20))
        return total, True
    parts = replies(ports["target"])[form]
    if end == "loop":
        sent, piece = len(parts[0]), parts[1] * (1 + 16384 // len(parts[1]))
        s.sendall(parts[0])
        while sent < LOOP_MAX:
            s.sendall(piece)
            sent += len(piece)
        return sent, False
    if end == "drip":
        for i in range(2000):
            s.sendall(parts[1])
            time.sleep(0.001)
        return 2000 * len(parts[1]), False
    if end == "whole":
        s.sendall(parts[0])
        if form == "silent":
            s.recv(1)
        return len(parts[0]), form != "close"
    n = int(fault[2])
    s.sendall(parts[0][:n])
    if end == "rst":
        time.sleep(0.002)
        reset(s)
    return n, False


def serve(raw, name, context):
    got, sent = 0, 0
    s = raw
    try:
        raw.settimeout(60)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            s = context.wrap_socket(raw, server_side=True, suppress_ragged_eofs=True)
        while True:
            request, fault = read_request(s)
            got += len(request)
            if fault is None:
                return
            n, more = answer(s, fault)
            sent += n
            if not more:
                return
    except (OSError, ValueError):
        pass
    finally:
        record(name, got, sent)
        socket.socket.close(s)  # without TLS's own goodbye


def listen(name, context=None):
    server = socket.create_server(("127.0.0.1", 0), backlog=256)
    ports[name] = server.getsockname()[1]
    def accept():
        while True:
            s, _ = server.accept()
            threading.Thread(target=serve, args=(s, name, context), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()


def tls(certificate, **limits):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.set_ciphers("ALL:@SECLEVEL=0")
    for k, v in limits.items():
        setattr(c, k, v)
    c.load_cert_chain(f"{home}/{certificate}.crt", f"{home}/{certificate}.key")
    return c


listen("target")
listen("plain")
for certificate in ("good", "othername", "expired", "selfsigned", "otherca"):
    listen(certificate, tls(certificate))
listen("tls12", tls("good", maximum_version=ssl.TLSVersion.TLSv1_2))
listen("tls11", tls("good", minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1))
listen("tls10", tls("good", minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1))
print(json.dumps(ports), flush=True)
threading.Event().wait()
