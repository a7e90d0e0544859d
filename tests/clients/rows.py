"""THE table of clients: each with each login that it can have, how it is started towards a base URL of one's own (direct), and how by
broker-exec. In texts @BASE@ is the provider's base URL, @SECRET@ the credential (access token of a login), @ACCOUNT@ its account id,
@LOGIN@ the whole login as enrolled, @CLIENTS@ where the clients are.
"""
import dataclasses
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LOGINS = os.path.join(HERE, "..", "fake", "logins")
ACP = [sys.executable, os.path.join(HERE, "acp.py"), "--"]
ASK = "What is the answer?"

# no update checks, no telemetry
CLAUDE_QUIET = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_TELEMETRY": "1"}
CODEX_QUIET = {"features.plugins": False, "features.apps": False, "check_for_update_on_startup": False, "analytics.enabled": False}
GEMINI_SETTINGS = json.dumps({"security": {"auth": {"selectedType": "gemini-api-key"}}, "privacy": {"usageStatisticsEnabled": False},
                              "general": {"enableAutoUpdate": False}})
CODEX_FILES = {".codex/config.toml": "".join(f"{k} = {json.dumps(v)}\n" for k, v in CODEX_QUIET.items())}
OPENCODE_QUIET = {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
                  "OPENCODE_DISABLE_LSP_DOWNLOAD": "1"}
OPENCODE = {"$schema": "https://opencode.ai/config.json", "model": "anthropic/claude-sonnet-4-5", "small_model": "anthropic/claude-sonnet-4-5",
            "share": "disabled", "autoupdate": False}


def read(name):
    with open(os.path.join(LOGINS, name)) as f:
        return f.read().strip()


def login(sample):
    """(credential that goes upstream, account id, all secrets) of a sample login."""
    text = read(sample)
    if not text.startswith("{"):
        return text, "", [text]
    data = json.loads(text)
    if oauth := data.get("claudeAiOauth"):
        return oauth["accessToken"], "", [oauth["accessToken"], oauth["refreshToken"]]
    if tokens := data.get("tokens"):
        return tokens["access_token"], tokens["account_id"], [tokens[k] for k in ("access_token", "refresh_token", "id_token")]
    return data["OPENAI_API_KEY"], "", [data["OPENAI_API_KEY"]]


def needle(secret):
    """What of a secret is its own: not the prefix that all of its kind have, not the claims of a JWT."""
    return secret.rsplit(".", 1)[1] if secret.count(".") == 2 else re.sub(r"^.*?FAKE-?", "", secret)


def codex_provider(*more):
    """Flags that make codex speak to a base URL of one's own."""
    values = {"name": '"provider"', "base_url": '"@BASE@/backend-api/codex"', "wire_api": '"responses"', **dict(more)}
    flags = ["-c", 'model_provider="mine"']
    for key, value in values.items():
        flags += ["-c", f"model_providers.mine.{key}={value}"]
    return flags


@dataclasses.dataclass(eq=False)
class Row:
    name: str
    package: str
    login: str  # the source of login, for people
    expect: str  # kind of credential that the provider is to see (tests/fake/provider.py)
    sample: str  # of tests/fake/logins
    provider: str  # the broker's
    profile: str
    command: list  # without the flags below, nor what drives it
    direct_env: dict
    direct_flags: list = dataclasses.field(default_factory=list)
    direct_files: dict = dataclasses.field(default_factory=dict)  # path below HOME → text
    exec_flags: list = dataclasses.field(default_factory=list)  # of broker-exec
    rotates: bool = False  # takes another token in a session that runs
    driver: list = dataclasses.field(default_factory=list)  # starts the command, as a gateway would
    direct_expect: str = ""  # where it differs
    env: dict = dataclasses.field(default_factory=dict)  # both ways
    files: dict = dataclasses.field(default_factory=dict)  # both ways
    pieces: str = ""  # pattern in its output: once per piece of a stream, or with their number in a group; "": it shows the whole only
    text: str = ""  # pattern of its output: the groups, one behind the other, are the answer; "": its output is
    answers: int = 1
    tries: tuple = ()  # hosts (patterns) that it is known to try to reach beside the provider, directly
    broker_tries: tuple = ()
    remark: str = ""


CLAUDE_PIECES = r'"type":"text_delta"'
COUNTED = r"(\d+) pieces"
CLAUDE = ["claude", "-p", ASK, "--output-format", "stream-json", "--include-partial-messages", "--verbose"]
CODEX = ["codex", "exec", "--skip-git-repo-check", ASK]

HOST_NAMES = {"*npm*": "the npm registry"}

ROWS = [
    Row("claude", "@anthropic-ai/claude-code", "API key", "anthropic", "anthropic.txt", "anthropic", "claude-code", CLAUDE,
        {**CLAUDE_QUIET, "ANTHROPIC_API_KEY": "@SECRET@", "ANTHROPIC_BASE_URL": "@BASE@"}, pieces=CLAUDE_PIECES),
    Row("claude", "@anthropic-ai/claude-code", "subscription", "claude", "claude.json", "claude", "claude-code", CLAUDE,
        {**CLAUDE_QUIET, "ANTHROPIC_BASE_URL": "@BASE@"}, direct_files={".claude/.credentials.json": "@LOGIN@"}, tries=("api.anthropic.com",), pieces=CLAUDE_PIECES),
    Row("claude", "@anthropic-ai/claude-code", "setup token", "claude", "claude-setup-token.txt", "claude", "claude-code", CLAUDE,
        {**CLAUDE_QUIET, "ANTHROPIC_BASE_URL": "@BASE@", "CLAUDE_CODE_OAUTH_TOKEN": "@SECRET@"}, pieces=CLAUDE_PIECES),
    Row("codex exec", "@openai/codex", "API key", "openai", "openai.txt", "openai", "codex", CODEX, {"CODEX_API_KEY": "@SECRET@"},
        ["-c", 'openai_base_url="@BASE@/v1"'], files=CODEX_FILES),
    Row("codex exec", "@openai/codex", "ChatGPT login", "chatgpt", "codex.json", "codex", "codex", CODEX, {},
        [*codex_provider(("requires_openai_auth", "true")), "-c", 'chatgpt_base_url="@BASE@/backend-api/"'],
        {".codex/auth.json": "@LOGIN@"}, files=CODEX_FILES,
        remark="its own provider `openai` sends prompts only to an https origin that the account names"),
    Row("claude-agent-acp", "@agentclientprotocol/claude-agent-acp", "subscription", "claude", "claude.json", "claude", "claude-acp",
        ["claude-agent-acp"], {**CLAUDE_QUIET, "ANTHROPIC_BASE_URL": "@BASE@"},
        direct_files={".claude/.credentials.json": "@LOGIN@"}, tries=("api.anthropic.com",), driver=ACP, exec_flags=["--acp"], rotates=True, pieces=COUNTED),
    Row("codex-acp", "@agentclientprotocol/codex-acp", "API key", "openai", "openai.txt", "openai", "codex-acp", ["codex-acp"],
        {"KEY": "@SECRET@", "CODEX_CONFIG": json.dumps({"model_provider": "mine", "model_providers": {"mine": {
            "name": "provider", "base_url": "@BASE@/v1", "env_key": "KEY", "wire_api": "responses"}}})},
        driver=ACP, exec_flags=["--acp"], rotates=True, files=CODEX_FILES, pieces=COUNTED, remark="takes no `-c`; configuration by CODEX_CONFIG or config.toml"),
    Row("codex-acp", "@zed-industries/codex-acp", "ChatGPT login", "chatgpt", "codex.json", "codex", "codex-acp", ["@CLIENTS@/zed/codex-acp"], {},
        [*codex_provider(("requires_openai_auth", "true")), "-c", 'chatgpt_base_url="@BASE@/backend-api/"'], {".codex/auth.json": "@LOGIN@"},
        driver=ACP, exec_flags=["--acp"], files=CODEX_FILES, pieces=COUNTED),
    Row("gemini", "@google/gemini-cli", "API key", "gemini", "gemini.txt", "gemini", "gemini",
        ["gemini", "-m", "gemini-2.5-flash", "--skip-trust", "-o", "stream-json", "-p", ASK],
        {"GEMINI_API_KEY": "@SECRET@", "GOOGLE_GEMINI_BASE_URL": "@BASE@"}, files={".gemini/settings.json": GEMINI_SETTINGS},
        pieces=r'"delta":true', text=r'"role":"assistant","content":"([^"]*)"', remark="needs `selectedType: gemini-api-key` in its settings beside the variables"),
    Row("opencode", "opencode-ai", "API key", "anthropic", "anthropic.txt", "anthropic", "opencode", ["opencode", "run", ASK],
        {"ANTHROPIC_API_KEY": "@SECRET@"}, env=OPENCODE_QUIET,
        direct_files={".config/opencode/opencode.json": json.dumps({**OPENCODE, "provider": {"anthropic": {"options": {
            "baseURL": "@BASE@/v1", "apiKey": "{env:ANTHROPIC_API_KEY}"}}}})},
        tries=("*npm*",), broker_tries=("*npm*",)),
    Row("Anthropic SDK", "@anthropic-ai/sdk", "API key", "anthropic", "anthropic.txt", "anthropic", "anthropic-sdk",
        ["node", os.path.join(HERE, "sdk_anthropic.mjs"), ASK], {"ANTHROPIC_API_KEY": "@SECRET@", "ANTHROPIC_BASE_URL": "@BASE@"},
        direct_expect="anthropic-bearer", pieces=COUNTED, remark="sends an API key as Bearer"),
    Row("OpenAI SDK", "openai", "API key", "openai", "openai.txt", "openai", "openai-sdk", ["node", os.path.join(HERE, "sdk_openai.mjs"), ASK],
        {"OPENAI_API_KEY": "@SECRET@", "OPENAI_BASE_URL": "@BASE@/v1"}, answers=2, pieces=COUNTED),
]
