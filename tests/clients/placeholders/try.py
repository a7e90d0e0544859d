#!/usr/bin/env python3
"""Gives a placeholder to the real client where its credential belongs, and tells what the client does with it:

    sent     the provider saw it, unchanged, in the header where it belongs
    changed  the provider saw another value, or not what belongs to it (a beta, an account id)
    without  a request came without any credential
    refused  nothing was sent: the client thinks it is no credential

    try.py CLIENTS [--only TEXT] [--write]     checks every case of placeholders.json; --write: writes what was seen into it instead
Wants fresh network and mount namespaces: start run.sh.
"""
import argparse
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
sys.path.insert(0, HERE)
import check  # noqa: E402
import matrix  # noqa: E402
import netwatch  # noqa: E402
import rows  # noqa: E402
import tree  # noqa: E402

PATIENCE = 25
PROMPT = re.compile("responses$|messages$|completions$|ontent$")


class Slot:
    """A place for a credential in one client: an entry of placeholders.json."""

    def __init__(self, entry, clients):
        self.entry, self.clients = entry, clients

    def prepare(self, case):
        """(credential that is to arrive, files) for a case."""
        files = dict(self.entry.get("files", {}))
        if "file" in self.entry:
            files[self.entry["file"]["path"]] = json.dumps(content := check.content(self.entry, case))
            return check.member(content, self.entry["file"]["credential"]) or "", files
        return check.filled(case["value"]), files

    def run(self, case):
        """What the client does with it."""
        value, files = self.prepare(case)
        expect = f"{self.entry['expect']}={value or 'none'}" + (f",{check.ACCOUNT}" if self.entry["expect"] == "chatgpt" else "")
        with tempfile.TemporaryDirectory(dir="/dev/shm", ignore_cleanup_errors=True) as directory:
            fake = matrix.Fake(directory, 0, [expect], "--never", "")
            given = {"@BASE@": f"http://127.0.0.1:{fake.port}", "@HERE@": rows.HERE, "@CLIENTS@": self.clients, "@VALUE@": value}
            try:
                return self.outcome(self.start(f"{directory}/home", files, given), fake)
            finally:
                tree.send(tree.below([os.getpid()], {fake.process.pid}), signal.SIGKILL)
                fake.end()

    def start(self, home, files, given):
        def final(text):
            for name, value in given.items():
                text = text.replace(name, value)
            return text

        os.makedirs(f"{home}/work")
        for name, text in files.items():
            os.makedirs(os.path.dirname(f"{home}/{name}"), exist_ok=True)
            with open(f"{home}/{name}", "w") as f:
                f.write(final(text))
        environ = {"HOME": home, "PATH": f"{self.clients}/bin:/usr/bin:/bin", "TERM": "dumb", "LANG": "C.UTF-8", "CLIENTS": f"{self.clients}/node_modules"}
        environ |= {k: final(v) for k, v in self.entry.get("env", {}).items()}
        return subprocess.Popen([final(c) for c in self.entry["command"]], cwd=f"{home}/work", env=environ, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @staticmethod
    def outcome(client, fake):
        until, ended = time.monotonic() + PATIENCE, False
        while time.monotonic() < until:
            ended = client.poll() is not None
            lines = [line for line in fake.lines("end") if PROMPT.search(line["path"]) and line["method"] == "POST"]
            if lines and not lines[0]["violations"]:
                return "sent"
            if lines:
                return "changed" if lines[0]["credentials"] else "without"
            if ended:
                break
            time.sleep(0.05)
        return "refused"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("clients")
    p.add_argument("--only", default="")
    p.add_argument("--write", action="store_true")
    options = p.parse_args()
    data = check.load()
    ctypes.CDLL(None).prctl(matrix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    passed = failed = 0
    with tempfile.TemporaryDirectory() as directory:
        netwatch.prepare(f"{directory}/resolv.conf")
        netwatch.Watch()
        for entry in data["slots"]:
            for case in entry["cases"]:
                if options.only not in entry["name"]:
                    continue
                seen = Slot(entry, options.clients).run(case)
                if options.write:
                    case["outcome"] = seen
                right = case.get("outcome") == seen
                passed, failed = passed + right, failed + (not right)
                print(f"{entry['name']:<34} {case['case']:<36} {seen}{'' if right else ', not ' + str(case.get('outcome'))}", flush=True)
    if options.write:
        with open(check.DATA, "w") as f:
            f.write(check.dumped(data))
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
