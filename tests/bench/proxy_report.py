#!/usr/bin/env python3
"""The table of tests/bench/proxy.sh.   proxy_report.py SAMPLES COMMIT ROUNDS
Medians of the runs; the ratio is that of the medians, its range that of the runs taken two by two."""
import collections
import datetime
import platform
import statistics
import sys

path, commit, rounds = sys.argv[1:4]
samples = collections.defaultdict(list)
for line in open(path):
    key, value = line.split()
    samples[key].append(float(value))

ROWS = [  # title, key, figure, op, bar: a number is a ratio to nginx, a text an absolute value of ours
    ("CPU µs/request, 16 connections, TLS", "small16.tls", "cpu_us", "<=", 1.0),
    ("CPU µs/request, 64 connections, TLS", "small64.tls", "cpu_us", "<=", 1.0),
    ("CPU µs/request, 16 connections, plain", "small16.plain", "cpu_us", "<=", None),
    ("requests/s, 16 connections, TLS", "small16.tls", "rps", ">=", 1.0),
    ("requests/s, 64 connections, TLS", "small64.tls", "rps", ">=", 1.0),
    ("requests/s, 16 connections, plain", "small16.plain", "rps", ">=", None),
    ("p50 µs, 1 connection, TLS", "small1.tls", "p50_us", "<=", 1.0),
    ("p99 µs, 1 connection, TLS", "small1.tls", "p99_us", "<=", None),
    ("p50 µs, 1 connection, plain", "small1.plain", "p50_us", "<=", None),
    ("CPU µs/event, 500 TLS streams", "sse500.tls", "cpu_us", "<=", 1.0),
    ("CPU µs/event, 2,000 TLS streams", "sse2000.tls", "cpu_us", "<=", 1.0),
    ("CPU µs/event, 500 plain streams", "sse500.plain", "cpu_us", "<=", None),
    ("delay of an event, p50 µs, 500 TLS streams", "sse500.tls", "p50_us", "<=", 1.0),
    ("delay of an event, p99 µs, 500 TLS streams", "sse500.tls", "p99_us", "<=", None),
    ("KB per stream, 2,000 TLS streams", "memory.tls", "kb_per_stream", "<=", "30"),
    ("KB per stream, 2,000 plain streams", "memory.plain", "kb_per_stream", "<=", "4"),
    ("100 KB POST, CPU µs, TLS", "post.tls", "cpu_us", "<=", 1.0),
    ("100 KB POST, requests/s, TLS", "post.tls", "rps", ">=", None),
    ("client gone → upstream cancelled, p50 µs, TLS", "gone.tls", "p50_us", "<=", "10000"),
    ("client gone → upstream cancelled, p99 µs, TLS", "gone.tls", "p99_us", "<=", "10000"),
    ("60 MB to a reader that stalls: KB grown, TLS", "stall.tls", "grown_kb", "<=", "1024"),
]


def number(v):
    return "{:,.0f}".format(v) if v >= 1000 else "{:.1f}".format(v) if v >= 10 else "{:.3g}".format(v)


print("the proxy at commit %s, %s, %s rounds, Linux %s" % (commit, datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"), rounds, platform.release()))
print("| measure | ours | nginx | haproxy | ours : nginx | bar |")
print("|---|---|---|---|---|---|")
for title, key, figure, op, bar in ROWS:
    cells, med = [], {}
    for peer in ("ours", "nginx", "haproxy"):
        values = samples.get("%s.%s.%s" % (key, peer, figure))
        med[peer] = statistics.median(values) if values else None
        cells.append(number(med[peer]) if values else "–")
    ratio = verdict = ""
    if med["ours"] and med["nginx"]:
        r = med["ours"] / med["nginx"]
        pairs = [a / b for a, b in zip(samples["%s.ours.%s" % (key, figure)], samples["%s.nginx.%s" % (key, figure)]) if b]
        ratio = "%.2f (%.2f–%.2f)" % (r, min(pairs), max(pairs))
        if isinstance(bar, float):
            verdict = ("holds" if (r <= bar if op == "<=" else r >= bar) else "missed") + " (%s %.1f)" % (op, bar)
    if isinstance(bar, str) and med["ours"] is not None:
        verdict = ("holds" if med["ours"] <= float(bar) else "missed") + " (%s %s)" % (op, bar)
    print("| %s | %s | %s | %s | %s | %s |" % (title, *cells, ratio, verdict))
