#!/usr/bin/env python3
"""load.py RUN SECONDS: mixed requests on the sockets of three consumers, until told otherwise. Every line on standard input is a token for a
consumer ("NAME TOKEN"): what it sends from then on. Small replies, streams, bodies of 200 KB with and without a length, clients that go
away in the middle. Prints a JSON object of counts at the end; what should have been served and was not is in "failed", with a few samples.

A request may fail without blame where the worker is gone (the line "kill" on standard input makes a connection's end harmless for 3 s),
or its lease (a 403 with a token that is not the newest, or one that was given out in the last second)."""
import asyncio
import collections
import json
import sys
import time

run, seconds = sys.argv[1], float(sys.argv[2])
tokens, since, counts, samples = {}, {}, collections.Counter(), []
harmless_until = 0.0


async def commands():
    global harmless_until
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode().split():
        if line[0] == "kill":
            harmless_until = time.monotonic() + 3
        else:
            tokens[line[0]], since[line[0]] = line[1], time.monotonic()


async def reply(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status, body = int(head.split(" ", 2)[1]), b""
    if "transfer-encoding: chunked" in head:
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
    else:
        at = head.find("content-length:")
        body = await reader.readexactly(int(head[at + 15:].split("\r\n")[0])) if at >= 0 else b""
    return status, body, "connection: close" in head


def request(token, kind, n):
    stream = b'"stream":true,' if kind == "stream" else b""
    padding = b"y" * 200_000 if kind == "large" else b""
    body = b'{"model":"claude-sonnet-4-5",%s"max_tokens":9,"messages":[{"role":"user","content":"%s"}]}' % (stream, padding)
    head = b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nx-api-key: %s\r\nanthropic-version: 2023-06-01\r\ncontent-type: application/json\r\n" % token.encode()
    if kind == "large" and n % 2:
        return head + b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    return head + b"content-length: %d\r\n\r\n%s" % (len(body), body)


async def client(name, number, until):
    n, reader, writer = number, None, None
    kinds = ("small", "small", "stream", "large", "gone")
    while time.monotonic() < until:
        kind, n = kinds[n % 5], n + 1
        if name not in tokens:
            await asyncio.sleep(0.01)
            continue
        token, begun = tokens[name], time.monotonic()
        try:
            if writer is None:
                reader, writer = await asyncio.open_unix_connection(f"{run}/{name}/proxy.sock")
            data = request(token, kind, n)
            writer.write(data if kind != "gone" else data[:len(data) * (n % 7 + 1) // 7])
            if kind == "gone":
                writer.close()
                writer = None
                counts["gone"] += 1
                continue
            await writer.drain()
            status, body, close = await asyncio.wait_for(reply(reader), 20)
            whole = b"message_stop" in body if kind == "stream" else b'"type"' in body
            stale = tokens[name] != token or begun < since[name] + 1
            if status == 200 and whole:
                counts[kind] += 1
            elif status == 403 and stale:
                counts["lease ended"] += 1
            elif time.monotonic() < harmless_until:
                counts["worker gone"] += 1
            else:
                raise ValueError(f"{status} {body[:200]!r}")
            if close:
                writer.close()
                writer = None
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.TimeoutError) as e:
            if writer:
                writer.close()
            writer = None
            if time.monotonic() < harmless_until:
                counts["worker gone"] += 1
            elif tokens[name] != token and kind != "gone":
                counts["lease ended"] += 1
            else:
                counts["failed"] += 1
                samples.append(f"{name} {kind}: {type(e).__name__} {e}")
            await asyncio.sleep(0.01)


async def main():
    until = time.monotonic() + seconds
    reading = asyncio.ensure_future(commands())
    await asyncio.gather(*(client(name, i, until) for name in ("one", "two", "three") for i in range(6)))
    reading.cancel()
    print(json.dumps({**counts, "samples": samples[:5]}), flush=True)


asyncio.run(main())
