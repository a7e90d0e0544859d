#!/usr/bin/env bash
# Many processes, one login: each expiry costs exactly one refresh at the provider, whoever notices it and however many at once, and nobody sees
# an error. The access token ends before its time (an upstream's 401), or has too little life left for a lease. Single-use refresh tokens, no
# grace, and a second use would end the whole login: one refresh too many and the test fails.
#   PROCESSES (20) and EXPIRIES (10): the record run has 200 and 100.
. "$(dirname "$0")/refresh.bash"
PROCESSES=${PROCESSES:-20} EXPIRIES=${EXPIRIES:-10}
start_idp --life 3600 --family
idp_config <<'YAML'
consumers:
  - name: gateway
    max_leases: 4096
    grants:
      - { credential: claude, deliver: [proxy, access_token], ttl: 1h }
YAML
init_broker
enroll_login 3600
eventually 5 test -S "$RUN/gateway/proxy.sock" || die "no proxy.sock"
cat >"$T/agent.py" <<'PY'
"""One agent: asks through the proxy without a pause until it is told to stop; prints how many requests it made, and each answer that is not 200."""
import http.client, json, os, socket, sys, time
run, stop = sys.argv[1:]
class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.path)
api = Unix(run + "/gateway/broker.sock")
api.request("POST", "/v1/leases", json.dumps({"credential": "claude", "deliver": "proxy"}), {"Content-Type": "application/json"})
answer = api.getresponse()
lease = json.loads(answer.read())
if answer.status != 200:
    sys.exit(f"no lease: {lease}")
body = json.dumps({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]})
headers = {"authorization": "Bearer " + lease["token"], "anthropic-version": "2023-06-01", "content-type": "application/json"}
c, n = Unix(run + "/gateway/proxy.sock"), 0
while not os.path.exists(stop):
    c.request("POST", "/v1/messages", body, headers)
    r = c.getresponse()
    text = r.read()
    if r.status != 200:
        print("ERROR", r.status, text[:200].decode())
    n += 1
    time.sleep(float(os.environ.get("PAUSE", "0.01")))
print("requests", n)
PY
export PAUSE
PAUSE=$(python3 -c "print(0.01 * $PROCESSES)")
agents=()
for ((i = 0; i < PROCESSES; i++)); do
    python3 "$T/agent.py" "$RUN" "$T/stop" >"$T/out.$i" 2>&1 &
    agents+=($!)
    PIDS+=($!)
done
messages() { # the API has answered so many well
    grep -c '"path": "/v1/messages".*"status": 200' "$RECORD" || true
}
all_renewed() { [[ $(refreshes 200) == "$1" ]]; }
eventually 20 grep -q v1/messages "$RECORD" || die "no request came: $(cat "$T"/out.*)"
for ((n = 1; n <= EXPIRIES; n++)); do
    idp "expire=$n"
    eventually 60 all_renewed "$n" || die "expiry $n was not noticed: $(refreshes) refreshes"
    served=$(messages)
    more() { (($(messages) > served + 2 * PROCESSES)); } # a request is tried again once: it must not meet two expiries
    eventually 120 more || die "nobody is served after expiry $n"
done
touch "$T/stop"
wait "${agents[@]}" || die "an agent failed: $(cat "$T"/out.*)"
cat "$T"/out.* >"$T/agents"
holds "nobody saw an error: $(grep -m 3 ERROR "$T/agents" || true)" refused grep -q ERROR "$T/agents"
requests=$(awk '/^requests/ {n += $2} END {print n}' "$T/agents")
holds "each agent was served: $requests requests" test "$requests" -ge $((PROCESSES * 5))
holds "exactly $EXPIRIES refreshes for $EXPIRIES expiries under $PROCESSES processes" is "$(refreshes)" "$EXPIRIES"
holds "and each was good" is "$(refreshes 200)" "$EXPIRIES"
holds "the login works" is "$(show claude 'c["state"]')" ok

# the same where it is the clock that says so: every lease comes too late for the token at hand
cat >"$T/crowd.py" <<'PY'
"""PROCESSES connections ask for a lease at once; prints each answer's status and value."""
import http.client, json, socket, sys, threading
run, n = sys.argv[1], int(sys.argv[2])
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(run + "/gateway/broker.sock")
def one():
    c = Unix("localhost", timeout=60)
    gate.wait()
    c.request("POST", "/v1/leases", json.dumps({"credential": "claude", "deliver": "access_token", "ttl_ms": 5000}), {"Content-Type": "application/json"})
    r = c.getresponse()
    text = r.read().decode()
    out.append(f"{r.status} {json.loads(text).get('secret') if r.status == 200 else text}")
out, gate = [], threading.Event()
all = [threading.Thread(target=one) for _ in range(n)]
for t in all:
    t.start()
gate.set()
for t in all:
    t.join()
print("\n".join(out))
PY
before=$(refreshes)
for ((n = 1; n <= EXPIRIES; n++)); do
    stop_idp
    start_idp --life 3600 --family --port "$PORT" --refresh "claude=$REFRESH-$n" >/dev/null
    login 30 "$REFRESH-$n" >"$T/login.json"
    "$CLI" replace claude --yes --file "$T/login.json" >/dev/null 2>&1 || die "the login was not replaced"
    python3 "$T/crowd.py" "$RUN" "$PROCESSES" >>"$T/leases" || die "the crowd failed"
done
holds "each of $((EXPIRIES * PROCESSES)) leases was given: $(grep -v -m 3 '^200 ' "$T/leases" || true)" is "$(grep -c '^200 ' "$T/leases")" $((EXPIRIES * PROCESSES))
holds "with the renewed token" is "$(grep -c "^200 ${ACCESS}r1\$" "$T/leases")" $((EXPIRIES * PROCESSES))
holds "and $EXPIRIES refreshes" is "$(($(refreshes) - before))" "$EXPIRIES"
echo "processes=$PROCESSES expiries=$EXPIRIES requests=$requests refreshes=$(refreshes)"
tally
