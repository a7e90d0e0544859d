"""The fake provider's token endpoints: refresh tokens that are single-use and rotate, as at Anthropic and OpenAI (and Anthropic's exchange of an
identity token). A refresh makes the old access token worthless: from then on the provider expects the new one. A refresh token that was used
still works for `grace` seconds; used later it ends the login (`family`: with all that came of it, as RFC 9700 section 4.14.2 has it)."""
import time

CLIENT_IDS = {"claude": "9d1c250a-e61b-44d9-88ed-5944d1962f5e", "chatgpt": "app_EMoamEEZ73f0CkXaXp7hrann"}
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Tokens:
    def __init__(self, expect, refresh, life=28800, grace=0.0, family=False):
        """`expect` is the provider's: kind → credential (chatgpt: "TOKEN,ACCOUNT"); `refresh`: kind → the refresh token that is good now."""
        self.expect, self.good, self.uses = expect, dict(refresh), 0
        self.life, self.grace, self.family = life, grace, family
        self.used = {}  # kind → {refresh token: when it was used}

    def expire(self):
        """The access tokens end now, before their time."""
        for kind, value in self.expect.items():
            token, comma, account = value.partition(",")
            self.expect[kind] = token + "-ended" + comma + account if not token.endswith("-ended") else value

    def answer(self, kind, ask):
        """(status, object) for one request to the endpoint of this kind."""
        grant = ask.get("grant_type")
        if grant == JWT_BEARER and kind == "claude" and ask.get("assertion"):
            return 200, {"access_token": self.expect.get(kind, ""), "token_type": "Bearer", "expires_in": 3600}
        if grant != "refresh_token" or ask.get("client_id") != CLIENT_IDS[kind]:
            return 400, {"error": "invalid_request" if grant else "unsupported_grant_type"}
        token, now = ask.get("refresh_token"), time.time()
        again = now - self.used.get(kind, {}).get(token, 0) < self.grace
        if kind not in self.good or (token != self.good[kind] and not again):
            return self.reused(kind, token)
        return 200, self.rotate(kind, token, now)

    def rotate(self, kind, token, now):
        self.uses += 1
        self.used.setdefault(kind, {}).setdefault(token, now)
        base, _, account = self.expect.get(kind, "").partition(",")
        access = base.removesuffix("-ended") + f"r{self.uses}"
        self.good[kind] += f"r{self.uses}"
        self.expect[kind] = access + ("," + account if account else "")
        return {"access_token": access, "refresh_token": self.good[kind], "token_type": "Bearer", "expires_in": self.life, "scope": "user:inference"}

    def reused(self, kind, token):
        if self.family and token in self.used.get(kind, {}):
            self.good.pop(kind, None)
            self.expire()
        if kind == "claude":
            return 400, {"error": "invalid_grant", "error_description": "Refresh token not found or invalid"}
        return 401, {"error": {"code": "refresh_token_reused", "message": "Your refresh token has already been used"}}
