#!/usr/bin/env bash
# A burst on one connection is decided in advance, and still: exactly as many requests reach the provider as the budget has, each one has its
# record, what was not used is given back, and a revoked lease lets nothing more through.
. "$(dirname "$0")/proxy.bash" || exit 1
start_provider
upstream_config </dev/null
init_broker
"$CLI" enroll k --provider anthropic <<<"$KEY" >/dev/null 2>&1
grant_proxy exact k --budget "requests: 300/d"
grant_proxy free k
exact=$(proxy_token exact k) free=$(proxy_token free k)
cat >"$T/burst.py" <<'PY'
"""burst.py SOCKET TOKEN N: N requests, one after the other, on one connection; the status of each."""
import collections, http.client, json, socket, sys
path, token, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
body = json.dumps({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]})
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
c = Unix("localhost")
seen = collections.Counter()
for i in range(n):
    try:
        c.request("POST", "/v1/messages", body, {"x-api-key": token, "anthropic-version": "2023-06-01", "content-type": "application/json"})
        r = c.getresponse()
        r.read()
    except (http.client.HTTPException, ConnectionError): # cut in the middle
        c.close()
        print("cut", flush=True)
        continue
    seen[r.status] += 1
    print(r.status, flush=True)
print("all", dict(seen), flush=True)
PY
statuses() { grep -c "^$1\$" "$2" || true; }
records() { "$CLI" audit show --json 2>/dev/null | python3 -c 'import json, sys
print(sum(r.get(sys.argv[2], 1) if len(sys.argv) > 2 else 1 for line in sys.stdin for r in [json.loads(line)] if eval(sys.argv[1])))' "$@"; }

# the budget is exact, and one record stands for several beginnings
python3 "$T/burst.py" "$RUN/exact/proxy.sock" "$exact" 310 >"$T/b1"
[[ $(statuses 200 "$T/b1") == 300 && $(statuses 429 "$T/b1") == 10 ]] || die "a budget of 300: $(tail -1 "$T/b1")"
[[ $(upstream_saw True) == 300 ]] || die "the provider saw $(upstream_saw True)"
eventually 5 test "$("$CLI" budget exact --json | python3 -c 'import json, sys; print("300" in sys.stdin.read())')" == True || die "the budget: $("$CLI" budget exact)"
ends=$(records 'r["event"] == "request.end" and r["consumer"] == "exact" and r["outcome"] == "ok"')
begins=$(records 'r["event"] == "request.begin" and r["consumer"] == "exact"')
[[ $ends == 300 ]] || die "$ends ends are recorded"
((begins < 300)) || die "each of $begins was asked about: nothing was allowed in advance"
"$CLI" audit verify --dir "$STATE/log" --key "$STATE/log/auditor.key" >/dev/null || die "the log does not verify"

# what a burst leaves unused is given back
grant_proxy back k --budget "requests: 10000/d"
back=$(proxy_token back k)
python3 "$T/burst.py" "$RUN/back/proxy.sock" "$back" 50 >/dev/null
used() { "$CLI" budget back --json | grep -oE '"used": ?[0-9]+' | head -1 | grep -oE '[0-9]+'; }
gave_back() { [[ $(used) == 50 ]]; }
eventually 5 gave_back || die "50 requests, and $(used) are charged"

# revoked in the middle of a burst: at once, on the same connection
python3 "$T/burst.py" "$RUN/free/proxy.sock" "$free" 100000 >"$T/b3" 2>"$T/b3.err" &
burst=$!
PIDS+=($!)
ran() { (($(statuses 200 "$T/b3") > 200)); }
eventually 10 ran || die "the burst does not run: $(tail -3 "$T/b3.err")"
"$CLI" revoke --consumer free --yes >/dev/null || die "revoke"
through=$(statuses 200 "$T/b3")
refused() { (($(statuses 403 "$T/b3") > 20)); }
eventually 5 refused || die "requests go on after the revocation: $(sort "$T/b3" | uniq -c | tr "\n" " ") then $(statuses 200 "$T/b3") $(tail -n 2 "$T/b3.err")"
later=$(statuses 200 "$T/b3")
((later - through < 400)) || die "$((later - through)) requests went through after the revocation"
sleep 0.3
[[ $(statuses 200 "$T/b3") == "$later" ]] || die "one went through after one was refused"
kill "$burst"
