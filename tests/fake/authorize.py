"""The fake provider's logins: what its authorize pages, code exchanges and device grants are like, strictly. The vendors' ways:
    Anthropic  a page that shows `code#state`; the exchange is JSON and names the state
    OpenAI     a redirect to localhost:1455; the exchange is a form; its own device grant (deviceauth/usercode, deviceauth/token)
    Google     a redirect to any port of 127.0.0.1; the exchange names the client's secret; refresh tokens stay (/google/token)
    RFC 8628   /oidc/device and /oidc/token, whose answers to the polls are told by the control file
A person is played by requests: GET the authorize URL (`&answer=deny`: they say no), GET /device?user_code=…&answer=allow|deny.

Control lines (words of the control file): poll=CODE,CODE,… the answers to the next polls at /oidc/token, in order;  exchange=CODE a code's
exchange is refused so. --issued FILE gets a line "NAME VALUE" for each code, token and verifier that is worth something."""
import base64
import hashlib
import json
import re
import secrets
import urllib.parse

import tokens

PAGE = "https://platform.claude.com/oauth/code/callback"
DEVICE_REDIRECT = "https://auth.openai.com/deviceauth/callback"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
OIDC_CLIENT, OIDC_SECRET = "fake-oidc-client", "FAKE-client-secret-0123456789"
FIXED = {
    "claude": {"client_id": tokens.CLIENT_IDS["claude"], "redirect_uri": PAGE, "code": "true", "scope": "user:profile user:inference user:sessions:claude_code"},
    "chatgpt": {"client_id": tokens.CLIENT_IDS["chatgpt"], "redirect_uri": "http://localhost:1455/auth/callback", "scope": "openid profile email offline_access",
                "id_token_add_organizations": "true", "codex_cli_simplified_flow": "true", "originator": "codex_cli_rs"},
}
GOOGLE_CLIENT = "681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com"
FIXED["gemini"] = {"client_id": GOOGLE_CLIENT, "access_type": "offline", "prompt": "consent"}
CLIENTS = {**tokens.CLIENT_IDS, "gemini": GOOGLE_CLIENT}
AUTHORIZE = {"/cai/oauth/authorize": "claude", "/oauth/authorize": "chatgpt", "/o/oauth2/v2/auth": "gemini"}
EXCHANGE = {"/v1/oauth/token": ("claude", "application/json"), "/oauth/token": ("chatgpt", "application/x-www-form-urlencoded"),
            "/google/token": ("gemini", "application/x-www-form-urlencoded")}


def s256(verifier):
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def jwt(claims):
    part = lambda d: base64.urlsafe_b64encode(json.dumps(d).encode()).rstrip(b"=").decode()
    return f"{part({'alg': 'none'})}.{part(claims)}.{secrets.token_urlsafe(32)}"


class Logins:
    def __init__(self, provider_tokens, issued):
        self.tokens, self.issued = provider_tokens, issued
        self.codes, self.devices, self.polls, self.control = {}, {}, [], {}

    def note(self, name, value):
        if self.issued:
            with open(self.issued, "a") as f:
                f.write(f"{name} {value}\n")
        return value

    # ---- requests

    def answer(self, request, control):
        """(status, headers, object or text) of a request that is one of a login's; None: it is another's."""
        self.take_control(control)
        params = dict(request.query)
        if request.method == "GET" and request.path in AUTHORIZE:
            return self.authorize(AUTHORIZE[request.path], params)
        if request.method == "GET" and request.path == "/device":
            return self.person(params)
        handlers = {"/api/accounts/deviceauth/usercode": self.openai_begin, "/api/accounts/deviceauth/token": self.openai_poll,
                    "/oidc/device": self.oidc_begin, "/oidc/token": self.oidc_token}
        if request.method != "POST" or (request.path not in EXCHANGE and request.path not in handlers):
            return None  # whatever its body says it is
        ask, kind = self.asked(request)
        if request.path in EXCHANGE and ask.get("grant_type") == "authorization_code":
            return self.exchange(*EXCHANGE[request.path], ask, kind)
        if request.path == "/google/token":
            return self.google_refresh(ask)
        return handlers[request.path](ask, kind) if request.path in handlers else None

    @staticmethod
    def asked(request):
        kind = request.value("content-type").split(";")[0]
        if kind == "application/x-www-form-urlencoded":
            pairs = urllib.parse.parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True)
            return (dict(pairs) if len(dict(pairs)) == len(pairs) else {}), kind
        return request.asked(), kind

    def take_control(self, control):
        if control.get("poll", "") != self.control.get("poll", ""):
            self.polls = [c for c in control.get("poll", "").split(",") if c]
        self.control = control

    # ---- authorization code

    def authorize(self, kind, q):
        wanted = {"response_type": "code", "code_challenge_method": "S256", **FIXED[kind]}
        wrong = [n for n, v in wanted.items() if q.get(n) != v]
        if kind == "gemini" and not re.fullmatch(r"http://127\.0\.0\.1:\d+/oauth2callback", q.get("redirect_uri", "")):
            wrong.append("redirect_uri")
        if wrong or not 43 <= len(q.get("code_challenge", "")) <= 128 or len(q.get("state", "")) < 32:
            return 400, [], {"error": "invalid_request", "wrong": wrong or ["code_challenge or state"]}
        back = {"state": q["state"]}
        if q.get("answer") == "deny":
            back["error"] = "access_denied"
        else:
            back["code"] = self.note("code", secrets.token_urlsafe(40))
            self.codes[back["code"]] = {"kind": kind, "redirect": q["redirect_uri"], "challenge": q["code_challenge"], "state": q["state"]}
        if kind == "claude":
            return 200, [], f"{back.get('code', back.get('error'))}#{q['state']}"
        return 302, [("location", q["redirect_uri"] + "?" + urllib.parse.urlencode(back))], {}

    def exchange(self, kind, content_type, ask, came):
        if refusal := self.control.get("exchange"):
            return 400, [], {"error": refusal, "error_description": "a fault was asked for"}
        code = self.codes.pop(ask.get("code"), None)
        if came != content_type or ask.get("client_id") != CLIENTS[kind] or ("client_secret" in ask) != (kind == "gemini"):
            return 400, [], {"error": "invalid_request"}
        verifier = ask.get("code_verifier", "")
        if verifier:
            self.note("verifier", verifier)
        if not code or code["kind"] != kind or code["redirect"] != ask.get("redirect_uri") or code["challenge"] != s256(verifier):
            return 400, [], {"error": "invalid_grant", "error_description": f"code {ask.get('code')} is not valid"}
        if ask.get("state") != (code["state"] if kind == "claude" else None):
            return 400, [], {"error": "invalid_request", "error_description": "state"}
        return 200, [], self.grant(kind)

    def google_refresh(self, ask):
        if ask.get("client_id") != GOOGLE_CLIENT or not ask.get("client_secret") or ask.get("grant_type") != "refresh_token":
            return 401, [], {"error": "invalid_client"}
        if ask.get("refresh_token") != self.tokens.good.get("gemini"):
            return 400, [], {"error": "invalid_grant"}
        return 200, [], {"access_token": self.note("access", secrets.token_urlsafe(48)), "expires_in": 3599, "token_type": "Bearer"}

    def grant(self, kind):
        if kind == "gemini":
            self.tokens.good[kind] = self.note("refresh", secrets.token_urlsafe(48))
            return {"access_token": self.note("access", secrets.token_urlsafe(48)), "refresh_token": self.tokens.good[kind], "expires_in": 3599,
                    "token_type": "Bearer", "id_token": jwt({"email": "fake@example.invalid"})}
        access = self.note("access", ("sk-ant-oat01-" if kind == "claude" else "") + secrets.token_urlsafe(48))
        refresh = self.note("refresh", ("sk-ant-ort01-" if kind == "claude" else "rt_") + secrets.token_urlsafe(48))
        self.tokens.expect[kind] = access + (",acct-fake-0001" if kind == "chatgpt" else "")
        self.tokens.good[kind] = refresh
        if kind == "claude":
            return {"access_token": access, "refresh_token": refresh, "expires_in": self.tokens.life, "scope": "user:inference user:profile", "token_type": "Bearer",
                    "account": {"uuid": "11111111-2222-3333-4444-555555555555", "email_address": "fake@example.invalid"}, "organization": {"uuid": "org-fake"}}
        claims = {"email": "fake@example.invalid", "https://api.openai.com/auth": {"chatgpt_account_id": "acct-fake-0001", "chatgpt_plan_type": "plus"}}
        return {"access_token": access, "refresh_token": refresh, "id_token": jwt(claims), "expires_in": self.tokens.life}

    # ---- the person with a device code

    def person(self, q):
        for device in self.devices.values():
            if device["user_code"] == q.get("user_code"):
                device["answer"] = q.get("answer")
                return 200, [], "thank you"
        return 404, [], "no such code"

    def device(self, user_code):
        code = self.note("device", secrets.token_urlsafe(32))
        self.devices[code] = {"user_code": user_code, "answer": None}
        return code

    # ---- OpenAI's device grant

    def openai_begin(self, ask, kind):
        if ask != {"client_id": tokens.CLIENT_IDS["chatgpt"]} or kind != "application/json":
            return 400, [], {"error": "invalid_request"}
        user_code = "FAKE-" + secrets.token_hex(3).upper()
        return 200, [], {"device_auth_id": self.device(user_code), "usercode": user_code, "interval": "1"}

    def openai_poll(self, ask, kind):
        device = self.devices.get(ask.get("device_auth_id"), {})
        if kind != "application/json" or device.get("user_code") != ask.get("user_code"):
            return 400, [], {"error": "invalid_request"}
        if device["answer"] != "allow":
            return 403 if device["answer"] is None else 401, [], {"error": {"code": "access_denied" if device["answer"] else "deviceauth_authorization_unknown"}}
        verifier = self.note("verifier", secrets.token_urlsafe(32))
        code = self.note("code", secrets.token_urlsafe(40))
        self.codes[code] = {"kind": "chatgpt", "redirect": DEVICE_REDIRECT, "challenge": s256(verifier), "state": None}
        return 200, [], {"authorization_code": code, "code_challenge": s256(verifier), "code_verifier": verifier}

    # ---- RFC 8628, and a client's own grant

    def oidc_begin(self, ask, kind):
        if kind != "application/x-www-form-urlencoded" or ask.get("client_id") != OIDC_CLIENT:
            return 401, [], {"error": "invalid_client"}
        user_code = "FAKE-" + secrets.token_hex(3).upper()
        life = int(self.control.get("device-life", 600))
        return 200, [], {"device_code": self.device(user_code), "user_code": user_code, "verification_uri": "https://idp.invalid/device",
                         "verification_uri_complete": f"https://idp.invalid/device?user_code={user_code}", "expires_in": life, "interval": 1}

    def oidc_token(self, ask, kind):
        if kind != "application/x-www-form-urlencoded" or ask.get("client_id") != OIDC_CLIENT:
            return 401, [], {"error": "invalid_client"}
        if ask.get("grant_type") == "client_credentials":
            if ask.get("client_secret") != OIDC_SECRET:
                return 401, [], {"error": "invalid_client"}
            return 200, [], {"access_token": self.note("access", secrets.token_urlsafe(48)), "token_type": "Bearer", "expires_in": self.tokens.life}
        device = self.devices.get(ask.get("device_code"))
        if ask.get("grant_type") != DEVICE_GRANT or not device:
            return 400, [], {"error": "invalid_grant"}
        if self.polls:
            error = self.polls.pop(0)
            return (int(error), [], "<html>busy") if error.isdigit() else (400, [], {"error": error})
        if device["answer"] != "allow":
            return 400, [], {"error": "access_denied" if device["answer"] == "deny" else "authorization_pending"}
        return 200, [], {"access_token": self.note("access", secrets.token_urlsafe(48)), "refresh_token": self.note("refresh", secrets.token_urlsafe(48)),
                         "token_type": "Bearer", "expires_in": self.tokens.life}
