"""Stands in for DeerFlow's module of this name, in what contrib/deerflow/broker_codex.py leans on: a base URL that is a constant of the
module and is looked up with each request, a credential that is loaded once by _load_codex_auth when a model is made, the headers and the
stream of its requests, and an end with response.completed."""
import json
import urllib.request
from dataclasses import dataclass

CODEX_BASE_URL = "https://chatgpt.com/backend-api/codex"


@dataclass
class CodexCliCredential:
    access_token: str
    account_id: str = ""


class CodexChatModel:
    model = "gpt-5.4"

    def __init__(self):
        credential = self._load_codex_auth()
        if not credential:
            raise ValueError("Codex CLI credential not found")
        self._access_token, self._account_id = credential.access_token, credential.account_id

    def _load_codex_auth(self):
        return None  # the original looks for CODEX_AUTH_PATH and ~/.codex/auth.json

    def ask(self, text):
        body = {"model": self.model, "instructions": "Help.", "input": [{"role": "user", "content": text}], "store": False, "stream": True}
        headers = {"Authorization": f"Bearer {self._access_token}", "ChatGPT-Account-ID": self._account_id, "Content-Type": "application/json",
                   "Accept": "text/event-stream", "originator": "codex_cli_rs"}
        request = urllib.request.Request(f"{CODEX_BASE_URL}/responses", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as reply:
            for line in reply:
                if line.startswith(b"data:") and line[5:].strip() not in (b"", b"[DONE]"):
                    event = json.loads(line[5:])
                    if event.get("type") == "response.completed":
                        return event["response"]
        raise RuntimeError("the stream ended without response.completed")
