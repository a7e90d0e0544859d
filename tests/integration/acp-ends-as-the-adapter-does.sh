#!/usr/bin/env bash
# broker-exec --acp ends as its adapter does, by the same exit code or signal, passes signals and ends on as they come, and is held up by nobody
# who does not read.
. "$(dirname "$0")/acp.bash"
start_model

asserts <<'PY'
import json, os, resource, signal, subprocess, sys, threading, time
from acp_client import Client
T = os.environ["T"]
EXEC = [os.environ["EXEC"], "--socket", os.environ["RUN"] + "/gateway", "--profile", "env", "--acp", "--"]
ADAPTER = [os.environ["PYTHON"], os.environ["ADAPTER"], "--providers", "main:anthropic"]

def gone(pid, wait=5):
    until = time.monotonic() + wait
    while os.path.exists(f"/proc/{pid}") and open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] != "Z":
        assert time.monotonic() < until, f"process {pid} lives on"
        time.sleep(0.01)

def child_of(pid):
    until = time.monotonic() + 5
    while True:
        kids = open(f"/proc/{pid}/task/{pid}/children").read().split()
        if kids:
            return int(kids[0])
        assert time.monotonic() < until
        time.sleep(0.01)

def run(*command, **more):
    return subprocess.run([*EXEC, *command], capture_output=True, timeout=20, **more)

# ---- how it ended
for code in (0, 1, 3, 77, 124, 255):
    assert run("sh", "-c", f"exit {code}", stdin=subprocess.DEVNULL).returncode == code
print("ok exit codes")
for s in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGHUP, signal.SIGSEGV, signal.SIGABRT, signal.SIGPIPE, signal.SIGUSR1, signal.SIGALRM):
    p = run("sh", "-c", f"ulimit -c 0; kill -{int(s)} $$", stdin=subprocess.DEVNULL)
    assert p.returncode == -s, (s, p.returncode)
print("ok deaths by a signal")
c = Client([*EXEC, *ADAPTER])
c.initialize()
c.session()
c.ask("test/exit", {"code": 9})
assert c.process.wait(5) == 9
print("ok an adapter that ends in the middle of a session")
c = Client([*EXEC, *ADAPTER])
c.initialize()
c.ask("test/die", {"signal": signal.SIGKILL})
assert c.process.wait(5) == -signal.SIGKILL
print("ok an adapter that is killed in the middle of a session")

# ---- what it had said
p = run("sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo end; echo last words >&2; exit 4", stdin=subprocess.DEVNULL)
assert p.returncode == 4 and len(p.stdout) == 3000004 and p.stdout.endswith(b"end\n") and p.stderr == b"last words\n", (p.returncode, len(p.stdout), p.stderr)
print("ok its last words are heard, on both outputs")
p = subprocess.Popen([*EXEC, "sh", "-c", "head -c 60000 /dev/zero | tr '\\0' x; exit 6"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
time.sleep(1)
assert len(p.stdout.read()) == 60000 and p.wait(5) == 6
print("ok also by a client that reads late")
p = subprocess.Popen([*EXEC, "sh", "-c", "sleep 30 & echo $!; exit 2"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
at = time.monotonic()
stray = int(p.stdout.read())
assert p.wait(5) == 2 and time.monotonic() - at < 3
os.kill(stray, 9)
print("ok what it left behind holds nobody up")

# ---- signals
for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
    p = subprocess.Popen([*EXEC, "sh", "-c", f"trap 'echo got {int(s)}; exit 40' {int(s)}; echo ready; while :; do sleep 0.02; done"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert p.stdout.readline() == b"ready\n"
    p.send_signal(s)
    assert p.stdout.readline() == b"got %d\n" % s and p.wait(5) == 40
print("ok signals are the adapter's")
p = subprocess.Popen([*EXEC, "sh", "-c", "trap '' TERM; echo ready; read x; exit 8"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
assert p.stdout.readline() == b"ready\n"
p.terminate()
time.sleep(0.3)
assert p.poll() is None
p.stdin.close()
assert p.wait(5) == 8
print("ok an adapter that ignores one goes on")
ignoring = subprocess.Popen([*EXEC, "sh", "-c", "echo ready; read x; kill -HUP $$; exit 0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
assert ignoring.stdout.readline() == b"ready\n"
ignoring.send_signal(signal.SIGHUP)
ignoring.stdin.close()
assert ignoring.wait(5) == 0
print("ok what was ignored before is ignored (nohup)")
said = run("sh", "-c", "grep -E '^Sig(Blk|Ign)' /proc/self/status", stdin=subprocess.DEVNULL, restore_signals=True).stdout
plain = subprocess.run(["sh", "-c", "grep -E '^Sig(Blk|Ign)' /proc/self/status"], capture_output=True).stdout
assert said == plain, (said, plain)
print("ok the adapter starts with our signals as they were")
# a terminal's ^C reaches the whole group: the adapter gets it once
import pty
pid, tty = pty.fork()
if pid == 0:
    os.execv(EXEC[0], [*EXEC, "sh", "-c", "n=0; trap 'n=$((n+1))' INT; echo ready; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 0.03; done; echo count $n"])
seen = b""
while b"ready" not in seen:
    seen += os.read(tty, 1000)
os.write(tty, b"\x03")
try:
    while b"count" not in seen or not seen.endswith(b"\n"):
        seen += os.read(tty, 1000)
except OSError:
    pass
os.waitpid(pid, 0)
assert b"count 1" in seen, seen
print("ok an interrupt from the terminal reaches it once")

# ---- ends
p = subprocess.Popen([*EXEC, "sh", "-c", "cat >/dev/null; echo over; exit 3"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
p.stdin.write(b'{"id":1,"method":"initialize"')
p.stdin.close()
assert p.stdout.read() == b"over\n" and p.wait(5) == 3
print("ok the end of the client's input is the end of the adapter's")
p = subprocess.Popen([*EXEC, "sh", "-c", "trap '' PIPE; while echo x; do sleep 0.01; done 2>/dev/null; exit 7"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
p.stdout.read(10)
p.stdout.close()
assert p.wait(5) == 7
print("ok a client that reads no more is seen by the adapter")
p = subprocess.Popen([*EXEC, "sh", "-c", "exec <&-; sleep 1; exit 0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
try:
    for _ in range(2000):
        p.stdin.write(b"x" * 1000 + b"\n")
        p.stdin.flush()
        time.sleep(0.001)
    raise AssertionError("an adapter that reads no more was not seen")
except BrokenPipeError:
    pass
assert p.wait(5) == 0
print("ok an adapter that reads no more is seen by the client")
p = subprocess.Popen([*EXEC, "sh", "-c", "exec >&-; sleep 1; exit 0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
at = time.monotonic()
assert p.stdout.read() == b"" and time.monotonic() - at < 0.8 and p.wait(5) == 0
print("ok the end of its output is passed on while it runs")
c = Client([*EXEC, *ADAPTER])
c.initialize()
adapter = child_of(c.process.pid)
c.process.kill()
gone(adapter)
print("ok kill -9 leaves no adapter behind")
c = Client([*EXEC, *ADAPTER])
c.initialize()
adapter = child_of(c.process.pid)
c.process.stdin.close()
c.process.stdout.close()
assert c.process.wait(5) == 0
gone(adapter)
print("ok a client that vanishes")

# ---- nobody reads the errors
p = subprocess.Popen([*EXEC, *ADAPTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
def ask(id, method, params):
    p.stdin.write(json.dumps({"id": id, "method": method, "params": params}).encode() + b"\n")
    p.stdin.flush()
    return json.loads(p.stdout.readline())
ask(1, "initialize", {"protocolVersion": 1})
at = time.monotonic()
assert ask(2, "test/stderr", {"bytes": 5000000})["id"] == 2 and time.monotonic() - at < 5
print("ok 5 MB on standard error that nobody reads hold nobody up")
p.stdin.close()
said = p.stderr.read()
assert p.wait(5) == 0
assert 65536 <= len(said) < 400000 and said.startswith(b"eee") and b"broker-exec: " in said and b"were dropped" in said, (len(said), said[-200:])
print("ok what was dropped is counted")
c = Client([*EXEC, *ADAPTER])
c.initialize()
c.call("test/stderr", {"bytes": 3000000})
c.end()
assert sum(map(len, c.errors)) == 3000000
print("ok who reads them gets them all")

# ---- starting
p = run("/nonexistent", stdin=subprocess.DEVNULL)
assert p.returncode == 127 and b"[not_found]" in p.stderr
with open(f"{T}/noscript", "w") as f:
    f.write("\x00\x01")
os.chmod(f"{T}/noscript", 0o755)
p = run(f"{T}/noscript", stdin=subprocess.DEVNULL)
assert p.returncode == 126 and b"is no program" in p.stderr and not p.stdout, p
p = subprocess.run([os.environ["EXEC"], "--socket", f"{T}/nowhere", "--acp", "--", "cat"], capture_output=True, stdin=subprocess.DEVNULL)
assert p.returncode == 125 and b"[no_broker]" in p.stderr and not p.stdout
print("ok what cannot be started ends as without --acp")
PY
none_left() { [[ $(live_leases) == 0 ]]; }
holds "a lease outlived its adapter" eventually 3 none_left

# ---- what of the credential, or of others, can be seen
# shellcheck disable=SC2016
said=$(ANTHROPIC_API_KEY=somebody-elses OTHER=stays "$EXEC" --socket "$RUN/gateway" --profile env --acp -- sh -c '
    echo "mine ${ANTHROPIC_API_KEY:0:6}"; tr "\0" "\n" </proc/$PPID/environ | grep -c somebody; tr "\0" " " </proc/$PPID/cmdline; grep -c . "$0" </dev/null' /dev/null 2>&1 </dev/null || true)
holds "the environment that was inherited is shown: $said" refused grep -q '^[1-9][0-9]*$' <<<"$said"
holds "the command line shows a token: $said" refused grep -q cbrk1_ <<<"$said"

# ---- as process 1
if ((EUID == 0)) && unshare -p -f true 2>/dev/null; then
    code=0
    unshare -p -f --mount-proc "$EXEC" --socket "$RUN/gateway" --profile env --acp -- sh -c '(sleep 0.1 &) ; sleep 0.3; exit 21' </dev/null || code=$?
    holds "as process 1 it gave $code" is "$code" 21
    code=0
    unshare -p -f --mount-proc "$EXEC" --socket "$RUN/gateway" --profile env --acp -- sh -c 'kill -TERM $$' </dev/null || code=$?
    holds "as process 1, a signal gave $code" is "$code" 143
else
    leave_out 2 "a process namespace needs root"
fi

# ---- a lease of its own
"$EXEC" --socket "$RUN/gateway" --owner none --profile env --acp -- true </dev/null
holds "a lease that the broker would not end is not given back" eventually 3 none_left
tally
