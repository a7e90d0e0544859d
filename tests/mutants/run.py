#!/usr/bin/env python3
"""run.py [NAME-PATTERN…]: takes each protection of mutants.txt away, one at a time, in a copy of the tree, builds what its tests need, and
asks them: one that fails has killed the mutant. What survives, does not apply any more or does not build is listed, and the exit is 1.

Every test that is named must pass on the tree as it is (the control). MUTANTS_DIR (build/mutants): the copy, kept so that the next run is
quick. MUTANTS_TIMEOUT (120 s a test). Not part of CI: it takes about a quarter of an hour."""
import fnmatch
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TREE = pathlib.Path(os.environ.get("MUTANTS_DIR", ROOT / "build" / "mutants")).resolve()
TIMEOUT = float(os.environ.get("MUTANTS_TIMEOUT", 120))


class Mutant:
    def __init__(self, line):
        self.name, self.file, tests = (part.strip() for part in line.split("|"))
        self.tests, self.changes = tests.split(), []


def read_mutants():
    mutants, sign = [], None
    for line in (ROOT / "tests/mutants/mutants.txt").read_text().splitlines():
        if not line or line[0] not in "-+":
            sign = None
            if line.strip() and line[0] != "#":
                mutants.append(Mutant(line))
            continue
        changes = mutants[-1].changes
        if line[0] == "-" and sign != "-":
            changes.append(([], []))
        changes[-1][line[0] == "+"].append(line[1:])
        sign = line[0]
    return mutants


def copy_tree():
    """Only what differs is written, so that make sees what changed."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True, check=True).stdout
    kept = set()
    for name in filter(None, listed.decode().split("\0")):
        source, target = ROOT / name, TREE / name
        if not source.exists():
            continue
        kept.add(name)
        if not target.exists() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        shutil.copymode(source, target)
    for old in (p for top in ("broker", "tests", "include") for p in (TREE / top).rglob("*") if p.is_file()):
        if str(old.relative_to(TREE)) not in kept:
            old.unlink()


def target_of(test):
    """What make is to build for it."""
    kind = test.split("/")[0]
    if kind in ("unit", "contract"):
        return ["build/" + test]
    if kind == "integration":
        return ["all", *(f"build/{p.parent.name}/{p.stem}" for d in ("fake", "crash") for p in (TREE / "tests" / d).glob("*.c"))]
    return []


def make(targets):
    return subprocess.run(["make", "-s", "-j2", "WARN=-w", "say=@:", *targets], cwd=TREE, capture_output=True, text=True)


def passes(test):
    """(passed?, what it said in the end)"""
    kind = test.split("/")[0]
    command = [TREE / "build" / test] if kind in ("unit", "contract") else ["bash", TREE / "tests" / (test + ".sh")]
    with open(TREE / "said", "w+b") as said:
        child = subprocess.Popen(command, cwd=TREE, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
        try:
            status = child.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            status = "timeout"
        try:
            os.killpg(child.pid, signal.SIGTERM if status == "timeout" else signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()
        said.seek(0)
        text = said.read().decode(errors="replace")
    failed = re.findall(r"^FAIL:? (.*)$", text, re.M)
    return status == 0, failed[0][:90] if failed else f"exit {status}"


def apply(m):
    """The text with the changes, or None."""
    text = (TREE / m.file).read_text()
    for old, new in m.changes:
        old, new = "\n".join(old), "\n".join(new)
        if not old or text.count(old) != 1:
            return None
        text = text.replace(old, new)
    return text


def judge(m):
    path = TREE / m.file
    good, bad = path.read_text(), apply(m)
    if bad is None:
        return "does not apply", ""
    path.write_text(bad)
    try:
        for test in m.tests:
            built = make(target_of(test))
            if built.returncode:
                return "does not build", built.stderr.strip().split("\n")[0]
            passed, why = passes(test)
            if not passed:
                return "killed", f"{test}: {why}"
        return "SURVIVED", " ".join(m.tests)
    finally:
        path.write_text(good)


def main():
    patterns = sys.argv[1:] or ["*"]
    chosen = [m for m in read_mutants() if any(fnmatch.fnmatch(m.name, p) for p in patterns)]
    if not chosen:
        sys.exit("no mutant of that name")
    TREE.mkdir(parents=True, exist_ok=True)
    copy_tree()
    tests = list(dict.fromkeys(t for m in chosen for t in m.tests))
    built = make([t for test in tests for t in target_of(test)])
    if built.returncode:
        sys.exit("the tree does not build: " + built.stderr)
    for test in tests:
        passed, why = passes(test)
        if not passed:
            sys.exit(f"control: {test} fails without any mutant: {why}")
    print(f"control: {len(tests)} tests pass", flush=True)
    verdicts = {}
    for m in chosen:
        begun = time.monotonic()
        verdict, why = judge(m)
        verdicts.setdefault(verdict, []).append(m.name)
        print(f"{verdict:14} {m.name:55} {why}  ({time.monotonic() - begun:.0f}s)", flush=True)
    killed = len(verdicts.get("killed", []))
    print(", ".join([f"{len(chosen)} mutants: {killed} killed", *(f"{len(v)} {k}" for k, v in verdicts.items() if k != "killed")]))
    return killed != len(chosen)


if __name__ == "__main__":
    sys.exit(main())
