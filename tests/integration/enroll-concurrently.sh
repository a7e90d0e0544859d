#!/usr/bin/env bash
# Many operators at once: each name is enrolled by exactly one of those who try, replacements never mix, and while all that goes on leases give
# whole values; what was acknowledged is there after a restart.
. "$(dirname "$0")/lib.bash" || exit 1
. "$(dirname "$0")/faults.bash"
init_broker
for name in n0 n1 n2 n3 n4; do consumer gateway "$name" secret --ttl 1h 2>/dev/null; done
"$PYTHON" -I - "$RUN" <<'PY'
import json, os, socket, sys
run = sys.argv[1]

def link(who):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(f"{run}/{who}/broker.sock")
    return s, s.makefile("rb")

def ask(l, method, path, body=None):
    data = json.dumps(body).encode() if body is not None else b""
    l[0].sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
    status, n = int(l[1].readline().split()[1]), 0
    while (h := l[1].readline().strip()):
        if h.lower().startswith(b"content-length:"):
            n = int(h.split(b":")[1])
    return status, json.loads(l[1].read(n) or b"{}")

def value(who, k):
    return f"{who}-{k}-" + f"{who}{k}" * 300

def operator(who):
    """Enrols and replaces the same five names as all others; tells what was acknowledged."""
    l, won, last = link("admin"), [], {}
    for n in range(5):
        status, said = ask(l, "POST", "/v1/credentials", {"name": f"n{n}", "provider": "generic", "data": value(who, 0)})
        assert status < 300 or said["error"] == "exists", (status, said)
        if status < 300:
            won.append(n)
        for k in range(1, 6):
            status, said = ask(l, "PUT", f"/v1/credentials/n{n}", {"provider": "generic", "data": value(who, k)})
            assert status < 300, (status, said)
            last[n] = said["version"]
    return [won, last]

def reader(who):
    l, seen = link("gateway"), 0
    for k in range(60):
        status, lease = ask(l, "POST", "/v1/leases", {"credential": f"n{k % 5}"})
        if status < 300:
            who_, k_, rest = lease["secret"].split("-", 2)
            assert rest == f"{who_}{k_}" * 300, "a torn value: " + lease["secret"][:40]
            seen += 1
            ask(l, "DELETE", "/v1/leases/" + lease["id"])
    return seen

def start(job, who):
    r, w = os.pipe()
    if os.fork() == 0:
        try:
            text = json.dumps(job(who))
        except BaseException as e:
            text = json.dumps("failed: " + repr(e))
        os.write(w, text.encode())
        os._exit(0)
    os.close(w)
    return r

def result(r):
    with os.fdopen(r) as f:
        said = json.loads(f.read())
    assert not isinstance(said, str), said
    return said

jobs = [start(operator, f"o{i}") for i in range(8)]
readers = [start(reader, f"r{i}") for i in range(3)]
done = [result(r) for r in jobs]
for n in range(5):
    winners = [i for i, (won, _) in enumerate(done) if n in won]
    assert len(winners) == 1, f"n{n} was enrolled by {winners}"
    newest = max(last[str(n)] for _, last in done)
    assert newest == 1 + 8 * 5, f"n{n} is at version {newest}: a replacement was lost"
assert sum(result(r) for r in readers) > 0
print("8 operators, 3 readers")
PY
versions() { "$CLI" list --json | "$PYTHON" -IS -c 'import json,sys; print(*["%s=%d" % (c["name"], c["version"]) for c in json.load(sys.stdin)["credentials"]])'; }
before=$(versions)
[[ $before == "n0=41 n1=41 n2=41 n3=41 n4=41" ]] || die "the versions are $before"
kill_all
start_broker
[[ $(versions) == "$before" ]] || die "after a restart the versions are $(versions), not $before"
for name in n0 n1 n2 n3 n4; do released gateway "$name" || die "$name does not open"; done
eventually 5 test "$(find "$STATE/records" -type f | wc -l)" = 5 || die "records are left over"
end_broker
verify_log
