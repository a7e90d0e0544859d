#!/usr/bin/env bash
# An upstream that fails in every way: resets and ends at each byte of its reply, plain and TLS; garbage; heads, interim replies, chunk sizes
# and trailers without end; redirects; another protocol; certificates of another name, too old, of nobody; old TLS; gigabytes. Each gives an
# error in the provider's form or a reply that is visibly cut, never a whole one; each is in the audit log with its end; what has no end is
# ended; and the credential goes nowhere else: a redirect's target hears nothing, nor does a server that is not the one it says.
# FAULT_MB (256): size of the large reply.
. "$(dirname "$0")/proxy.bash" || exit 1
MB=${FAULT_MB:-256}
F=$T/c/f # beside broker.yaml: a proxy worker may read there
mkdir -m 755 "$F"
certificate() { # NAME SUBJECT-ALT-NAME CA [openssl x509 arguments]
    local name=$1 san=$2 ca=$3
    shift 3
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$F/$name.key" -out "$F/$name.csr" -subj "/CN=$name" 2>/dev/null
    openssl x509 -req -in "$F/$name.csr" -CA "$F/$ca.crt" -CAkey "$F/$ca.key" -CAcreateserial -days 1 -extfile <(echo "subjectAltName=$san") -out "$F/$name.crt" "$@" 2>/dev/null
}
authority() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$F/$1.key" -out "$F/$1.crt" -days 2 -subj "/CN=$2" \
    -addext basicConstraints=critical,CA:TRUE -addext "subjectAltName=IP:127.0.0.1,DNS:localhost" 2>/dev/null; }
authority ca "Fake CA"
authority strange "Fake CA"
authority selfsigned "127.0.0.1"
certificate good "IP:127.0.0.1,DNS:localhost" ca
certificate othername "DNS:other.invalid,IP:127.0.0.2" ca
certificate otherca "IP:127.0.0.1,DNS:localhost" strange
faketime -f -10d openssl version >/dev/null 2>&1 || die "needs faketime"
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$F/expired.key" -out "$F/expired.csr" -subj "/CN=expired" 2>/dev/null
faketime -f -10d openssl x509 -req -in "$F/expired.csr" -CA "$F/ca.crt" -CAkey "$F/ca.key" -CAcreateserial -days 1 \
    -extfile <(echo "subjectAltName=IP:127.0.0.1,DNS:localhost") -out "$F/expired.crt" 2>/dev/null
chmod 644 "$F"/*
python3 -W ignore "$ROOT/tests/hostile/upstream_faults.py" "$F" >"$T/ports" 2>"$T/faults.err" &
PIDS+=($!)
eventually 10 test -s "$T/ports" || die "the upstream did not come up: $(cat "$T/faults.err")"
port() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$T/ports" "$1"; }
goes_to() { # NAME
    case $1 in
    plain) upstream_config "http://127.0.0.1:$(port plain)" </dev/null ;;
    *) upstream_config "https://${2:-127.0.0.1}:$(port "$1")" "ca: \"$F/ca.crt\"" </dev/null ;;
    esac
    if [[ -n ${BROKER:-} ]]; then "$CLI" reload >/dev/null; fi
}
goes_to plain
init_broker
"$CLI" enroll k --provider anthropic <<<"$KEY" >/dev/null 2>&1
grant_proxy gw k --ttl 1h
token=$(proxy_token gw k)
proxy=$(pgrep -P "$BROKER" -f -- '--role=proxy')
fds() { find "/proc/$proxy/fd" -mindepth 1 2>/dev/null | wc -l; }
faults() { # KIND: everything that a server of this kind does; KIND says what to expect
    timeout 120 python3 - "$RUN/gw/proxy.sock" "$token" "$1" "$MB" "$KEY" <<'PY'
import http.client, json, socket, sys, time
path, token, kind, mb, key = sys.argv[1:]
sys.path.insert(0, "")
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(path)
asked = 0
def ask(fault):
    """(status, body, whole?)"""
    global asked
    asked += 1
    c = Unix("localhost")
    c.request("POST", "/v1/messages", b"{}", {"x-api-key": token, "anthropic-version": "2023-06-01", "x-fault": fault})
    try:
        r = c.getresponse()
    except (http.client.HTTPException, ConnectionError) as e:
        return 0, b"", False
    try:
        body = r.read()
        whole = True
    except (http.client.HTTPException, ConnectionError, ValueError) as e:
        body, whole = getattr(e, "partial", b""), False
    if key.encode() in body:
        sys.exit(f"{fault}: the credential came back")
    c.close()
    return r.status, body, whole
def refused(fault, statuses=(502,)):
    status, body, whole = ask(fault)
    try:
        e = json.loads(body)
        good = whole and status in statuses and e["type"] == "error" and e["error"]["type"] and e["error"]["message"]
    except (ValueError, KeyError, TypeError):
        good = False
    if not good:
        sys.exit(f"{kind} {fault}: {status} {body[:300]!r} whole={whole}")
    return e["error"]["message"]
OK = len(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
FORMS = {"length": (OK + 22, 11), "chunked": (OK + 30, 26), "close": (OK + 21, 11)}  # head, body
if kind in ("plain", "good", "tls12"):
    for form, (head, body) in FORMS.items():
        for end in ("rst", "fin"):
            for n in range(head + body + 1):
                status, got, whole = ask(f"{form},{end},{n}")
                told = f"{kind} {form},{end},{n}: {status} {got!r} whole={whole}"
                if n < head:
                    if status != 502 or not whole or json.loads(got)["type"] != "error":
                        sys.exit(told)
                elif form == "close" and end == "fin" and kind == "plain":
                    if status != 200 or not whole:  # nothing but its end says how long it is
                        sys.exit(told)
                elif whole and status == 200 and (n < head + body or form == "close" or got != b'{"ok":true}'):
                    sys.exit(told)
                elif not whole and n == head + body and end == "fin" and form != "close":
                    sys.exit(told)
    for form in ("length,whole", "chunked,whole"):
        if ask(form) != (200, b'{"ok":true}', True):
            sys.exit(f"{kind}: {form} is not served")
if kind == "plain":
    for form in ("garbage", "ssh", "zeros", "old", "two-lengths", "both", "coded", "101", "redirect", "redirect-name", "negative"):
        refused(form + ",whole")
    for form in ("head,loop", "line,loop", "interim,loop"):
        refused(form)
    if "interim" not in refused("interim,drip"):
        sys.exit("interim replies go on until the upstream ends them")
    for form in ("size,loop", "extension,loop", "trailer,loop", "big-chunk,whole"):
        status, got, whole = ask(form)
        if status == 200 and whole:
            sys.exit(f"{form}: {status} {got[:100]!r} whole={whole}")
    if ask("ones,whole") != (200, b"x" * 20000, True):
        sys.exit("a chunk for each byte is not served")
    if ask("more,whole") != (200, b'{"ok":true}', True) or ask("length,whole") != (200, b'{"ok":true}', True):
        sys.exit("what stands behind a reply is taken for one")
    from_ = time.monotonic()
    status, got, whole = ask(f"bytes,{mb}")
    if status != 200 or len(got) != int(mb) << 20:
        sys.exit(f"{mb} MB came as {len(got)} bytes")
    print(f"{mb} MB in {time.monotonic() - from_:.1f} s")
    c = Unix("localhost") # nobody waits any more for the first byte
    c.request("POST", "/v1/messages", b"{}", {"x-api-key": token, "x-fault": "silent,whole"})
    time.sleep(0.2)
    c.close()
    asked += 1
if kind in ("othername", "expired", "selfsigned", "otherca", "tls11", "tls10", "closed"):
    print(kind + ":", refused("length,whole"))
print(f"{kind}: {asked} requests")
PY
}
faults plain || die "plain"
for kind in good tls12; do
    goes_to "$kind"
    faults "$kind" || die "$kind"
done
goes_to good localhost
ask gw "$token" | grep -q '"ok"' || die "a name is not verified as one"
quiet() { # NAME: it came to no request there
    python3 -c 'import json, os, sys
lines = [json.loads(l) for l in open(sys.argv[1])] if os.path.exists(sys.argv[1]) else []
sys.exit(any(l["got"] for l in lines))' "$F/seen-$1" || die "$1 was sent something of a request: $(cat "$F/seen-$1")"
}
for kind in othername expired selfsigned otherca tls11 tls10; do
    goes_to "$kind"
    faults "$kind" || die "$kind"
    quiet "$kind"
done
[[ ! -e $F/seen-target ]] || die "a redirect was followed"
# what has no end was ended: nothing took more than a few reads of it
python3 - "$F/seen-plain" "$MB" <<'PY' || die "something without end was read on"
import json, sys
largest = sorted(json.loads(l)["sent"] for l in open(sys.argv[1]))
large = [n for n in largest if n > 4 << 20]
print("largest replies:", largest[-3:])
sys.exit(len(large) != 1 or large[0] >> 20 != int(sys.argv[2]))
PY
# every request has one beginning and one end in the log, and each end says how it was
ended() {
    "$CLI" audit export >"$T/export" && python3 - "$T/export" <<'PY'
import collections, json, sys
events = [json.loads(l) for l in open(sys.argv[1])]
begun = [e for e in events if e["event"] == "request.begin"]
ends = [e for e in events if e["event"] == "request.end"]
print(len(begun), "begun", len(ends), "ended", collections.Counter((e.get("http_status"), e.get("reason", e.get("outcome"))) for e in ends))
sys.exit(len(begun) != len(ends) or len(begun) < 600)
PY
}
eventually 5 ended || die "$(ended)"
ended
[[ $(pgrep -P "$BROKER" -f -- '--role=proxy') == "$proxy" ]] || die "the worker is another one"
eventually 5 bash -c "((\$(find /proc/$proxy/fd -mindepth 1 | wc -l) < 40))" || die "$(fds) descriptors are left"
for secret in "$KEY" "$token"; do
    if grep -rqF -- "$secret" "$STATE" "$T/log"; then die "the log or the store holds a secret"; fi
done
