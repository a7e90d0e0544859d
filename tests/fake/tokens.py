"""The fake provider's token endpoints: refresh tokens that are single-use and rotate, as at Anthropic and OpenAI (and Anthropic's exchange of an
identity token). A refresh makes the old access token worthless: from then on the provider expects the new one."""
CLIENT_IDS = {"claude": "9d1c250a-e61b-44d9-88ed-5944d1962f5e", "chatgpt": "app_EMoamEEZ73f0CkXaXp7hrann"}
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Tokens:
    def __init__(self, expect, refresh):
        """`expect` is the provider's: kind → credential (chatgpt: "TOKEN,ACCOUNT"); `refresh`: kind → the refresh token that is good now."""
        self.expect, self.good, self.uses = expect, dict(refresh), 0

    def answer(self, kind, ask):
        """(status, object) for one request to the endpoint of this kind."""
        grant = ask.get("grant_type")
        if grant == JWT_BEARER and kind == "claude" and ask.get("assertion"):
            return 200, {"access_token": self.expect.get(kind, ""), "token_type": "Bearer", "expires_in": 3600}
        if grant != "refresh_token" or ask.get("client_id") != CLIENT_IDS[kind]:
            return 400, {"error": "invalid_request" if grant else "unsupported_grant_type"}
        if kind not in self.good or ask.get("refresh_token") != self.good[kind]:
            return self.reused(kind)
        self.uses += 1
        access, _, account = self.expect.get(kind, "").partition(",")
        access += f"r{self.uses}"
        self.good[kind] += f"r{self.uses}"
        self.expect[kind] = access + ("," + account if account else "")
        return 200, {"access_token": access, "refresh_token": self.good[kind], "token_type": "Bearer", "expires_in": 28800, "scope": "user:inference"}

    @staticmethod
    def reused(kind):
        if kind == "claude":
            return 400, {"error": "invalid_grant", "error_description": "Refresh token not found or invalid"}
        return 401, {"error": {"code": "refresh_token_reused", "message": "Your refresh token has already been used"}}

