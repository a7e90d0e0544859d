#!/usr/bin/env python3
"""slow.py RUN TOKEN-OF-drip IDLE: clients that take places and time, each kind from a consumer of its own, until it is terminated.

    idle1, idle2 …   IDLE silent connections, 2,000 of each consumer
    full             as many as its quota gives, and 200 beyond: those have to be told 503 at once
    drip             heads and bodies at a byte every 100 ms, heads of 60 KB at once again and again, and requests whose replies nobody reads

Prints a JSON object when all are there, and what is refused of `full`; then goes on."""
import json
import os
import selectors
import socket
import sys
import time

run, token, idle_total = sys.argv[1], sys.argv[2], int(sys.argv[3])
HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nx-api-key: %s\r\ncontent-type: application/json\r\n" % token.encode()


def connect(consumer):
    s = socket.socket(socket.AF_UNIX)
    while True:
        try:
            s.connect(f"{run}/{consumer}/proxy.sock")
            return s
        except BlockingIOError:
            time.sleep(0.001)


def is_refused(s):
    s.settimeout(5)
    try:
        return s.recv(4096).startswith(b"HTTP/1.1 503 ") and s.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


idle = [connect(f"idle{1 + i // 2000}") for i in range(idle_total)]
full = [connect("full") for _ in range(2048)]
time.sleep(0.2)
over = [connect("full") for _ in range(200)]
from_ = time.monotonic()
refused = sum(is_refused(s) for s in over)
took = time.monotonic() - from_
for s in idle + full:
    s.setblocking(False)
    try:
        if s.recv(100) is not None:
            sys.exit("an idle connection was closed")
    except BlockingIOError:
        pass

drips, greedy = [], []
for i in range(400):
    s = connect("drip")
    s.setblocking(False)
    drips.append([s, (HEAD if i % 2 else HEAD + b"content-length: 2000\r\n\r\n"), 0, i % 2])
for i in range(20):
    s = connect("drip")
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.sendall(HEAD + b"x-big: 1\r\ncontent-length: 0\r\n\r\n")
    greedy.append(s)
print(json.dumps({"idle": len(idle), "full": len(full), "refused": refused, "refused_ms": round(took * 1000)}), flush=True)
padding = HEAD + b"".join(b"x-%d: %s\r\n" % (i, b"a" * 600) for i in range(90)) + b"\r\n"
ended = 0
while True:
    for d in drips:
        s, head, at, is_head = d
        try:
            if at == 0 and not is_head:
                s.send(head)
            s.send(head[at:at + 1] if is_head and at < len(head) else b"x: y\r\n"[at % 6:at % 6 + 1] if is_head else b"x")
            d[2] += 1
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            ended += 1
            s.close()
            d[0], d[2] = connect("drip"), 0
            d[0].setblocking(False)
    s = connect("drip")
    s.sendall(padding)
    s.close()
    time.sleep(0.1)
