#!/usr/bin/env python3
"""judge.py KIND LOG PORT KEY FIRED BEGUN TOKEN: holds what an upstream understood (its log; FIRED: the counts of tests/fake/fire.c; BEGUN: how many
requests the broker's audit log says were let through) against the promise: as many whole requests as answers came from it, never more in
all than were let through, each with our Host, one credential, the real one, and without TOKEN. Prints a line of figures; exit 1."""
import json
import sys

kind, log, port, key, fired, begun, token = sys.argv[1:]
fired, begun, host = json.loads(fired), int(begun), "127.0.0.1:" + port
CREDENTIALS = {"authorization", "x-api-key", "x-goog-api-key", "api-key", "apikey", "x-authorization", "cookie", "proxy-authorization"}
wrong, whole, cut = [], 0, 0


def fault_of(r):
    """Of node's and python's lines, which have all fields."""
    fields = r["fields"]
    if [v for n, v in fields if n == "host"] != [host]:
        return "Host"
    if [(n, v) for n, v in fields if n.replace("_", "-") in CREDENTIALS] != [("x-api-key", key)]:
        return "credentials"
    if sum(n.replace("_", "-") in ("content-length", "transfer-encoding") for n, _ in fields) > 1 or r.get("trailers"):
        return "framing"
    if token in r["target"] or any(token in n + v for n, v in fields):
        return "something that must stay behind"
    return None


def fault_of_nginx(r):
    if r["host"] != host or r["key"] != key or any(r["others"]):
        return "Host or credentials"
    return "something that must stay behind" if token in r["line"] else None


if kind == "raw":
    lines = open(log).read().splitlines()
    counts = json.loads(lines[-1])
    wrong = lines[1:-1] if counts["violations"] else []
    whole, cut = counts["requests"], counts["partial"]
else:
    for line in open(log):
        r = json.loads(line)
        if "error" in r:
            wrong.append(line)
            continue
        if "cut" in r:
            cut += 1
            continue
        # 400 and 499: its client, the broker, was gone before the request was whole
        if kind == "nginx" and r["status"] in (400, 499) and r["method"]:
            cut += 1
        else:
            whole += 1
        fault = fault_of_nginx(r) if kind == "nginx" else fault_of(r)
        if fault:
            wrong.append(f"{fault}: {line}")
if whole != fired["upstream"]:
    wrong.append(f"{whole} requests were understood, {fired['upstream']} answered")
if whole + cut > begun:
    wrong.append(f"{whole} requests and {cut} beginnings, of {begun} that were let through")
if whole == 0:
    wrong.append("nothing arrived")
print(f"{kind}: {fired['frames']} fired, {begun} let through, {whole} arrived whole, {cut} in part; answers {fired['status']}")
for w in wrong[:20]:
    print("WRONG", w[:1500])
sys.exit(bool(wrong))
