#!/usr/bin/env bash
# Hostile requests (tests/hostile: every row, and HOSTILE_N of the generator) at the running broker, before four kinds of upstream: one that
# reads raw bytes, nginx, node, python. Each must understand exactly one request for each that was let through, whole or cut short, with our
# Host and one credential, the real one, and nothing of the client's; else it hears nothing. HOSTILE_N=1000000 for the record;
# HOSTILE_SEED; HOSTILE_KINDS.
. "$(dirname "$0")/proxy.bash" || exit 1
FIRE=$BUILD/fake/fire HOSTILE=$ROOT/tests/hostile
N=${HOSTILE_N:-5000} SEED=${HOSTILE_SEED:-1} KINDS=${HOSTILE_KINDS:-raw nginx node python} BUSY=${HOSTILE_BUSY:-32}
[[ -x $FIRE ]] || die "tests/fake/fire.c is not built: make $FIRE"
PATH=$PATH:/usr/sbin
FOREIGN=sk-ant-api03-foreign-9876543210
export PYTHONDONTWRITEBYTECODE=1

begin_upstream() { # KIND: fills PORT, UPSTREAM and SEEN
    SEEN=$T/seen.$1
    : >"$SEEN"
    case $1 in
    raw) python3 "$HOSTILE/upstream_raw.py" "$KEY" "$token" >"$SEEN" & ;;
    node) node "$HOSTILE/upstream_node.js" "$SEEN" >"$T/port" & ;;
    python) python3 "$HOSTILE/upstream_python.py" "$SEEN" >"$T/port" & ;;
    nginx)
        PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
        bash "$HOSTILE/nginx.sh" "$T/nginx" "$PORT" "$SEEN" &
        ;;
    esac
    UPSTREAM=$!
    PIDS+=($!)
    case $1 in
    raw) eventually 10 test -s "$SEEN" || die "$1 did not come up"; PORT=$(head -1 "$SEEN") ;;
    nginx) eventually 10 test -S "$T/nginx/second" || die "$1 did not come up: $(cat "$T"/nginx/error.log)" ;;
    *) eventually 10 test -s "$T/port" || die "$1 did not come up"; PORT=$(<"$T/port") ;;
    esac
    upstream_config </dev/null
    "$CLI" reload >/dev/null
}
end_upstream() {
    kill "$UPSTREAM"
    wait "$UPSTREAM" 2>/dev/null || true
    rm -f "$T/port"
}
# what was let through: one record of a beginning may allow several like requests in a burst, but each has one of its end
quiet() { "$CLI" status | grep -q ' 0 requests running'; }
let_through() {
    eventually 10 quiet || die "requests go on: $("$CLI" status | grep running)"
    sleep 0.3 # the log is written within 100 ms
    cat "$STATE"/log/* | grep -c '"event":"request.end"' || true
}
fire() { "$FIRE" "$RUN/gw/proxy.sock" "$BUSY" "$@" 2>"$T/fire.err" || die "firing: $(head -20 "$T/fire.err")"; }

PORT=9 upstream_config </dev/null
init_broker
"$CLI" enroll k --provider anthropic <<<"$KEY" >/dev/null 2>&1
grant_proxy gw k --ttl 12h
token=$(proxy_token gw k)
export HOSTILE_TOKEN=$token HOSTILE_FOREIGN=$FOREIGN
python3 - "$HOSTILE" >"$T/rows" <<'PY'
import struct, sys
sys.path.insert(0, sys.argv[1])
import generate
for _, _, raw in generate.named_rows():
    sys.stdout.buffer.write(struct.pack(">I", len(raw)) + raw)
PY
for kind in $KINDS; do
    command -v "$kind" >/dev/null || [[ $kind == raw || $kind == python ]] || die "needs $kind"
    begin_upstream "$kind"
    before=$(let_through)
    rows=$(fire "$T/answers" "$SEED" <"$T/rows")
    # each row's verdict, end to end
    python3 - "$HOSTILE" "$T/answers" <<'PY' || die "rows, before $kind"
import sys
sys.path.insert(0, sys.argv[1])
import generate
answers = {int(n): a for n, *a in (line.split() for line in open(sys.argv[2]))}
bad = 0
for i, (name, verdicts, _) in enumerate(generate.named_rows()):
    got, passed = answers[i], verdicts.count("pass")
    up = sum(a.endswith("u") for a in got)
    last = verdicts[-1]
    good = up <= passed and (not last.isdigit() or got[-1:] == [last] or (len(got) < len(verdicts) and got and not got[-1].endswith("u")))
    if verdicts[0].isdigit():
        good = got == [verdicts[0]]
    if not good:
        bad += 1
        print("row", name, "should give", verdicts, "and gave", got)
print(len(answers), "rows")
sys.exit(bad > 0)
PY
    generated=$(python3 "$HOSTILE/generate.py" "$SEED" "$N" | fire - "$SEED")
    end_upstream
    fired=$(python3 -c 'import collections, json, sys
all = collections.Counter(); status = collections.Counter()
for a in sys.argv[1:]:
    d = json.loads(a); status.update(d.pop("status")); all.update(d)
print(json.dumps({**all, "status": dict(sorted(status.items()))}))' "$rows" "$generated")
    python3 "$HOSTILE/judge.py" "$kind" "$SEEN" "$PORT" "$KEY" "$fired" $(($(let_through) - before)) "$token" || die "$kind"
    "$CLI" status >/dev/null || die "the broker is gone"
done
# no worker died of it
if grep -q 'worker.exit' "$STATE"/log/*; then die "a worker ended: $(grep -h worker.exit "$STATE"/log/*)"; fi
