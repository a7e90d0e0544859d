"""DeerFlow's Codex model by the broker's proxy: DeerFlow holds a token of the broker's and never the login. DeerFlow's own class takes no base
URL, so this one gives it broker-exec's relay. In config.yaml:  use: broker_codex:CodexChatModel"""
import os

from deerflow.models import openai_codex_provider as codex

codex.CODEX_BASE_URL = os.environ["CREDENTIAL_BROKER_CODEX_BASE_URL"]  # set by broker-exec --profile deerflow-gateway


class CodexChatModel(codex.CodexChatModel):
    def _load_codex_auth(self):  # the account is the broker's to add
        return codex.CodexCliCredential(access_token=os.environ["CREDENTIAL_BROKER_CODEX_TOKEN"], account_id="")
