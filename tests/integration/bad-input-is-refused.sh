#!/usr/bin/env bash
# What is not a login of the provider that was named, whole and well-formed, is refused with a reason, and nothing is stored; so are names
# that could be paths, members that do not exist, and whatever else an API may be sent. The broker goes on as if nothing had been.
. "$(dirname "$0")/promise.bash" || exit 1
init_broker
enroll_key good
nothing_stored() { is "$("$CLI" list --json | grep -o '"name":"[^"]*"')" '"name":"good"'; }
enroll_refuses() { # WHAT PROVIDER: a file on standard input
    cat >"$T/input"
    local code=0
    "$CLI" enroll bad --provider "$2" --file "$T/input" >"$T/said" 2>&1 || code=$?
    holds "$1 was taken (exit $code): $(<"$T/said")" test "$code" -eq 3 -o "$code" -eq 12
    holds "$1: the reason repeats what was sent" refused grep -qE 'FAKE-|sk-ant-o.t01-.{12}' "$T/said"
    # past the command line's own check: straight to the broker
    python3 - "$2" "$T/input" >"$T/body" <<'PY'
import base64, json, sys
print(json.dumps({"name": "bad", "provider": sys.argv[1], "data_base64": base64.urlsafe_b64encode(open(sys.argv[2], "rb").read()).decode().rstrip("=")}))
PY
    if (($(wc -c <"$T/body") < 120000)); then holds "$1 was taken by the broker" refused call_ok admin POST /v1/credentials "$(<"$T/body")"; fi
}
call_ok() { [[ $(call "$@") == 2* ]]; }
claude=$LOGINS/claude.json codex=$LOGINS/codex.json
size=$(wc -c <"$claude")
for cut in 0 1 10 $((size / 2)) $((size - 3)); do head -c "$cut" "$claude" | enroll_refuses "a login cut to $cut bytes" claude; done
{ cat "$claude" && echo '{}'; } | enroll_refuses "a login and more" claude
tr '{}' '[]' <"$claude" | enroll_refuses "no object" claude
sed 's/"accessToken": "sk-ant-oat01/"accessToken": "x", "accessToken": "sk-ant-oat01/' "$claude" | enroll_refuses "a member twice" claude
sed 's/"expiresAt": [0-9]*/"expiresAt": "soon"/' "$claude" | enroll_refuses "a time that is none" claude
sed 's/"accessToken": "[^"]*"/"accessToken": 7/' "$claude" | enroll_refuses "a token that is a number" claude
sed 's/"accessToken": "[^"]*"/"accessToken": ""/' "$claude" | enroll_refuses "an empty token" claude
sed 's/"accessToken": "sk/"accessToken": "sk\\u0000/' "$claude" | enroll_refuses "a NUL in a token" claude
sed 's/"accessToken": "sk/"accessToken": "sk\\r\\nX-Evil: 1/' "$claude" | enroll_refuses "a line break in a token" claude
python3 -c 'print("{\"claudeAiOauth\":" * 5000 + "1" + "}" * 5000)' | enroll_refuses "deep nesting" claude
python3 -c 'print("[" * 40000)' | enroll_refuses "deeper nesting" codex
head -c 3000 /dev/urandom | enroll_refuses "random bytes" claude
printf '\377\376{\000}\000' | enroll_refuses "UTF-16" claude
head -c 400000 /dev/zero | tr '\0' 'a' | enroll_refuses "a huge file" anthropic
enroll_refuses "Codex's login as Claude's" claude <"$codex"
enroll_refuses "Claude's login as Codex's" codex <"$claude"
enroll_refuses "OpenAI's key as Anthropic's" anthropic <"$LOGINS/openai.txt"
enroll_refuses "Anthropic's key as Gemini's" gemini <"$LOGINS/anthropic.txt"
enroll_refuses "a login as a key" anthropic <"$claude"
printf 'sk-ant-api03-two words' | enroll_refuses "a key with a blank" anthropic
printf 'sk-ant-api03-a\nsk-ant-api03-b' | enroll_refuses "two keys" anthropic
expect_fail 2 . "$CLI" enroll bad --provider nobody </dev/null
expect_fail 6 . "$CLI" enroll bad --provider claude --file "$T/no-such-file"
mkfifo "$T/fifo"
holds "a directory" refused "$CLI" enroll bad --provider claude --file "$T"
holds "something is stored" nothing_stored

# ---- names
names=("../evil" "a/b" "/etc/passwd" ".hidden" ".." "." "-x" "Upper" "white space" "a..b" "admin" "" $'tab\there' $'line\nbreak' $'esc\e[31m' "ümlaut"
    "$(printf 'n%.0s' {1..65})" "a%2fb" "a\\b" 'a"b' "a\$(id)" "a*" "a:b")
asserts "$(sock admin)" "${names[@]}" <<'PY'
import json, sys, urllib.parse, unixhttp
admin, names = sys.argv[1], sys.argv[2:]
ask = lambda method, path, body=None: unixhttp.ask(admin, method, path, body)
key = "sk-ant-api03-FAKE" + "x" * 90
assert ask("POST", "/v1/consumers", {"name": "fine"})[0] == 200
for name in names + ["nul\0name", "\ud800"]:
    for path, body in (("/v1/credentials", {"name": name, "provider": "anthropic", "data": key}), ("/v1/consumers", {"name": name}),
                       ("/v1/consumers/fine/grants", {"credential": name, "deliver": ["secret"]})):
        status, answer = ask("POST", path, body)
        assert status == 400 and answer["error"] == "invalid", (name, path, status, answer)
        assert all(c >= " " for c in answer["message"]), answer
    quoted = urllib.parse.quote(name.replace("\ud800", "?"), safe="")
    for method, path in (("GET", f"/v1/credentials/{quoted}"), ("DELETE", f"/v1/consumers/{quoted}"), ("DELETE", f"/v1/credentials/{quoted}")):
        status, answer = ask(method, path)
        assert status in (400, 404, 405), (method, path, status, answer)
print(f"ok {len(names) + 2} names")

enroll = {"name": "bad", "provider": "anthropic", "data": key}
bodies = {
    "an unknown member": json.dumps({**enroll, "x": 1}),
    "a member twice": '{"name":"bad","name":"worse","provider":"anthropic","data":"%s"}' % key,
    "an array": json.dumps([enroll]), "a string": '"bad"', "nothing": "", "null": "null", "a number": "1",
    "a wrong type": json.dumps({**enroll, "data": 1}), "an object in the place of a text": json.dumps({**enroll, "data": {}}),
    "data twice over": json.dumps({**enroll, "data_base64": "AAAA"}), "no data": json.dumps({"name": "bad", "provider": "anthropic"}),
    "broken base64": json.dumps({"name": "bad", "provider": "anthropic", "data_base64": "%%%"}),
    "cut": json.dumps(enroll)[:-1], "more behind": json.dumps(enroll) + "x", "a comma too many": json.dumps(enroll)[:-1] + ",}",
    "a comment": json.dumps(enroll)[:-1] + "/* */}", "single quotes": json.dumps(enroll).replace('"', "'"), "a BOM": "\ufeff" + json.dumps(enroll),
    "half a surrogate": json.dumps({**enroll, "provider": "\ud800"}), "an unknown delivery": json.dumps({**enroll, "ceiling": ["telepathy"]}),
    "an origin that is none": json.dumps({**enroll, "provider": "generic", "origin": "javascript:alert(1)"}),
    "a header that is two": json.dumps({**enroll, "provider": "generic", "origin": "https://x.invalid", "header": "A: {}\r\nB: c"}),
    "a variable that is none": json.dumps({**enroll, "provider": "generic", "env": "LD PRELOAD=x"}),
    "a user of two lines": json.dumps({**enroll, "provider": "generic", "username": "a\nb"}),
}
for what, body in bodies.items():
    status, answer = ask("POST", "/v1/credentials", body.encode("utf-8", "surrogatepass"))
    assert 400 <= status < 500, (what, status, answer)
    assert key[20:32] not in json.dumps(answer), what
status, answer = ask("POST", "/v1/credentials", b'{"name":"b\xff\xfed","provider":"anthropic","data":"x"}')
assert status == 400, (status, answer)
print(f"ok {len(bodies) + 1} bodies")
for grant in ({}, {"deliver": []}, {"deliver": "secret"}, {"deliver": ["secret"], "ttl_ms": -1}, {"deliver": ["secret"], "ttl_ms": 1},
              {"deliver": ["secret"], "ttl_ms": 5000, "max_ttl_ms": 4000}, {"deliver": ["secret"], "owner": "everybody"}, {"deliver": ["secret"], "uses": 1.5}):
    status, answer = ask("POST", "/v1/consumers/fine/grants", {"credential": "good", **grant})
    assert status == 400, (grant, status, answer)
for consumer in ({"uids": ["root"]}, {"uids": [-1]}, {"uids": [2**32]}, {"uids": [4294967295]}, {"cgroup": "relative"}):
    status, answer = ask("POST", "/v1/consumers", {"name": "bad", **consumer})
    assert status == 400, (consumer, status, answer)
for lease in ({"owner": "proces"}, {"deliver": "x"}, {"deliver": ["secret"]}, {"uses": -1}, {"credential": "good", "nonce": 1}):
    status, answer = unixhttp.ask(admin.replace("/admin/", "/fine/"), "POST", "/v1/leases", {"credential": "good", **lease})
    assert status == 400, (lease, status, answer)
print("ok grants, conditions and leases")
PY
holds "something is stored" nothing_stored
holds "a consumer was made" is "$("$CLI" consumer list --json | grep -o '"name":"[^"]*"')" '"name":"fine"'
holds "files outside: $(find "$STATE" "$RUN" -newer "$T/fifo" -name '*evil*')" is "$(find "$STATE" "$RUN" -name '*evil*' | wc -l)" 0
consumer fine good secret
holds "the broker took harm" begins "$(call fine POST /v1/leases '{"credential":"good"}')" 200
holds "a worker died of it" is "$("$CLI" status --json | grep -o '"restarts":[1-9]' | wc -l)" 0
tally
