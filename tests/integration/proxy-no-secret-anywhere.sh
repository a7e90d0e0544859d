#!/usr/bin/env bash
# The credential that the data plane swaps in is, after traffic of every kind (plain and TLS, a key and a login, streams, reflections, errors,
# resets), in no file, log, environment, command line, core or reply; in memory only of the proxy worker, and only while a live lease
# uses it: once the leases are revoked it is in no memory of the broker at all. Tokens are looked for in files and logs.
. "$(dirname "$0")/proxy.bash" || exit 1
SCAN=$BUILD/fake/scan
[[ -x $SCAN ]] || die "tests/fake/scan.c is not built: make $SCAN"
need_root # the memory of a broker is closed to its own user
mkdir "$T/in"
python3 - "$LOGINS" "$T/in" <<'PY'
import json, secrets, string, sys
logins, out = sys.argv[1:3]
text = lambda n: "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(n))
needles = {}
def plant(name, prefix, n, suffix=""):
    needles[name] = text(n)
    return prefix + needles[name] + suffix
put = lambda name, value: open(f"{out}/{name}", "w").write(value)
v = json.load(open(logins + "/claude.json"))
v["claudeAiOauth"]["accessToken"] = plant("access", "sk-ant-oat01-", 93, "AA")
v["claudeAiOauth"]["refreshToken"] = plant("refresh", "sk-ant-ort01-", 93, "AA")
put("login", json.dumps(v, indent=2))
put("access", v["claudeAiOauth"]["accessToken"])
put("key", plant("key", "sk-ant-api03-", 93, "AA"))
put("openai", plant("openai", "sk-proj-", 100))
put("needles", "".join(f"{k} {v}\n" for k, v in needles.items()))
PY
IN=$T/in
# shellcheck disable=SC2034 # what start_provider expects; exported, the broker would inherit it
KEY=$(<"$IN/key")
cp "$IN/needles" "$IN/all"
scan() { "$SCAN" "$@" <"$IN/all" >"$T/found" 2>&1; }
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$T/tls.key" -out "$T/c/ca.pem" -days 2 -subj "/CN=localhost" \
    -addext "subjectAltName=IP:127.0.0.1,DNS:localhost" 2>/dev/null
chmod 644 "$T/c/ca.pem"
providers() { # [TLS] further arguments of provider.py
    local tls=()
    if [[ ${1:-} == tls ]]; then
        tls=(--tls "$T/c/ca.pem" "$T/tls.key")
        shift
    fi
    start_provider --expect "claude=@$IN/access" --expect "openai=@$IN/openai" "${tls[@]}" "$@"
    if ((${#tls[@]})); then
        upstream_config "https://localhost:$PORT" "ca: \"$T/c/ca.pem\"" </dev/null
    else
        upstream_config </dev/null
    fi
    if [[ -n ${BROKER:-} ]]; then "$CLI" reload >/dev/null; fi
}
providers
init_broker
[[ $("$CLI" status --json | grep -o '"memory_lock":"[a-z_]*"') == *memfd_secret* ]] || skip "this kernel has no memfd_secret: what is locked can be read by root"
"$CLI" enroll k --provider anthropic <"$IN/key" >/dev/null 2>&1
"$CLI" enroll login --provider claude --file "$IN/login" >/dev/null 2>&1
"$CLI" enroll o --provider openai <"$IN/openai" >/dev/null 2>&1
grant_proxy gw k --ttl 1h
grant_proxy sub login --ttl 1h
grant_proxy oa o --ttl 1h
pids() { pgrep -P "$BROKER"; echo "$BROKER"; }
proxy() { pgrep -P "$BROKER" -f -- '--role=proxy'; }
own_token() { # CONSUMER CREDENTIAL
    TOKEN=$(proxy_token "$1" "$2")
    echo "token-$1-$((++tokens)) ${TOKEN#*cbrk1_}" >>"$IN/all"
}
tokens=0
own_token gw k; gw=$TOKEN
own_token sub login; sub=$TOKEN
own_token oa o; oa=$TOKEN
openai() { curl -sS -o "$T/body" -w '%{http_code} ' --max-time 30 --unix-socket "$RUN/oa/proxy.sock" -H "Authorization: Bearer $oa" -H 'content-type: application/json' \
    -d '{"model":"gpt-5","input":"hi"}' http://localhost/v1/responses || true; }
traffic() {
    local i
    for i in 1 2 3; do
        ask gw "$gw"; ask gw "$gw" -H 'expect: 100-continue' -H 'content-encoding: identity' -H 'x-big: '"$(printf 'y%.0s' {1..3000})"
        ask gw "$gw" --data-binary "@$ROOT/broker/proxy/stream.c" # no JSON at all, of several reads
        ask sub "$sub" -H "Authorization: Bearer $sub"; ask gw "$gw" --http1.0; ask gw "$gw" -I -X GET
        openai
    done
    for i in 1 2; do # whole, and left in the middle
        ask gw "$gw" -d '{"model":"claude-sonnet-4-5","stream":true,"max_tokens":9,"messages":[]}' --max-time $((2 - i)).1 >"$T/stream" || true
        ask sub "$sub" -d '{"model":"claude-sonnet-4-5","stream":true,"max_tokens":9,"messages":[]}' --max-time $((2 - i)).1 >"$T/stream2" || true
    done
    python3 - "$RUN/gw/proxy.sock" "$gw" <<'PY'
import socket, sys
# clients that vanish at every stage of a request
head = b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nx-api-key: %s\r\nanthropic-version: 2023-06-01\r\ncontent-length: 2\r\n\r\n{}" % sys.argv[2].encode()
for n in range(20, len(head) + 1, 3):
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    s.sendall(head[:n])
    s.close()
PY
}
everything() {
    traffic >"$T/out" 2>&1
    ask gw "$gw" | grep -q '^200 ' || die "not served: $(ask gw "$gw")"
    ask sub "$sub" -H "Authorization: Bearer $sub" -H 'x-api-key:' | grep -q '^200 ' || die "the login is not served"
    [[ $(openai) == "200 " ]] || die "OpenAI is not served: $(cat "$T/body")"
    for fault in echo=raw echo=json echo=base64+1 echo-header=raw status=529 cut=120 write=5; do
        stop_provider
        providers "$@" --fault "$fault"
        traffic >"$T/out" 2>&1
    done
    stop_provider
    providers "$@" --fault chunk-delay=0.2 --fault repeat=300
}
outside() { # WHEN: no file, no memory but the worker's; tokens are nowhere but where they are used
    local pid memory=()
    for pid in $(pids); do [[ " $(proxy | tr '\n' ' ') " == *" $pid "* ]] || memory+=(-p "$pid"); done
    "$SCAN" "${memory[@]}" <"$IN/needles" >"$T/found" 2>&1 || die "$1: $(<"$T/found")"
    "$SCAN" "$STATE" "$RUN" "$T/log" "$RECORD" "$T/body" "$T/stream" "$T/stream2" "$T/out" <"$IN/all" >"$T/found" 2>&1 || die "$1: $(<"$T/found")"
    find "/proc/$(proxy)/" -maxdepth 1 \( -name environ -o -name cmdline \) -exec cat {} + | tr '\0' '\n' >"$T/env" 2>/dev/null
    scan "$T/env" || die "$1: $(<"$T/found")"
}
inside() { # WHEN: what the worker has when nothing is going on
    local memory=() pid
    for pid in $(proxy); do memory+=(-p "$pid"); done
    "$SCAN" "${memory[@]}" <"$IN/needles" >"$T/found" 2>&1 || die "$1: $(<"$T/found")"
    grep -q ' (1 mapp' "$T/found" || die "$1: $(<"$T/found")"
    "$SCAN" "${memory[@]}" <"$IN/all" >"$T/found" 2>&1 || die "$1: a token: $(<"$T/found")"
}
everything
unended() { python3 -c "import json, sys
ev = [json.loads(l) for l in sys.stdin]
ends = {e[\"serial\"] for e in ev if e[\"event\"] == \"request.end\"}
for i, e in enumerate(ev):
    if e[\"event\"] == \"request.begin\" and e[\"serial\"] not in ends: print(ev[i - 2:i + 4])" < <("$CLI" audit export); }
idle() { [[ $("$CLI" audit export 2>/dev/null | grep -c 'request.begin') == $("$CLI" audit export 2>/dev/null | grep -c 'request.end') ]]; }
eventually 10 idle || die "streams that do not end: $(unended)"
outside "plain, live leases"
inside "plain, live leases, between requests"
stop_provider
providers tls
everything tls
stop_provider
providers tls --fault status=401 # the vault is asked for a newer login, and has none
traffic >"$T/out" 2>&1
stop_provider
providers tls --fault chunk-delay=0.2 --fault repeat=300
eventually 10 idle || die "streams that do not end: $(unended)"
outside "TLS, live leases"
inside "TLS, live leases, between requests"

# a stream that runs while its lease is revoked
stream gw "$gw" "$T/stream"
outside "TLS, while a stream runs"
"$CLI" revoke --all --yes >/dev/null
timeout 5 tail -s 0.02 --pid="$STREAM" -f /dev/null || die "the stream outlived its lease"
eventually 10 idle || die "streams that do not end: $(unended)"
outside "after revocation"
inside "after revocation"
# the worker's secret memory too: what the vault took back is wiped; no core and no dump holds it
if find "$T" /tmp -maxdepth 2 -name 'core*' -newer "$IN/needles" -size +0 2>/dev/null | grep -q .; then die "a core"; fi
[[ $(ulimit -c; awk '/Max core/ {print $5}' "/proc/$(proxy)/limits") == *0 ]] || die "the worker could leave a core"

# the scanner finds what is there
python3 -c 'import sys, time; s = sys.stdin.read(); print("ready", flush=True); time.sleep(60)' <"$IN/key" >"$T/ready" &
control=$!
PIDS+=("$control")
eventually 5 grep -q ready "$T/ready"
if scan -p "$control"; then die "the scanner is blind to memory"; fi
cp "$IN/login" "$T/control"
if scan "$T/control"; then die "the scanner is blind to files"; fi
