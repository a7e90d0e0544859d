#!/usr/bin/env bash
# The loopback relay of broker-exec: a program that speaks only TCP reaches the data plane and nothing else, also from a network namespace
# with nothing but a loopback; its output ends with it; the relay, its port and its lease end with it, however it ended.
. "$(dirname "$0")/promise.bash" || exit 1
mkdir -m 700 "$T/fake"

# ---- against a data plane and a broker that are none: what is measured is the relay
cat >"$T/py/fakebroker.py" <<'PY'
"""A broker's two sockets in a directory: leases by proxy, and a data plane that says what it was asked. Everything asked of the broker is in
`asked`, a line each."""
import json, os, socket, sys, threading, time

where, life_ms = sys.argv[1], int(sys.argv[2])
asked = open(os.path.join(where, "asked"), "a", buffering=1)

def requests(c):
    f = c.makefile("rb")
    while line := f.readline():
        head = {}
        while (h := f.readline().strip()):
            k, v = h.split(b":", 1)
            head[k.decode().lower()] = v.strip().decode()
        yield line.decode().split(), head, f.read(int(head.get("content-length", 0)))

def answer(c, obj):
    body = json.dumps(obj).encode()
    c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

def broker(c):
    for (method, path, _), head, body in requests(c):
        asked.write(f"{method} {path} {head.get('authorization', '')}\n")
        if path == "/v1/grants":
            answer(c, {"grants": [{"credential": "key", "provider": "openai", "kind": "api_key", "deliver": ["proxy"], "available": True}]})
        elif path == "/v1/leases":
            answer(c, {"id": "a" * 32, "token": "the-token", "credential": "key", "deliver": "proxy", "secret": None,
                       "proxy_socket": "proxy.sock", "expires_at_ms": int(time.time() * 1000) + life_ms})
        else:
            answer(c, {})

def plane(c):
    for (method, path, _), head, body in requests(c):
        answer(c, {"path": path, "host": head.get("host"), "token": head.get("authorization"), "bytes": len(body)})

def serve(name, fn):
    s = socket.socket(socket.AF_UNIX)
    s.bind(os.path.join(where, name))
    s.listen(128)
    def loop():
        while True:
            c, _ = s.accept()
            threading.Thread(target=lambda c=c: (fn(c), c.close()), daemon=True).start()
    t = threading.Thread(target=loop, daemon=True)
    t.start()
    return t

serve("proxy.sock", plane)
serve("broker.sock", broker).join()
PY
"$PYTHON" "$T/py/fakebroker.py" "$T/fake" 2000 >>"$T/log" 2>&1 &
PIDS+=("$!")
eventually 5 test -S "$T/fake/broker.sock" || die "the fake does not run"

asserts "$EXEC" "$T/fake" <<'PY'
import http.client, json, os, select, signal, socket, subprocess, sys, threading, time
EXEC, where = sys.argv[1:3]
asked = lambda: open(os.path.join(where, "asked")).read()

def start(script, *options, wrap=()):
    """A program by broker-exec, its three descriptors pipes, as a client of ACP has it; its first line is the base URL."""
    p = subprocess.Popen([*wrap, EXEC, "--socket", where, "--profile", "openai-sdk", *options, "--", "sh", "-c",
                          "echo $OPENAI_BASE_URL; " + script],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return p, p.stdout.readline().strip()

def port(base):
    assert base.startswith("http://127.0.0.1:") and base.endswith("/v1"), base
    return int(base.split(":")[2].split("/")[0])

def refused(n):
    s = socket.socket()
    try:
        s.connect(("127.0.0.1", n))
    except ConnectionRefusedError:
        return True
    except ConnectionResetError: # it is being closed at this very moment
        return False
    finally:
        s.close()
    return False

def post(n, size=0):
    c = http.client.HTTPConnection("127.0.0.1", n, timeout=10)
    c.request("POST", "/v1/responses", b"x" * size, {"Authorization": "Bearer the-token"})
    r = c.getresponse()
    return r.status, json.loads(r.read())

class Stalls(threading.Thread):
    """How long the machine kept a thread that only sleeps from running: no fault of what is measured beside it."""
    def __enter__(self):
        self.lost, self.on = 0.0, True
        self.start()
        return self
    def __exit__(self, *_):
        self.on = False
        self.join()
    def run(self):
        while self.on:
            at = time.monotonic()
            time.sleep(0.005)
            self.lost += max(0, time.monotonic() - at - 0.006)

def ends(p, n, why):
    """Both outputs end at once, then the port is closed within a second."""
    with Stalls() as stalls:
        at = time.monotonic()
        assert p.stdout.read() == "" and p.stderr.read() == "", why
        assert time.monotonic() - at < 0.5 + 4 * stalls.lost, f"{why}: something held the program's output open"
        p.wait()
        while not refused(n):
            assert time.monotonic() - at < 1 + 4 * stalls.lost, f"{why}: the relay outlived the program by over a second"
            time.sleep(0.005)
    print(f"ok {why} ({(time.monotonic() - at) * 1000:.0f} ms)")

p, base = start("exec sleep 30")
n = port(base)
status, seen = post(n, 300000)
assert status == 200 and seen == {"path": "/v1/responses", "host": f"127.0.0.1:{n}", "token": "Bearer the-token", "bytes": 300000}, seen
print("ok a request passes, head and body, as it is")
out = []
def one():
    out.append(post(n, 1000)[1]["bytes"])
many = [threading.Thread(target=one) for _ in range(64)]
[t.start() for t in many]
[t.join() for t in many]
assert out == [1000] * 64, out
print("ok 64 at a time")
renewal = "POST /v1/leases/" + "a" * 32 + "/renew Bearer the-token\n"
at = time.monotonic()
while renewal not in asked() and time.monotonic() < at + 2: # it would end after 2 s
    time.sleep(0.01)
assert renewal in asked(), asked()
print("ok the lease is renewed")
p.kill()
ends(p, n, "kill -9 of the program")

p, base = start("read x; exit 3")
n = port(base)
p.stdin.close()
ends(p, n, "the end of its input")
assert p.returncode == 3

p, base = start("(sleep 3 >/dev/null 2>&1 <&1 &) ; read x")
n = port(base)
p.stdin.close()
ends(p, n, "the end of the leader, whatever it has forked")

# a ^C goes to the program's group: it may still say goodbye to its model
p = subprocess.Popen([EXEC, "--socket", where, "--profile", "openai-sdk", "--", "sh", "-c",
                      "trap 'sleep 1; exit 0' INT; echo $OPENAI_BASE_URL; while :; do sleep 0.05; done"],
                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0)
n = port(p.stdout.readline().strip())
os.killpg(p.pid, signal.SIGINT)
time.sleep(0.3) # what would end of it has ended
assert post(n, 10)[0] == 200
p.wait()
ends(p, n, "an interrupt of the whole group")

assert "DELETE" not in asked()
p, base = start("exec sleep 30", "--owner", "none")
n = port(base)
p.terminate()
ends(p, n, "kill -TERM, the lease its own")
at = time.monotonic()
while "DELETE /v1/leases/" + "a" * 32 not in asked():
    assert time.monotonic() - at < 2, asked()
    time.sleep(0.01)
print("ok a lease that the broker would not end is given back")

# a program that waits for every child it has
p, base = start("exec " + sys.executable + " -c '" + "import os\ntry:\n os.wait()\n print(\"saw one\")\nexcept ChildProcessError:\n print(\"none\")" + "'")
assert p.stdout.readline() == "none\n"
p.wait()
print("ok it is no child of the program")
PY

# ---- where there is no network
if ((EUID == 0)) && unshare -n true 2>/dev/null; then
    # shellcheck disable=SC2016
    said=$(unshare -n bash -c 'ip link set lo up; exec "$0" --socket "$1" --profile openai-sdk -- "$2" -c "
import os, socket, urllib.request
r = urllib.request.Request(os.environ[\"OPENAI_BASE_URL\"] + \"/models\", headers={\"Authorization\": \"Bearer \" + os.environ[\"OPENAI_API_KEY\"]})
print(urllib.request.urlopen(r, timeout=5).read().decode())
try:
    socket.create_connection((\"192.0.2.1\", 80), 1)
    print(\"and more\")
except OSError:
    pass"' "$EXEC" "$T/fake" "$PYTHON")
    holds "from a namespace without a network: $said" is "$said" \
        '{"path": "/v1/models", "host": "127.0.0.1:'"$(sed -E 's/.*127.0.0.1:([0-9]+).*/\1/' <<<"$said")"'", "token": "Bearer the-token", "bytes": 0}'
    expect_fail 125 'loopback interface .* is down.*ip link set lo up' unshare -n "$EXEC" --socket "$T/fake" --profile openai-sdk -- true
    # process 1 of a container, the socket's directory mounted read-only
    mkdir "$T/mounted"
    # shellcheck disable=SC2016
    said=$(unshare -n -m -p --fork --mount-proc bash -c 'ip link set lo up; mount --bind -o ro "$1" "$3"; mount -o remount,bind,ro "$3"
        exec "$0" --socket "$3" --profile openai-sdk -- "$2" -c "
import os, urllib.request
try:
    os.wait()
except ChildProcessError:
    print(os.getpid(), \"alone\")
print(urllib.request.urlopen(os.environ[\"OPENAI_BASE_URL\"] + \"/models\", timeout=5).status)"' "$EXEC" "$T/fake" "$PYTHON" "$T/mounted")
    holds "as process 1: $said" is "$said" $'1 alone\n200'
else
    leave_out 2 "a network namespace needs root"
fi

# ---- against the broker itself
init_broker
"$CLI" enroll key --provider openai <"$LOGINS/openai.txt" >/dev/null 2>&1
consumer gateway key proxy
none_left() { [[ $(live_leases) == 0 ]]; }
# shellcheck disable=SC2016
if said=$("$EXEC" --socket "$(sock gateway)" --profile openai-sdk -- sh -c 'echo "$OPENAI_API_KEY $OPENAI_BASE_URL"' 2>&1); then
    holds "no token and address, but: $said" grep -qE '^[^ ]{20,} http://127\.0\.0\.1:[0-9]+/v1$' <<<"$said"
    holds "the secret itself was handed out" refused grep -qF "$(<"$LOGINS/openai.txt")" <<<"$said"
    holds "the lease outlived the program" eventually 2 none_left
else
    grep -qE 'granted here: key +\[denied\]|\[conflict\]' <<<"$said" || die "no lease by proxy: $said"
    leave_out 3 "this broker does not serve the delivery proxy yet: $said"
fi
tally
