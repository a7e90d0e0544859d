#!/usr/bin/env bash
# The fake provider that other tests trust: it lets in what is right, says 401 to everything else, and makes the faults that it is asked for.
. "$(dirname "$0")/promise.bash"
FAKE=$ROOT/tests/fake/provider.py
fake() { # NAME arguments…: starts one; PORT, and $T/NAME.record
    local name=$1
    shift
    "$PYTHON" "$FAKE" --record "$T/$name.record" "$@" >"$T/$name.port" &
    PIDS+=("$!")
    eventually 10 test -s "$T/$name.port" || die "the fake provider did not come up"
    PORT=$(<"$T/$name.port")
}

fake strict --refresh claude=ref-6 --expect anthropic=sk-ant-1 --expect claude=tok-2 --expect openai=sk-3 --expect chatgpt=jwt-4,acct --expect gemini=AIza-5
asserts "$PORT" "$T/strict.record" <<'PY'
import http.client, json, sys, time
port, record = int(sys.argv[1]), sys.argv[2]

def ask(method, path, headers, body=b'{"model": "m", "stream": true}', host=None):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    c.putrequest(method, path, skip_host=host is not None)
    for n, v in [("Host", h) for h in host or []] + headers + ([("Content-Length", str(len(body)))] if method == "POST" else []):
        c.putheader(n, v)
    c.endheaders(body if method == "POST" else None)
    r = c.getresponse()
    return r.status, r.read().decode()

def is_(status, what, *arguments, **more):
    got, text = ask(*arguments, **more)
    assert got == status, f"{what}: {got} {text}"
    print("ok", what)
    return text

key, beta = [("x-api-key", "sk-ant-1")], [("authorization", "Bearer tok-2"), ("anthropic-beta", "a, oauth-2025-04-20")]
openai, gemini = [("authorization", "Bearer sk-3")], [("x-goog-api-key", "AIza-5")]
chatgpt = [("authorization", "Bearer jwt-4"), ("chatgpt-account-id", "acct")]
text = is_(200, "a message by API key", "POST", "/v1/messages?beta=true", key)
assert text.startswith("event: message_start") and "event: message_stop" in text
is_(200, "a message by login", "POST", "/v1/messages", beta)
assert '"output_tokens": 9' in is_(200, "a message that is no stream", "POST", "/v1/messages", key, body=b"{}")
assert "response.completed" in is_(200, "a response", "POST", "/v1/responses", openai)
assert is_(200, "a chat completion", "POST", "/v1/chat/completions", openai).endswith("data: [DONE]\n\n")
is_(200, "ChatGPT", "POST", "/backend-api/codex/responses", chatgpt)
is_(200, "Gemini", "POST", "/v1beta/models/m:streamGenerateContent?alt=sse", gemini)
is_(200, "OpenAI's models", "GET", "/v1/models", openai)
is_(200, "Anthropic's models", "GET", "/v1/models", key + [("anthropic-version", "1")])
is_(426, "a WebSocket", "GET", "/v1/responses", openai + [("upgrade", "websocket")])
is_(404, "an unknown path", "GET", "/v1/other", openai)
for what, path, headers in (
    ("no credential", "/v1/messages", []),
    ("another value", "/v1/messages", [("x-api-key", "sk-ant-2")]),
    ("the right value in the wrong header", "/v1/messages", [("authorization", "Bearer sk-ant-1")]),
    ("a login without the beta", "/v1/messages", beta[:1]),
    ("two credentials", "/v1/messages", key + beta),
    ("one credential twice", "/v1/messages", key + key),
    ("a key in the query too", "/v1/messages?key=x", key),
    ("a cookie", "/v1/messages", key + [("cookie", "a=b")]),
    ("another provider's credential", "/v1/messages", gemini),
    ("ChatGPT without account", "/backend-api/codex/responses", chatgpt[:1]),
    ("ChatGPT with another account", "/backend-api/codex/responses", [chatgpt[0], ("chatgpt-account-id", "other")]),
    ("a token of the broker's beside it", "/v1/messages", key + [("x-other", "sk-cbrk1_abc")]),
):
    is_(401, what, "POST", path, headers)
is_(401, "a token of the broker's in the body", "POST", "/v1/messages", key, body=b'{"a": "cbrk1_"}')
is_(401, "another Host", "POST", "/v1/messages", key, host=["api.example"])
is_(401, "two Hosts", "POST", "/v1/messages", key, host=[f"127.0.0.1:{port}"] * 2)

import ctypes, ctypes.util
zstd, plain = ctypes.CDLL(ctypes.util.find_library("zstd")), b'{"model": "packed", "stream": true}'
room = ctypes.create_string_buffer(500)
size = zstd.ZSTD_compress(room, ctypes.c_size_t(500), plain, ctypes.c_size_t(len(plain)), 3)
packed = room.raw[:size]
is_(200, "a body in zstd", "POST", "/backend-api/codex/responses", chatgpt + [("content-encoding", "zstd")], body=packed)

def renew(token, client="9d1c250a-e61b-44d9-88ed-5944d1962f5e"):
    return json.dumps({"grant_type": "refresh_token", "client_id": client, "refresh_token": token}).encode()
is_(400, "another client's renewal", "POST", "/v1/oauth/token", [], body=renew("ref-6", "x"))
new = json.loads(is_(200, "a renewal", "POST", "/v1/oauth/token", [], body=renew("ref-6")))
assert "invalid_grant" in is_(400, "a refresh token used twice", "POST", "/v1/oauth/token", [], body=renew("ref-6"))
is_(401, "a credential beside a renewal", "POST", "/v1/oauth/token", key, body=renew(new["refresh_token"]))
is_(401, "the access token from before a renewal", "POST", "/v1/messages", beta)
is_(200, "the access token of a renewal", "POST", "/v1/messages", [("authorization", "Bearer " + new["access_token"]), beta[1]])

for _ in range(100): # the last line comes after its answer
    lines = [json.loads(l) for l in open(record)]
    ends = [l for l in lines if l["event"] == "end"]
    if len(ends) == len(lines) / 2 == 33:
        break
    time.sleep(0.02)
assert len(ends) == len(lines) / 2 == 33, len(ends)
assert any(l.get("model") == "packed" for l in ends), "the zstd body was not read"
assert all(bool(l["violations"]) == (l["status"] == 401) for l in ends)
assert not any(s in open(record).read() for s in ("sk-ant-1", "tok-2", "jwt-4", "AIza-5")), "a value is in the record"
print("ok the record has each request, why it was refused, and no value")
PY

faults=0
fault() { # SENTENCE EXPECTED FAULT…: what curl-like python prints of one answer
    local what=$1 want=$2 got
    shift 2
    faults=$((faults + 1))
    fake "fault$faults" --expect openai=sk-secret-3 "${@/#/--fault=}"
    got=$("$PYTHON" - "$PORT" <<'PY'
import http.client, sys, time
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
out, begun = [], time.monotonic()
for _ in range(2):
    try:
        c.request("POST", "/v1/responses", b"{}", {"authorization": "Bearer sk-secret-3"})
        r = c.getresponse()
        out += [r.status, r.getheader("x-echo"), r.read().decode()]
    except (http.client.HTTPException, ConnectionError) as e:
        out.append(type(e).__name__)
        c.close()
print(*out, "SLOW" if time.monotonic() - begun > 0.5 else "")
PY
    )
    holds "$what: $got" grep -qE -- "$want" <<<"$got"
}
fault "one 401, then none" '^401 None .*200 None' "status=401*1"
fault "529 for ever" '^529 .*529 ' status=529
fault "silence first" 'SLOW$' "first-byte=0.4"
fault "cut in the middle" '^IncompleteRead IncompleteRead' cut=100
fault "raw echo" 'sk-secret-3.*sk-secret-3' echo=raw
fault "echo in base64" 'c2stc2VjcmV0LTM' echo=base64
fault "echo in hex" '736b2d7365637265742d33' echo=hex
fault "echo in a header" '^200 sk-secret-3 ' echo-header=raw
fault "echo in an error" '^401 None .*sk-secret-3' echo=raw status=401
fault "small writes change nothing" '^200 .*Forty-two, said the fake provider' write=3

# ---- token endpoints
CLIENT=9d1c250a-e61b-44d9-88ed-5944d1962f5e
renew() { # REFRESH-TOKEN: status and what came, or how it ended
    "$PYTHON" - "$PORT" "$1" $CLIENT <<'PY'
import http.client, json, sys
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=3)
try:
    c.request("POST", "/v1/oauth/token", json.dumps({"grant_type": "refresh_token", "client_id": sys.argv[3], "refresh_token": sys.argv[2]}), {"content-type": "application/json"})
    r = c.getresponse()
    print(r.status, r.read(300).decode("latin-1").replace("\0", "0"))
except (http.client.HTTPException, OSError) as e:
    print(type(e).__name__)
PY
}
fake tokens1 --expect claude=at --refresh claude=rt --life 77
holds "a refresh rotates" grep -qE '^200 .*"access_token": "atr1", "refresh_token": "rtr1".*"expires_in": 77' <<<"$(renew rt)"
holds "once" grep -qE '^400 .*invalid_grant' <<<"$(renew rt)"
holds "a second use ends nothing without --family" grep -qE '^200 ' <<<"$(renew rtr1)"
fake tokens2 --expect claude=at --refresh claude=rt --family
holds "with it" grep -qE '^200 ' <<<"$(renew rt)"
holds "a second use is refused" grep -qE '^400 ' <<<"$(renew rt)"
holds "and the new one is worth nothing either" grep -qE '^400 ' <<<"$(renew rtr1)"
fake tokens3 --expect claude=at --refresh claude=rt --grace 1 --family
holds "a used token works for the time of grace" grep -qE '^200 .*200 ' <<<"$(renew rt) $(renew rt)"
sleep 1.2
holds "and not behind it" grep -qE '^400 ' <<<"$(renew rt)"
fake tokens4 --expect claude=at --refresh claude=rt --control "$T/control"
token_fault() { # SENTENCE FAULT EXPECTED TOKEN
    echo "token=$2" >"$T/control"
    holds "$1" grep -qE -- "$3" <<<"$(renew "$4")"
}
token_fault "an error" status=503 '^503 ' rt
token_fault "another" status=429 '^429 .*rate_limited' rt
token_fault "silence" hang '^TimeoutError' rt
token_fault "none of these has used the token: an answer that is lost" lose '^RemoteDisconnected' rt
token_fault "a cut one" cut=9 '^200 .{9}$' rtr1
token_fault "bytes" garbage '^200 .*' rtr1r2
token_fault "without end" flood '^200 ' rtr1r2r3
echo "expire=1" >"$T/control"
holds "and the last one is as good as ever" grep -qE '^200 .*atr1?' <<<"$(renew rtr1r2r3r4)"
tally
