#!/usr/bin/env python3
"""The table of tests/bench/run.sh.   report.py SAMPLES CREDENTIALS COMMIT FILESYSTEM ROUNDS
SAMPLES: lines "key value", one for each run. Figures are medians of the runs; the ratio is that of the two medians, and the range that of
the runs taken two by two. A bar that is missed is told with by how much of itself."""
import collections
import datetime
import os
import platform
import statistics
import sys

samples = collections.defaultdict(list)
path, many, commit, filesystem, rounds = sys.argv[1:6]
for line in open(path):
    key, value = line.split()
    samples[key].append(float(value))
many = "{:,}".format(int(many))

# title, ours, theirs (None: the bar is for our figure itself), "<=" or ">=", bar (None: only shown)
ROWS = [
    ("lease of a cached credential, a connection each, ours : oidc-agent", None),
    ("p50 µs, 1 client, sync: release", "one.release.p50_us", "one.oidc.p50_us", "<=", 1.0),
    ("p50 µs, 1 client, sync: every", "one.every.p50_us", "one.oidc.p50_us", "<=", 1.0),
    ("p50 µs, 1 client, sync: 100ms", "one.100ms.p50_us", "one.oidc.p50_us", "<=", 1.0),
    ("requests/s, 16 clients, sync: release", "many.release.rps", "many.oidc.rps", ">=", 2.0),
    ("requests/s, 16 clients, sync: every", "many.every.rps", "many.oidc.rps", ">=", 2.0),
    ("requests/s, 16 clients, sync: 100ms", "many.100ms.rps", "many.oidc.rps", ">=", 2.0),
    ("CPU µs/request, 16 clients, sync: 100ms", "many.100ms.cpu_us", "many.oidc.cpu_us", "<=", None),
    ("issue, kept alive, sync: 100ms, 16 clients, ours : munge_encode", None),
    ("requests/s", "issue.100ms.rps", "munge.rps", ">=", 2.0),
    ("CPU µs/request of the servers", "issue.100ms.cpu_us", "munge.cpu_us", "<=", 1.0),
    ("durable, kept alive, 64 clients, sync: release : 100ms", None),
    ("requests/s", "durable.release.rps", "durable.100ms.rps", ">=", 0.4),
    ("p50 µs", "durable.release.p50_us", "durable.100ms.p50_us", "<=", None),
    ("checking and carrying", None),
    ("token verified, µs", "verify.us", None, "<=", 2.0),
    ("token with 4 caveats verified, µs", "verify.narrowed_us", None, "<=", None),
    ("whoami through api and vault : bare libmicrohttpd, p50 µs", "whoami.release.p50_us", "whoami.floor.p50_us", "<=", 2.5),
    ("the same, CPU µs/request", "whoami.release.cpu_us", "whoami.floor.cpu_us", "<=", None),
    (many + " credentials : 10", None),
    ("lease p50 µs, kept alive", "size.many.p50_us", "size.ten.p50_us", "<=", 1.1),
    ("lease CPU µs/request", "size.many.cpu_us", "size.ten.cpu_us", "<=", 1.1),
    ("start to the first lease, ms", "start_many.ms", None, "<=", 1000.0),
    ("idle and start", None),
    ("PSS of all processes, KB", "idle.pss_kb", None, "<=", 8192.0),
    ("start to the first lease, ms", "start.ms", None, "<=", 40.0),
    ("broker-exec, bytes", "exec.bytes", None, "<=", 1048576.0),
    ("broker-exec adds to a program's start, ms", "exec.difference_ms", None, "<=", 5.0),
    ("broker-cli token, ms a call", "cli.other_ms", None, "<=", 5.0),
]


def number(v):
    return "{:,.0f}".format(v) if v >= 1000 else "{:.1f}".format(v) if v >= 10 else "{:.3g}".format(v)


def verdict(value, op, bar):
    if bar is None:
        return "", ""
    holds = value <= bar if op == "<=" else value >= bar
    by = value / bar - 1 if op == "<=" else 1 - value / bar
    return ("≤ " if op == "<=" else "≥ ") + number(bar), "holds" if holds else "MISSED by {:.0f} %".format(100 * by)


def row(title, ours, theirs, op, bar):
    missing = [k for k in (ours, theirs) if k and not samples[k]]
    if missing:
        return "  {:<58} no figure for {}".format(title, ", ".join(missing))
    mine = statistics.median(samples[ours])
    if not theirs:
        limit, said = verdict(mine, op, bar)
        return "  {:<58} {:>10} {:>10} {:>7} {:>13} {:>8}  {}".format(title, number(mine), "", "", "", limit, said)
    other = statistics.median(samples[theirs])
    pairs = [a / b for a, b in zip(samples[ours], samples[theirs])]
    limit, said = verdict(mine / other, op, bar)
    return "  {:<58} {:>10} {:>10} {:>7.2f} {:>13} {:>8}  {}".format(
        title, number(mine), number(other), mine / other, "{:.2f}-{:.2f}".format(min(pairs), max(pairs)), limit, said)


failed = sum(sum(v) for k, v in samples.items() if k.endswith(".failed"))
print("commit {}, {} UTC, Linux {}, {} cores, state on {}, {}".format(
    commit, datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M"), platform.release(), os.cpu_count(), filesystem, rounds))
print("  {:<58} {:>10} {:>10} {:>7} {:>13} {:>8}".format("", "ours", "theirs", "ratio", "range", "bar"))
lines = [r[0] if r[1] is None else row(*r) for r in ROWS]
print("\n".join(lines))
print("{} bars hold, {} missed; {:.0f} requests failed".format(
    sum(li.endswith("holds") for li in lines), sum("MISSED" in li for li in lines), failed))
