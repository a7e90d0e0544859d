#!/usr/bin/env bash
# Neither a secret, nor an account, nor one of our own tokens ever stands in the audit log or on stderr.
. "$(dirname "$0")/lib.bash"
init_broker
"$CLI" enroll claude --provider claude <"$LOGINS/claude.json" >/dev/null
"$CLI" enroll key --provider anthropic <"$LOGINS/anthropic.txt" >/dev/null
consumer gateway claude access_token,file
consumer gateway key secret
a=$(call gateway POST /v1/leases '{"credential":"claude","deliver":"access_token"}')
b=$(call gateway POST /v1/leases '{"credential":"key"}')
f=$(call gateway POST /v1/leases '{"credential":"claude","deliver":"file"}')
call gateway POST /v1/token/introspect "{\"token\":\"$(field token <<<"$a")x\"}" >/dev/null
sleep 0.3
python3 - "$STATE/log" "$T/log" "$LOGINS/claude.json" "$(field token <<<"$a")" "$(field secret <<<"$a")" \
    "$(field token <<<"$b")" "$(field secret <<<"$b")" "$(field token <<<"$f")" <<'PY'
import json, pathlib, re, sys
logs, err, login = sys.argv[1:4]
needles = set(sys.argv[4:])
def strings(v):
    if isinstance(v, dict):
        for x in v.values(): yield from strings(x)
    elif isinstance(v, list):
        for x in v: yield from strings(x)
    elif isinstance(v, str): yield v
needles |= {s for s in strings(json.load(open(login))) if len(s) >= 20}
text = open(err, "rb").read() + b"".join(p.read_bytes() for p in pathlib.Path(logs).iterdir())
assert text.count(b'"event":"lease.issue"') == 3, "three leases are recorded"
for n in needles:
    body = re.sub(r"^sk-ant-[a-z]+[0-9]+-(cbrk1_)?", "", n)  # what every token of a kind begins with tells nothing
    for i in range(0, len(body) - 12):
        assert body[i:i + 12].encode() not in text, "leaked: " + n[:6] + "… at " + str(text.find(body[i:i + 12].encode()))
print(len(needles), "needles, none found")
PY
