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
import base64
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
import matrix  # noqa: E402
import netwatch  # noqa: E402
import rows  # noqa: E402
import tree  # noqa: E402

DATA = os.path.join(HERE, "placeholders.json")
PATIENCE = 25
PROMPT = re.compile("responses$|messages$|completions$|ontent$")
ACCOUNT = "00000000-0000-4000-8000-000000000000"


def jwt(claims):
    part = lambda data: base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()
    return f"{part({'alg': 'RS256', 'typ': 'JWT'})}.{part(claims)}.{base64.urlsafe_b64encode(b's' * 256).rstrip(b'=').decode()}"


AUTH_CLAIMS = {"chatgpt_account_id": ACCOUNT, "chatgpt_plan_type": "pro", "chatgpt_user_id": "user-x"}
FAR = 4070908800
JWTS = {
    "@JWT@": jwt({"exp": FAR, "email": "x@example.invalid", "https://api.openai.com/auth": AUTH_CLAIMS}),
    "@JWT-ENDED@": jwt({"exp": 1700000000, "email": "x@example.invalid", "https://api.openai.com/auth": AUTH_CLAIMS}),
    "@JWT-NO-EXP@": jwt({"email": "x@example.invalid", "https://api.openai.com/auth": AUTH_CLAIMS}),
    "@JWT-NO-AUTH@": jwt({"exp": FAR}),
    "@JWT-EMPTY@": jwt({}),
    "@LONG@": "x" * 4096,
    "@VERY-LONG@": "x" * 16384,
    "@BODY@": "AQ" + "b3JkaW5hcnkgbGVuZ3Ro" * 5 + "_c2hvcn",
    "@NOW@": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
}


def filled(text):
    for name, value in JWTS.items():
        text = text.replace(name, value)
    return text


def put(data, path, value):
    """Sets data[a][b]… for the path "a.b"; a value of None with a path that begins with "-" removes it."""
    *front, last = path.lstrip("-").split(".")
    for key in front:
        data = data[key]
    if path.startswith("-"):
        data.pop(last, None)
    else:
        data[last] = value


class Slot:
    """A place for a credential in one client: an entry of placeholders.json."""

    def __init__(self, entry, clients):
        self.entry, self.clients = entry, clients

    def file_of(self, case):
        """(path, text, credential that is to arrive) of a login file."""
        data = json.loads(json.dumps(self.entry["file"]["content"]))
        for path, value in case.get("with", {}).items():
            put(data, path, value)
        text = filled(json.dumps(data))
        value = json.loads(text)
        try:
            for key in self.entry["file"]["credential"].split("."):
                value = value[key]
        except (KeyError, TypeError):
            value = "none"
        return self.entry["file"]["path"], text, value

    def prepare(self, case, home):
        """(credential that is to arrive, files) for a case."""
        files = dict(self.entry.get("files", {}))
        if "file" in self.entry:
            path, text, value = self.file_of(case)
            files[path] = text
            return value, files
        return filled(case["value"]), files

    def run(self, case):
        with tempfile.TemporaryDirectory(dir="/dev/shm", ignore_cleanup_errors=True) as directory:
            home = f"{directory}/home"
            os.makedirs(f"{home}/work")
            value, files = self.prepare(case, home)
            expect = self.entry["expect"]
            fake = matrix.Fake(directory, 0, [f"{expect}={value or 'none'}" + (f",{ACCOUNT}" if expect == "chatgpt" else "")], "--never", "")
            base = f"http://127.0.0.1:{fake.port}"
            final = lambda text: text.replace("@BASE@", base).replace("@HERE@", rows.HERE).replace("@CLIENTS@", self.clients).replace("@VALUE@", value)
            for name, text in files.items():
                os.makedirs(os.path.dirname(f"{home}/{name}"), exist_ok=True)
                with open(f"{home}/{name}", "w") as f:
                    f.write(final(text))
            environ = {"HOME": home, "PATH": f"{self.clients}/bin:/usr/bin:/bin", "TERM": "dumb", "LANG": "C.UTF-8",
                       "CLIENTS": f"{self.clients}/node_modules"}
            environ |= {k: final(v) for k, v in self.entry.get("env", {}).items()}
            try:
                client = subprocess.Popen([final(c) for c in self.entry["command"]], cwd=f"{home}/work", env=environ, stdin=subprocess.DEVNULL,
                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                return self.outcome(client, fake)
            finally:
                tree.send(tree.below([os.getpid()], {fake.process.pid}), signal.SIGKILL)
                client.wait()
                fake.end()

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
    with open(DATA) as f:
        data = json.load(f)
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
        with open(DATA, "w") as f:
            json.dump(data, f, indent=1)
            f.write("\n")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
