#!/usr/bin/env python3
"""Runs the real clients against the fake provider: directly, and through the broker. Wants fresh network and mount namespaces: start run.sh.

    matrix.py BUILD CLIENTS [--only TEXT] [--way direct|broker|gateway|session] [--table FILE] [--keep]

Each cell (a row of rows.py, one way) is one assertion made of many: the prompt was answered with the provider's text, in pieces where the client
shows pieces; the provider saw the right credential in the right header, once, and nothing of the broker's tokens; no other host was tried; by
the broker, the credential is nowhere in what the client and its children were started with, nor in their memory while the answer ran, nor in
HOME. The way `gateway` is for ACP adapters with --acp, without their providers/set: they take their login by the gateway method. The way `session` is for ACP adapters with --acp: one session outlives its token, each turn is answered, and a revocation ends it. Controls: with the credential given directly the same look finds it, and an attempt to reach another host is seen.
"""
import argparse
import ctypes
import datetime
import fnmatch
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import broker
import netwatch
import rows
import tree

sys.path.insert(0, os.path.join(rows.HERE, "..", "fake"))
import dialects  # noqa: E402

PROVIDER = os.path.join(rows.HERE, "..", "fake", "provider.py")
TIMEOUT = 90
PR_SET_CHILD_SUBREAPER = 36


class Failed(Exception):
    pass


def check(right, why):
    if not right:
        raise Failed(why)


class Fake:
    """The provider, strict, for one cell."""

    def __init__(self, directory, port, expect, *more):
        self.record = f"{directory}/record"
        arguments = [a for e in expect for a in ("--expect", e)]
        self.process = subprocess.Popen([sys.executable, PROVIDER, *arguments, "--record", self.record, "--port", str(port), *more],
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def lines(self, event):
        try:
            with open(self.record) as f:
                return [line for line in map(json.loads, f) if line["event"] == event]
        except FileNotFoundError:
            return []

    def end(self):
        self.process.terminate()
        self.process.wait(10)


class Cell:
    """One client, one login, one way."""

    def __init__(self, rig, row, way):
        self.rig, self.row, self.way = rig, row, way
        self.secret, self.account, secrets = rows.login(row.sample)
        self.needles = {f"secret{n}": rows.needle(s) for n, s in enumerate(secrets)}
        self.directory = tempfile.mkdtemp(dir=rig.directory)
        self.home = f"{self.directory}/home"
        os.makedirs(f"{self.home}/work")
        self.fake = Fake(self.directory, rig.port, [self.expectation()], "--fault", "chunk-delay=0.05")
        self.tried = []

    def expectation(self):
        kind = (self.row.direct_expect if self.way == "direct" else "") or self.row.expect
        return f"{kind}={self.secret}" + ("," + self.account if kind == "chatgpt" else "")

    def filled(self, text):
        if self.way == "direct":
            text = text.replace("@SECRET@", self.secret).replace("@ACCOUNT@", self.account).replace("@LOGIN@", rows.read(self.row.sample))
        return text.replace("@BASE@", self.rig.base).replace("@CLIENTS@", self.rig.clients)

    def command(self):
        row = self.row
        command = [*map(self.filled, row.command)]
        if self.way == "direct":
            return [*row.driver, *command, *map(self.filled, row.direct_flags)]
        consumer = re.sub(r"[^a-z0-9]+", "-", f"{row.name} {row.login}".lower())
        where = self.rig.broker.give(consumer, row.sample.split(".")[0], row.provider, os.path.join(rows.LOGINS, row.sample))
        return [*row.driver, self.rig.broker.exec, "--socket", where, "--profile", row.profile, *row.exec_flags, "--", *command]

    def environ(self):
        own = self.row.direct_env if self.way == "direct" else {}
        base = {"HOME": self.home, "PATH": f"{self.rig.clients}/bin:/usr/bin:/bin", "TERM": "dumb", "LANG": "C.UTF-8", "USER": "root",
                "CLIENTS": f"{self.rig.clients}/node_modules"}
        return base | {k: self.filled(v) for k, v in {**self.row.env, **own}.items()}

    def write_files(self):
        files = {**self.row.files, **(self.row.direct_files if self.way == "direct" else {})}
        for name, text in files.items():
            path = os.path.join(self.home, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
                f.write(self.filled(text))

    # ---- a run

    def run(self):
        self.write_files()
        command, environ = self.command(), self.environ()
        self.rig.watch.take()
        with open(f"{self.directory}/out", "wb") as out, open(f"{self.directory}/err", "wb") as err:
            client = subprocess.Popen(command, cwd=f"{self.home}/work", env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            self.look_while_it_runs(client)
            status = self.await_end(client)
        finally:
            self.tried = self.rig.watch.take()
            client.kill()
            client.wait()
        self.check_answer(status)
        self.check_provider()
        self.check_hosts()
        self.check_secrets()
        self.check_end()

    def await_end(self, client):
        """Its exit code. What the provider objects to ends the wait: clients repeat for minutes what is refused."""
        until = time.monotonic() + TIMEOUT
        while client.poll() is None:
            self.check_violations()
            check(time.monotonic() < until, f"it did not end within {TIMEOUT} s")
            time.sleep(0.05)
        self.check_violations()
        return client.returncode

    def others(self):
        """Processes of the client: all below us but the provider and the broker."""
        broker_pid = {self.rig.broker.process.pid} if self.rig.broker else set()
        return tree.below([os.getpid()], {self.fake.process.pid} | broker_pid)

    def look_while_it_runs(self, client):
        """When a prompt is being answered, the client's processes are looked through."""
        until = time.monotonic() + TIMEOUT
        self.texts, self.found, self.token = {}, set(), None
        while not any(re.search("responses|messages|completions|ontent$", line["path"]) for line in self.fake.lines("begin")):
            if client.poll() is not None or time.monotonic() > until:
                return
            time.sleep(0.02)
        pids = self.others()
        self.texts = tree.told(pids)
        self.token = tree.token_in(text for _, text in self.texts.values())
        control = {"token": self.token.rsplit("cbrk1_", 1)[1]} if self.token else {}
        self.found = tree.scan(self.rig.scanner, {**self.needles, **control}, pids)

    # ---- what must be so

    def text_of(self, name):
        with open(f"{self.directory}/{name}", errors="replace") as f:
            return f.read()

    def check_answer(self, status):
        out, err = self.text_of("out"), self.text_of("err")
        check(status == 0, f"exit {status}")
        text = "".join(re.findall(self.row.text, out)) if self.row.text else out
        check(text.count(dialects.ANSWER) >= self.row.answers, "its output is not the provider's answer")
        if self.row.pieces:
            matches = re.findall(self.row.pieces, out + err)
            pieces = int(matches[0]) if matches and matches[0].isdigit() else len(matches)
            check(pieces > 1, f"the answer came in {pieces} piece")

    def check_violations(self):
        lines = self.fake.lines("end")
        wrong = [f"{line['method']} {line['path']}: {', '.join(line['violations'])}" for line in lines if line["violations"]]
        # a request that codex makes for its plugins carries no credential, and gets none directly
        if self.way == "direct":
            wrong = [w for w in wrong if not w.endswith("0 credentials: none")]
        check(not wrong, "; ".join(wrong))

    def check_provider(self):
        check(any(line["status"] == 200 and line.get("stream") for line in self.fake.lines("end")), "no streamed answer was asked for")
        broken = self.fake.lines("broken")
        check(not broken, f"the provider read something that is no request: {broken}")

    def check_hosts(self):
        known = self.row.tries if self.way == "direct" else self.row.broker_tries
        unknown = [t for t in self.tried if not any(fnmatch.fnmatch(t.rsplit(":", 1)[0], k) for k in known)]
        check(not unknown, f"it tried to reach {', '.join(unknown)}")

    def check_secrets(self):
        check(self.texts, "its processes could not be looked at")
        if self.way == "direct":
            check("secret0" in self.found, "control: the credential that it was given was not found in its memory")
            return
        check(self.token, "control: no token was found in what it was started with")
        check("token" in self.found, "control: the token that it was given was not found in its memory")
        for pid, (name, text) in self.texts.items():
            check(not any(n.encode() in text for n in self.needles.values()), f"the credential is in environment or arguments of {name} ({pid})")
        check(not self.found - {"token"}, f"the credential is in its memory: {self.found}")
        check(not tree.scan(self.rig.scanner, self.needles, paths=[self.home]), "the credential is in HOME")

    def check_end(self):
        until = time.monotonic() + 5
        while (left := self.others()) and time.monotonic() < until:
            time.sleep(0.05)
        check(not left, f"still running: {', '.join(name for name, _ in tree.told(left).values())}")

    def end(self):
        tree.send(self.others(), 9)
        self.fake.end()


class Gateway(Cell):
    """An ACP adapter that has no providers/set."""

    def command(self):
        command = super().command()
        at = len(command) - len(self.row.command)
        return [*command[:at], sys.executable, os.path.join(rows.HERE, "no_providers.py"), *command[at:]]

    def check_answer(self, status):
        super().check_answer(status)
        check("the adapter keeps the login" not in self.text_of("err"), "the login was not given by the gateway method")


class Session(Cell):
    """An ACP session by the broker that is longer than a lease may live, and is revoked in the end."""

    # the first token is to be replaced after 18 s, before the first prompt: which a session without any would not outlive everywhere
    LIMITS, IDLE, SECONDS = ("--ttl", "5s", "--max-ttl", "24s"), 19.5, 24

    def command(self):
        row = self.row
        self.consumer = re.sub(r"[^a-z0-9]+", "-", f"session {row.name} {row.login}".lower())
        where = self.rig.broker.give(self.consumer, row.sample.split(".")[0], row.provider, os.path.join(rows.LOGINS, row.sample), *self.LIMITS)
        # a client that authenticates, too: it is told that it is done
        driver = [*row.driver[:-1], "--authenticate", "api-key", "--idle", str(self.IDLE), "--turns", str(self.SECONDS), f"{self.directory}/revoked", "--"]
        return [*driver, self.rig.broker.exec, "--socket", where, "--profile", row.profile, *row.exec_flags, "--", *map(self.filled, row.command)]

    def look_while_it_runs(self, client):
        """Waits for the turns, then revokes."""
        until = time.monotonic() + TIMEOUT
        while "turns are over" not in self.text_of("err"):
            check(client.poll() is None, f"it ended with {client.returncode}")
            check(time.monotonic() < until, "its turns do not end")
            self.check_violations()
            time.sleep(0.1)
        self.leases = self.rig.broker.issued(self.consumer)
        self.rig.broker.do("lease", "revoke", "--consumer", self.consumer)
        open(f"{self.directory}/revoked", "w").close()

    def check_answer(self, status):
        out, err = self.text_of("out"), self.text_of("err")
        check(status == 0, f"exit {status}")
        turns = int(re.search(r"(\d+) turns are over", err)[1])
        check(turns > 3 and out.count(dialects.ANSWER) == turns, f"{out.count(dialects.ANSWER)} answers in {turns} turns")
        check(self.leases > 1, "its token was never another")
        check("was ended at the broker: the adapter's requests are refused from here on" in err, "the revocation was not said")
        check(self.rig.broker.issued(self.consumer) == self.leases, "it leased again after the revocation")
        print(f"    {turns} turns with {self.leases} tokens")

    def check_secrets(self):
        for name in ("out", "err"):
            check(not any(n in self.text_of(name) for n in self.needles.values()) and "cbrk1_" not in self.text_of(name), f"a secret is in {name}")
        check(not tree.scan(self.rig.scanner, self.needles, paths=[self.home]), "the credential is in HOME")


class Rig:
    def __init__(self, build, clients, directory, way):
        self.clients, self.directory = clients, directory
        self.scanner = f"{build}/fake/scan"
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        netwatch.prepare(f"{directory}/resolv.conf")
        self.watch = netwatch.Watch()
        first = Fake(directory, 0, [])
        first.end()
        self.port, self.base = first.port, f"http://127.0.0.1:{first.port}"
        self.broker = None
        if way != "direct" and os.path.exists(f"{build}/brokerd-proxy"):
            self.broker = broker.Broker(build, directory, self.base)

    def control(self):
        """An attempt to reach a host, by name and by address, is seen."""
        self.watch.take()
        for host in ("escape.example", "192.0.2.1"):
            try:
                socket.create_connection((host, 443), timeout=2).close()
            except OSError:
                pass
        time.sleep(0.1)
        tried = self.watch.take()
        check({"escape.example", "escape.example:443", "192.0.2.1:443"} <= set(tried), f"control: an escape was not seen, but {tried}")

    def version(self, package):
        with open(f"{self.clients}/node_modules/{package}/package.json") as f:
            return json.load(f)["version"]

    def end(self):
        if self.broker:
            self.broker.end()


def run_cell(rig, row, way, keep):
    """(result, seconds, hosts that it tried)."""
    if way != "direct" and not rig.broker:
        return "skipped: no proxy is built", 0, []
    begun, cell = time.monotonic(), {"session": Session, "gateway": Gateway}.get(way, Cell)(rig, row, way)
    try:
        cell.run()
        result = "passed"
    except (Failed, RuntimeError) as e:
        result = f"FAILED: {e}"
        for name in ("out", "err"):
            print("".join(f"    {name}: {line[:300]}\n" for line in cell.text_of(name).splitlines()[-15:]) if os.path.exists(f"{cell.directory}/{name}") else "", end="")
    finally:
        cell.end()
        if keep:
            print("   ", cell.directory)
        else:
            shutil.rmtree(cell.directory, ignore_errors=True)
    return result, time.monotonic() - begun, cell.tried


def table(rig, results):
    """The results as the Markdown table of contrib/clients.md."""
    out = ["| client | version | login | started by | direct | by the broker | one session, several tokens | remarks |", "|---|---|---|---|---|---|---|---|"]
    for row in rows.ROWS:
        cells = {way: results.get((row, way), ("not run", 0, []))[0].split(":")[0] for way in ("direct", "broker", "session")}
        cells |= {} if row.rotates else {"session": ""}
        command = [os.path.basename(c) for c in row.command if c != rows.ASK]
        remarks = [row.remark] if row.remark else []
        remarks += [f"{label} also tries {', '.join(rows.HOST_NAMES.get(h, h) for h in hosts)}" for label, hosts in (("directly it", row.tries), ("by the broker it", row.broker_tries)) if hosts]
        started = f"`broker-exec {' '.join(['--profile', row.profile, *row.exec_flags])} -- {' '.join(command)}`"
        out.append(f"| {row.name} ({row.package}) | {rig.version(row.package)} | {row.login} | {started} | {cells['direct']} | {cells['broker']} | {cells['session']} "
                   f"| {'; '.join(remarks)} |")
    return "\n".join(out) + "\n"


def write_table(path, text):
    """Between the marks of the page, and the day."""
    with open(path) as f:
        page = f.read()
    begin, end = "<!-- results -->\n", "<!-- end of results -->"
    before, rest = page.split(begin)
    page = f"{before}{begin}Last run: {datetime.date.today()}.\n\n{text}{end}{rest.split(end)[1]}"
    with open(path, "w") as f:
        f.write(page)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("clients")
    p.add_argument("--only", default="", help="rows whose name, package or login has this text")
    p.add_argument("--way", choices=("direct", "broker", "gateway", "session"))
    p.add_argument("--table", metavar="FILE", help="write the results into this page")
    p.add_argument("--keep", action="store_true", help="leave what the cells wrote")
    options = p.parse_args()
    directory = tempfile.mkdtemp(prefix="cb.", dir="/dev/shm")
    os.chmod(directory, 0o711)
    rig, results = Rig(os.path.abspath(options.build), os.path.abspath(options.clients), directory, options.way), {}
    try:
        rig.control()
        print("an escape is seen: passed", flush=True)
        for row in rows.ROWS:
            for way in [options.way] if options.way else ["direct", "broker", "gateway", "session"]:
                if (way in ("direct", "broker") or row.rotates) and options.only in f"{row.name} {row.package} {row.login}":
                    results[row, way] = result, seconds, tried = run_cell(rig, row, way, options.keep)
                    print(f"{row.name + ', ' + row.login:<34} {way:<7} {result}  ({seconds:.1f}s){' tried ' + ' '.join(tried) if tried else ''}", flush=True)
        if options.table:
            write_table(options.table, table(rig, results))
    finally:
        rig.end()
        if not options.keep:
            shutil.rmtree(directory, ignore_errors=True)
    said = [result.split(":")[0] for result, _, _ in results.values()]
    failed = said.count("FAILED")
    print(f"{1 + said.count('passed')} passed, {failed} failed, {said.count('skipped')} skipped")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
