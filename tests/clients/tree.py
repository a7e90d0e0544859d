"""A program and everything that it starts: looked through, in /proc, for what it must not hold."""
import os
import re
import signal
import subprocess
import time

TOKEN = re.compile(rb"[A-Za-z0-9._-]{0,32}cbrk1_[A-Za-z0-9_-]{40,}")


def children():
    """parent pid → pids that live, of the whole machine."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as f:
                    state, parent = f.read().rsplit(b")", 1)[1].split()[:2]
            except (OSError, ValueError):
                continue
            if state != b"Z":
                found.setdefault(int(parent), []).append(int(entry))
    return found


def below(roots, without=()):
    """All pids below (not in) `roots`, but not `without` and what is below those."""
    by_parent, found, todo = children(), [], list(roots)
    while todo:
        for pid in by_parent.get(todo.pop(), []):
            if pid not in without:
                found.append(pid)
                todo.append(pid)
    return found


def read(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as f:
            return f.read()
    except OSError:
        return b""


def told(pids):
    """Names of processes, and all that they were started with (environment and arguments)."""
    return {pid: (read(pid, "comm").decode().strip(), read(pid, "environ") + b"\0" + read(pid, "cmdline")) for pid in pids}


def token_in(texts):
    """The broker's token that one of these texts holds; None."""
    for text in texts:
        if found := TOKEN.search(text):
            return found.group().decode()
    return None


def lives(pid):
    state = read(pid, "stat").rpartition(b")")[2].split()[:1]
    return state not in ([], [b"Z"], [b"X"])


def send(pids, what):
    for pid in pids:
        try:
            os.kill(pid, what)
        except ProcessLookupError:
            pass


def scan(scanner, needles, pids=(), paths=()):
    """Names of the needles that tests/fake/scan finds, in any of its forms; the processes stand still meanwhile."""
    send(pids, signal.SIGSTOP)
    time.sleep(0.02)
    pids = [pid for pid in pids if lives(pid)]
    try:
        arguments = [a for pid in pids for a in ("-p", str(pid))] + list(paths)
        text = "".join(f"{name} {value}\n" for name, value in needles.items())
        done = subprocess.run([scanner, *arguments], input=text, capture_output=True, text=True, timeout=60)
    finally:
        send(pids, signal.SIGCONT)
    if done.returncode not in (0, 1):
        raise RuntimeError("scan could not look everywhere: " + done.stdout + done.stderr)
    return {name for name in needles if re.search(rf"^{re.escape(name)} \(", done.stdout, re.MULTILINE)}
