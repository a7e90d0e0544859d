#!/usr/bin/env bash
# broker-exec --acp passes every byte of every message but those of the login, both ways, whatever they are and whatever their size, in bounded
# memory, and no end or stop of one side reaches the other another way than it came.
. "$(dirname "$0")/acp.bash"
start_model

# what comes in goes out: the client's bytes are seen as the adapter got them, and the adapter's as the client does
asserts <<'PY'
import hashlib, json, os, random, socket, subprocess, sys, threading, time
T = os.environ["T"]
EXEC = [os.environ["EXEC"], "--socket", os.environ["RUN"] + "/gateway", "--profile", "env", "--acp", "--"]
random.seed(7)

def through(data, command=("cat",), split=None, **more):
    """What comes out when data goes in, in pieces of these sizes; the process."""
    p = subprocess.Popen([*EXEC, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    def write():
        at = 0
        while at < len(data):
            n = split() if split else len(data)
            p.stdin.write(data[at:at + n])
            p.stdin.flush()
            at += n
            if split:
                time.sleep(0.0005)
        p.stdin.close()
    w = threading.Thread(target=write)
    w.start()
    out = p.stdout.read()
    w.join()
    assert p.wait(20) == 0, p.stderr.read()
    return out

def text(n):
    return "".join(random.choice(["a", "\\", '"', "{", "]", "\u00e9", "\U0001f600", "\x7f", "method", "broker-exec-", "\\u0000"]) for _ in range(n))

def message():
    kinds = [
        lambda: {"jsonrpc": "2.0", "id": random.choice([1, -7, "x", "broker-exec-0", None, 1.5]), "method": random.choice(["session/prompt", "fs/read_text_file", "authenticate", "logout", "providers/set"]), "params": {text(3): text(40)}},
        lambda: {"result": {"a": [text(20), {"method": "initialize", "id": 3}]}, "id": random.randrange(9), "jsonrpc": "2.0"},
        lambda: {"error": {"code": -1, "message": text(9)}, "id": text(5)},
        lambda: {"params": {"deep": [[[[[text(4)]]]]]}, "method": "session/update"},
        lambda: [text(4), {"method": "initialize"}],
    ]
    return json.dumps(random.choice(kinds)(), ensure_ascii=random.random() < 0.5, indent=None, separators=random.choice([(",", ":"), (", ", " : ")]))

lines = [message().encode() + random.choice([b"\n", b"\r\n", b" \n"]) for _ in range(3000)]
lines += [b"\n", b"\r\n", b"not json\n", b"{\n", b'{"method":\n', b'"method"\n', bytes(range(10)) + b"\n", bytes(range(11, 256)) + b"\n", b"\xff\xfe{}\n", b'{"method":"init\\u0069alize","id":1}\n',
          b'{"id":1,"id":2,"result":{}}\n', b"[" * 5000 + b"\n", b'{"m":' * 3000 + b"\n"]
random.shuffle(lines)
data = b"".join(lines)
assert through(data) == data
print(f"ok {len(lines)} lines, JSON and not, {len(data)} bytes")
assert through(data[:200000], split=lambda: random.randrange(1, 700)) == data[:200000]
print("ok in pieces of any size")
small = b"".join(lines[:30])
assert through(small, split=lambda: 1) == small
print("ok byte by byte")
tail = data + b'{"jsonrpc":"2.0","method":"last","params":{"no":"newline"}}'
assert through(tail) == tail
print("ok a last line without an end")
for cut in (b"{", b'{"method":"initialize","id":1', b'{"method":"initialize","id":1,"params":{}}', b'{"id":"broker-exec-', b" "):
    assert through(small + cut) == small + cut, cut
print("ok lines cut off at their end, also of messages that are looked at")
assert through(b"") == b""
print("ok nothing")

# ---- the same with a login that was given
def is_login(line):
    return any(name in line[:200] for name in (b'"initialize"', b'"providers/', b'"authenticate"', b'"logout"'))
rest = [line for line in lines if not is_login(line)] + [message().encode() + b"\n" for _ in range(200)]
rest = b"".join(line for line in rest if not is_login(line)) + b'{"id":"broker-exec-1","result":{}}'
hello = b'{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":1}}\n'
out = through(hello + rest, (os.environ["PYTHON"], os.environ["ADAPTER"], "--echo", "--providers", "main:anthropic"))
answer, _, echoed = out.partition(b"\n")
assert json.loads(answer)["id"] == 0 and echoed == rest, (answer, len(echoed), len(rest))
print(f"ok {len(rest)} bytes behind a login")

# ---- sizes
def high_water(pid):
    return next(int(line.split()[1]) for line in open(f"/proc/{pid}/status") if line.startswith("VmHWM"))

class Sink(threading.Thread):
    def __init__(self, f):
        super().__init__()
        self.f, self.hash, self.n = f, hashlib.sha256(), 0
    def run(self):
        while chunk := self.f.read1(1 << 16):
            self.hash.update(chunk)
            self.n += len(chunk)

def huge(head, size, tail, name):
    """One line of `size` bytes, there and back; the memory that it took."""
    p = subprocess.Popen([*EXEC, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    sink, want, left = Sink(p.stdout), hashlib.sha256(), size
    sink.start()
    block = random.randbytes(1 << 15).hex().encode()
    at = time.monotonic()
    for piece in [head, *[block] * (size // len(block)), tail]:
        p.stdin.write(piece)
        want.update(piece)
    p.stdin.flush()
    time.sleep(0.2)
    memory = high_water(p.pid)
    p.stdin.close()
    sink.join(60)
    assert p.wait(20) == 0 and sink.hash.digest() == want.digest(), f"{name}: {sink.n} bytes came"
    assert memory < 12 * 1024, f"{name}: {memory} KiB"
    print(f"ok {name}: {sink.n >> 20} MiB, {memory} KiB of memory, {time.monotonic() - at:.1f} s")

M = 1 << 20
huge(b'{"jsonrpc":"2.0","id":1,"method":"session/prompt","params":{"x":"', 100 * M, b'"}}\n', "a request of 100 MB")
huge(b'{"jsonrpc":"2.0","result":{"x":"', 64 * M, b'"},"id":3}\n', "an answer whose id comes last")
huge(b'{"params":{"x":"', 64 * M, b'"},"method":"session/prompt","id":3}\n', "a request whose method comes last")
huge(b'{"method":"initialize","id":3,"params":{"x":"', 8 * M, b'"}}\n', "an initialize that is too large to look at")
huge(b"x", 64 * M, b"", "what is no message at all")

# ---- other kinds of descriptors than pipes
with open(f"{T}/in", "wb") as f:
    f.write(data)
with open(f"{T}/in", "rb") as i, open(f"{T}/out", "wb") as o:
    assert subprocess.run([*EXEC, "cat"], stdin=i, stdout=o).returncode == 0
assert open(f"{T}/out", "rb").read() == data
print("ok files")
assert subprocess.run([*EXEC, "cat"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode == 0
print("ok /dev/null")
ours, theirs = socket.socketpair()
p = subprocess.Popen([*EXEC, "cat"], stdin=theirs, stdout=theirs)
theirs.close()
threading.Thread(target=lambda: (ours.sendall(data), ours.shutdown(socket.SHUT_WR))).start()
got = b""
while chunk := ours.recv(65536):
    got += chunk
assert p.wait(10) == 0 and got == data
print("ok one socket for both")
assert subprocess.run([*EXEC, "sh", "-c", "exit 5"], stdin=None, close_fds=True, preexec_fn=lambda: (os.close(0), os.close(1), os.close(2))).returncode == 5
print("ok none at all")

# ---- a side that stands still
p = subprocess.Popen([*EXEC, "sh", "-c", "sleep 1; cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
big = data * 20
w = threading.Thread(target=lambda: (p.stdin.write(big), p.stdin.close()))
w.start()
time.sleep(0.5)
assert high_water(p.pid) < 12 * 1024
time.sleep(1)  # and now the reader does
assert p.stdout.read() == big and p.wait(10) == 0
print("ok an adapter, and then a client, that reads late")
PY
tally
