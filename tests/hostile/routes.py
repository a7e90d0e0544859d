#!/usr/bin/env python3
"""The ways in which a credential goes up, for tests/integration/proxy-hostile-routes.sh: what to enroll, and what an upstream must then see.

    routes.py names                      one a line
    routes.py enroll NAME ORIGIN DIR     arguments of broker-cli enroll, one a line; the input lies in DIR/input
    routes.py upstream NAME              JSON for upstream_raw.py
    routes.py rows NAME                  frames for tests/fake/fire.c: all of requests.txt, then this route's own
    routes.py check NAME ANSWERS         each row's verdict, end to end"""
import base64
import json
import os
import pathlib
import struct
import sys

import generate

LOGINS = pathlib.Path(__file__).resolve().parent.parent / "fake" / "logins"
SECRET = "gen-secret/planted+0123456789"
KEY = "sk-ant-api03-FAKE-planted-0123456789abcdefghijklmnopqrstuv"
claude = json.loads((LOGINS / "claude.json").read_text())["claudeAiOauth"]["accessToken"]
codex = json.loads((LOGINS / "codex.json").read_text())["tokens"]
openai, gemini = ((LOGINS / n).read_text().strip() for n in ("openai.txt", "gemini.txt"))
POST = "POST /v1/messages HTTP/1.1\\r\\nHost: localhost\\r\\nAuthorization: Bearer \\T\\r\\n"


def own(*lines):
    """Rows with these lines besides a good token and body."""
    return [POST + line + "Content-Length: 2\\r\\n\\r\\n{}" for line in lines]


def asking(*queries):
    return [POST.replace("/v1/messages", "/v1/messages?" + q) + "Content-Length: 2\\r\\n\\r\\n{}" for q in queries]


ROUTES = {
    "anthropic-key-tls": dict(provider="anthropic", tls=True, input=KEY, credential=("x-api-key", KEY),
                              rows=own("X-Api-Key: \\K\\r\\n", "X_API_KEY: \\K\\r\\n", "Connection: x-api-key\\r\\nX-Api-Key: \\K\\r\\n")),
    "claude-login-tls": dict(provider="claude", tls=True, input=LOGINS / "claude.json", credential=("authorization", "Bearer " + claude),
                             merge=("anthropic-beta", "oauth-2025-04-20"),
                             rows=own("anthropic-beta: a, oauth-2025-04-20\\r\\n", "anthropic-beta: a\\r\\nAnthropic-Beta: b\\r\\n", "anthropic_beta: a\\r\\n",
                                      "anthropic-beta: \\T\\r\\n", "anthropic-beta:\\r\\n", "Connection: anthropic-beta\\r\\nanthropic-beta: a\\r\\n",
                                      "Authorization: Bearer \\K\\r\\n", "authorization: Basic \\K\\r\\nx-api-key: \\T\\r\\n")),
    # what is asked of a token endpoint is answered here, whatever it is
    "claude-renewal": dict(provider="claude", input=LOGINS / "claude.json", credential=("authorization", "Bearer " + claude),
                           merge=("anthropic-beta", "oauth-2025-04-20"), target="/v1/oauth/token", here=True,
                           rows=[POST + "Content-Length: %d\\r\\n\\r\\n%s" % (len(generate.expand(body)), body) for body in (
                               '{"grant_type":"refresh_token","refresh_token":"\\T"}', '{"grant_type":"urn:ietf:params:oauth:grant-type:jwt-bearer","assertion":"\\K"}',
                               '{"assertion":"\\T","assertion":"\\K"}', "[]", "grant_type=refresh_token&refresh_token=\\T", "\\*9000(x)", '{"a":"\\0"}', "\\xff\\xfe")]
                           + asking("key=\\K", "a=b") + [r.replace("POST", "PUT") for r in own("")]
                           + own("Expect: 100-continue\\r\\n", "Authorization: Bearer \\K\\r\\n", "x-api-key: \\K\\r\\n")),
    "chatgpt-login-tls": dict(provider="codex", tls=True, input=LOGINS / "codex.json", credential=("authorization", "Bearer " + codex["access_token"]),
                              also=[("chatgpt-account-id", codex["account_id"])], prefix="/backend-api/codex/", target="/v1/responses",
                              rows=own("chatgpt-account-id: somebody-elses\\r\\n", "ChatGPT_Account_Id: somebody-elses\\r\\n",
                                       "Connection: chatgpt-account-id\\r\\n", "x-api-key: \\K\\r\\n", "Cookie: session=\\K\\r\\n",
                                       "Sec-WebSocket-Key: a\\r\\nSec-WebSocket-Version: 13\\r\\n") +
                              [r.replace("/v1/", "/v1/../") for r in own("")] + [r.replace("/v1/", "/backend-api/codex/") for r in own("")]),
    "openai-key-tls": dict(provider="openai", tls=True, input=LOGINS / "openai.txt", credential=("authorization", "Bearer " + openai), target="/v1/responses",
                           rows=own("authorization: \\K\\r\\n", "api-key: \\K\\r\\n", "OpenAI-Organization: org\\r\\n", "Cookie: \\K\\r\\n")),
    "gemini-key": dict(provider="gemini", input=LOGINS / "gemini.txt", credential=("x-goog-api-key", gemini),
                       target="/v1beta/models/gemini-2.5-pro:generateContent",
                       rows=own("x-goog-api-key: \\K\\r\\n", "X_Goog-Api_Key: \\K\\r\\n") +
                       [r.replace("/v1/messages", "/v1/messages?" + q) for r in own("") for q in ("key=\\K", "alt=sse&key=\\K", "KEY=\\K&alt=sse", "key[]=\\K", "access_token=\\K")]),
    "generic-header": dict(provider="generic", input=SECRET, enroll=["--header", "X-Vendor-Key: k-{}"], credential=("x-vendor-key", "k-" + SECRET),
                           rows=own("X-Vendor-Key: \\K\\r\\n", "x-vendor-key: \\K\\r\\nX-VENDOR-KEY: \\K\\r\\n", "X_Vendor_Key: \\K\\r\\n", "X-Vendor_Key: \\K\\r\\n",
                                    "Connection: x-vendor-key\\r\\nX-Vendor-Key: \\K\\r\\n", "X-Vendor-Key:\\r\\n", "X-Vendor-Key : \\K\\r\\n", "X-Vendor-Key: \\T\\r\\n")),
    "generic-basic-tls": dict(provider="generic", tls=True, input=SECRET, enroll=["--header", "Authorization: Basic {basic}", "--username", "me"],
                              credential=("authorization", "Basic " + base64.b64encode(("me:" + SECRET).encode()).decode()),
                              rows=own("Authorization: Basic \\K\\r\\n", "Proxy-Authorization: Basic \\K\\r\\n", "AUTHORIZATION: \\K\\r\\n", "x-authorization: \\K\\r\\n")),
    "generic-query": dict(provider="generic", input=SECRET, enroll=["--header", "query:sig={}"], query=("sig", "gen-secret%2Fplanted%2B0123456789"),
                          rows=asking("sig=\\K", "a=b&sig=\\K", "SIG=\\K", "sig", "sig=", "sig[]=\\K", "sig=\\K&sig=\\K", "s%69g=\\K", "&&sig=\\K&", "a=b&c", "key=\\K&sig=x", "a=\\T")),
}


def rows_of(name):
    """(name, verdicts, bytes)"""
    route, out = ROUTES[name], []
    for row, verdicts, raw in generate.named_rows():
        if "target" in route:
            if len(raw) > 4096: # about sizes to the byte: another length
                continue
            raw = raw.replace(b"/v1/messages", route["target"].encode())
        out.append((row, verdicts, raw))
    for i, text in enumerate(route["rows"]):
        raw = generate.expand(text)
        if "target" in route:
            raw = raw.replace(b"/v1/messages", route["target"].encode())
        out.append((f"{name}/{i}", ["any"], raw))
    return out


def check(name, path):
    answers = {int(n): a for n, *a in (line.split() for line in open(path))}
    bad = own_up = 0
    for i, (row, verdicts, _) in enumerate(rows_of(name)):
        got = answers[i]
        up = sum(a.endswith("u") for a in got)
        last = verdicts[-1]
        if verdicts == ["any"]: # once, or refused
            good, own_up = len(got) == 1 and (up == 1 or got[0][0] == "4"), own_up + up
        elif verdicts[0].isdigit():
            good = got == [verdicts[0]]
        else:
            good = up <= verdicts.count("pass") and (not last.isdigit() or got[-1:] == [last] or
                                                     (len(got) < len(verdicts) and got and not got[-1].endswith("u")))
        if not good:
            bad += 1
            print("row", row, "should give", verdicts, "and gave", got)
    print(len(answers), "rows,", own_up, "of this route's own went up")
    return bad > 0 or (own_up > 0 if "here" in ROUTES[name] else own_up == 0)


def main():
    what, *args = sys.argv[1:]
    if what == "names":
        print("\n".join(ROUTES))
    elif what == "enroll":
        name, origin, where = args
        route = ROUTES[name]
        text = route["input"].read_text() if isinstance(route["input"], pathlib.Path) else route["input"]
        with open(os.open(os.path.join(where, "input"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            f.write(text)
        print("\n".join(["--provider", route["provider"], *route.get("enroll", []), *(["--origin", origin] if route["provider"] == "generic" else [])]))
    elif what == "upstream":
        route = ROUTES[args[0]]
        print(json.dumps({k: route[k] for k in ("credential", "also", "merge", "query", "prefix", "tls") if k in route}))
    elif what == "rows":
        for _, _, raw in rows_of(args[0]):
            sys.stdout.buffer.write(struct.pack(">I", len(raw)) + raw)
    elif what == "check":
        return check(*args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
