#!/usr/bin/env bash
# While a provider does not answer for 30 s, only who needs that very token waits. Other credentials, holders of a token of that login that is still
# valid, the operator: their delay is as before. The hung refresh ends by its deadline, and the login is as it was.
#   SAMPLES (300) requests of each kind before and during.
. "$(dirname "$0")/refresh.bash"
SAMPLES=${SAMPLES:-300}
start_idp --life 3600
idp_config </dev/null
init_broker
enroll_login 3600
enroll_key
enroll_login 20 late
consumer gateway claude access_token,proxy
consumer gateway key helper,secret
consumer gateway late access_token
cat >"$T/delay.py" <<'PY'
"""Median and 99th percentile, in ms, of SAMPLES requests of each kind."""
import http.client, json, socket, sys, time
run, samples = sys.argv[1], int(sys.argv[2])
class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.path)
KINDS = (("gateway", "POST", "/v1/leases", {"credential": "key", "deliver": "secret", "ttl_ms": 60000}), ("gateway", "POST", "/v1/leases", {"credential": "claude", "deliver": "access_token", "ttl_ms": 60000}),
         ("gateway", "GET", "/v1/whoami", None), ("admin", "GET", "/v1/status", None))
out = []
for name, method, path, body in KINDS:
    c, took = Unix(f"{run}/{name}/broker.sock"), []
    for _ in range(samples):
        t = time.monotonic()
        c.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"} if body else {})
        r = c.getresponse()
        text = r.read()
        took.append((time.monotonic() - t) * 1000)
        assert r.status == 200, (path, r.status, text)
        if path == "/v1/leases":
            c.request("DELETE", "/v1/leases/" + json.loads(text)["id"])
            c.getresponse().read()
    took.sort()
    out.append(f"{took[len(took) // 2]:.2f} {took[int(len(took) * .99)]:.2f}")
print("\n".join(out))
PY
python3 "$T/delay.py" "$RUN" "$SAMPLES" >/dev/null # warm
python3 "$T/delay.py" "$RUN" "$SAMPLES" >"$T/before"
idp token=hang
begun=${EPOCHREALTIME/./}
lease gateway late >"$T/late" 2>&1 & # needs the token that does not come
waiter=$!
PIDS+=("$waiter")
eventually 5 shows late 'c["refresh"]["running"]' True || die "no refresh began"
"$CLI" refresh claude >"$T/demand" 2>&1 & # and one more hangs, of a login whose token is valid
PIDS+=($!)
eventually 5 shows claude 'c["refresh"]["running"]' True || die "no second refresh began"
python3 "$T/delay.py" "$RUN" "$SAMPLES" >"$T/during" || die "somebody was not served"
holds "both refreshes hung all the while" is "$(show late 'c["refresh"]["running"]') $(show claude 'c["refresh"]["running"]')" "True True"
paste -d ' ' "$T/before" "$T/during" | awk '{printf "median %s -> %s ms, 99th percentile %s -> %s ms\n", $1, $3, $2, $4}'
paste -d ' ' "$T/before" "$T/during" >"$T/both"
holds "no kind of request is delayed by more than 5 ms in the median" awk '$3 - $1 > 5 {bad = 1} END {exit bad}' "$T/both"
wait "$waiter" || true
took=$(((${EPOCHREALTIME/./} - begun) / 1000))
holds "who needs it is told, before its worker gives up (after $took ms): $(<"$T/late")" begins "$(<"$T/late")" "503 "
holds "after about 12 s" test "$took" -ge 10000 -a "$took" -le 15000
over() { [[ $(show late 'c["refresh"]["failures"]') -ge 1 ]]; }
eventually 40 over || die "the hung refresh did not end"
took=$(((${EPOCHREALTIME/./} - begun) / 1000))
holds "the refresh ends by its deadline of 30 s (after $took ms)" test "$took" -ge 29000 -a "$took" -le 45000
holds "and the login is as it was" is "$(show late 'c["state"], c["version"], c["refresh"]["doubtful"]')" "('expired', 1, True)"
idp
stop_idp
start_idp --life 3600 --port "$PORT"
renewed() { [[ $(lease gateway late) == 200* ]]; }
eventually 30 renewed || die "the login does not come back: $(lease gateway late)"
holds "when the provider answers again, so does the broker" shows late 'c["version"]' 2
tally
