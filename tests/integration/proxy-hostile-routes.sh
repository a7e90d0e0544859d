#!/usr/bin/env bash
# The hostile requests again, before every way in which a credential goes up: an API key and logins over TLS, ChatGPT's own paths and account,
# a header, basic authentication and a query parameter of one's own. The upstream reads the bytes itself and must see, for each request that
# was let through, one with our Host and exactly one credential, the real one, where the route has it. ROUTES_N of the generator (1000).
. "$(dirname "$0")/proxy.bash" || exit 1
FIRE=$BUILD/fake/fire HOSTILE=$ROOT/tests/hostile
[[ -x $FIRE ]] || die "tests/fake/fire.c is not built: make $FIRE"
export PYTHONDONTWRITEBYTECODE=1 HOSTILE_FOREIGN=sk-ant-api03-foreign-9876543210
routes() { python3 "$HOSTILE/routes.py" "$@"; }
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$T/key.pem" -out "$T/c/ca.crt" -days 2 -subj "/CN=upstream" \
    -addext basicConstraints=critical,CA:TRUE -addext "subjectAltName=IP:127.0.0.1,DNS:localhost" 2>/dev/null
cat "$T/c/ca.crt" "$T/key.pem" >"$T/cert.pem"
chmod 644 "$T/c/ca.crt"
PORT=9 upstream_config </dev/null
init_broker
# what was let through: one record of a beginning may allow several like requests in a burst, but each has one of its end
quiet() { "$CLI" status | grep -q ' 0 requests running'; }
let_through() {
    eventually 10 quiet || die "requests go on: $("$CLI" status | grep running)"
    sleep 0.3 # the log is written within 100 ms
    cat "$STATE"/log/* | grep -c '"event":"request.end"' || true
}
fire() { "$FIRE" "$RUN/gw/proxy.sock" 32 "$@" 2>"$T/fire.err" || die "$route: firing: $(head -20 "$T/fire.err")"; }
for route in $(routes names); do
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    origin=http://127.0.0.1:$port ca=
    [[ $route != *-tls ]] || { origin=https://127.0.0.1:$port ca=", ca: \"$T/c/ca.crt\""; }
    mapfile -t how < <(routes enroll "$route" "$origin" "$T")
    echo "upstreams: [ { provider: ${how[1]}, origin: \"$origin\", private: true$ca } ]" >"$CONFIG"
    "$CLI" reload >/dev/null
    "$CLI" enroll "$route" "${how[@]}" --file "$T/input" --yes >"$T/said" 2>&1 || die "$route: not enrolled: $(cat "$T/said")"
    grant_proxy gw "$route" --ttl 1h
    HOSTILE_TOKEN=$(proxy_token gw "$route")
    export HOSTILE_TOKEN
    expected=$(routes upstream "$route" | python3 -c 'import json, sys
d = json.load(sys.stdin)
print(json.dumps({**d, "port": int(sys.argv[2]), **({"cert": sys.argv[1]} if d.pop("tls", 0) else {})}))' "$T/cert.pem" "$port")
    : >"$T/seen"
    python3 "$HOSTILE/upstream_raw.py" "$KEY" "$HOSTILE_TOKEN" "$expected" >"$T/seen" 2>"$T/seen.err" &
    UPSTREAM=$!
    PIDS+=($!)
    eventually 10 test -s "$T/seen" || die "$route: the upstream did not come up: $(cat "$T/seen.err")"
    before=$(let_through)
    routes rows "$route" >"$T/frames"
    rows=$(fire "$T/answers" 1 <"$T/frames")
    routes check "$route" "$T/answers" || die "$route: rows"
    generated=$(python3 "$HOSTILE/generate.py" 7 "${ROUTES_N:-1000}" | fire - 7)
    kill "$UPSTREAM"
    wait "$UPSTREAM" 2>/dev/null || true
    fired=$(python3 -c 'import collections, json, sys
all = collections.Counter(); status = collections.Counter()
for a in sys.argv[1:]:
    d = json.loads(a); status.update(d.pop("status")); all.update(d)
print(json.dumps({**all, "status": dict(sorted(status.items()))}))' "$rows" "$generated")
    python3 "$HOSTILE/judge.py" raw "$T/seen" "$port" "$KEY" "$fired" $(($(let_through) - before)) "$HOSTILE_TOKEN" | sed "s/^raw:/$route:/" || die "$route"
    "$CLI" remove "$route" --yes >/dev/null
done
if grep -q 'worker.exit' "$STATE"/log/*; then die "a worker ended: $(grep -h worker.exit "$STATE"/log/*)"; fi
