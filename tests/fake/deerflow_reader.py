#!/usr/bin/env python3
"""Stands in for DeerFlow's gateway as it looks for its logins: the same order, the same places, the same failures.

What it does alike (DeerFlow's main branch of August 2026):
  Claude  ANTHROPIC_API_KEY, where it is not empty, beats everything; then CLAUDE_CODE_OAUTH_TOKEN, ANTHROPIC_AUTH_TOKEN,
          CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR, the file CLAUDE_CODE_CREDENTIALS_PATH, ~/.claude/.credentials.json.
          A CLAUDE_CODE_OAUTH_TOKEN of white space ends the search with nothing. An empty ANTHROPIC_AUTH_TOKEN goes out as a second
          header and breaks every token that is not an OAuth one. "sk-ant-oat" in the token chooses OAuth.
          A file is passed over when it is missing, is no JSON, or has under 60 s left; other shapes raise, as they do there.
  Codex   one file, CODEX_AUTH_PATH or ~/.codex/auth.json; no look at its expiry.

Prints one JSON object on standard output. With --dump it also has all that this process could hand to a thief: its environment and
every file it can read below the directories named behind it.
"""
import json
import os
import pathlib
import sys
import time

LEAST_LEFT_MS = 60_000


def from_file(path):
    """The token of a Claude file; None: look further. Raises what DeerFlow raises.

    >>> from_file("/nonexistent/file") is None
    True
    """
    file = pathlib.Path(path).expanduser()
    if not file.exists():  # raises PermissionError below a directory that cannot be searched
        return None
    text = file.read_bytes().decode("utf-8")  # raises UnicodeDecodeError
    try:
        data = json.loads(text)
    except json.JSONDecodeError:
        return None
    login = data.get("claudeAiOauth", {})  # raises AttributeError for a list
    token = login.get("accessToken", "")  # raises AttributeError for null
    if not token:
        return None
    if login.get("expiresAt", 0) - time.time() * 1000 < LEAST_LEFT_MS:  # raises TypeError for a string or null
        return None
    return token


def from_descriptor(environ):
    number = environ.get("CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR")
    if not number:
        return None
    try:
        with os.fdopen(int(number)) as stream:
            return stream.read().strip() or None
    except (OSError, ValueError):
        return None


def find_claude(environ):
    """(token, where it was found), or (None, why not).

    >>> find_claude({"ANTHROPIC_API_KEY": "k", "CLAUDE_CODE_OAUTH_TOKEN": "t"})
    ('k', 'ANTHROPIC_API_KEY')
    >>> find_claude({"ANTHROPIC_API_KEY": "", "CLAUDE_CODE_OAUTH_TOKEN": "t"})
    ('t', 'CLAUDE_CODE_OAUTH_TOKEN')
    >>> find_claude({"CLAUDE_CODE_OAUTH_TOKEN": "  ", "ANTHROPIC_AUTH_TOKEN": "t"})
    (None, 'CLAUDE_CODE_OAUTH_TOKEN is blank')
    >>> find_claude({"ANTHROPIC_AUTH_TOKEN": "t", "CLAUDE_CODE_CREDENTIALS_PATH": "/f"})
    ('t', 'ANTHROPIC_AUTH_TOKEN')
    """
    if environ.get("ANTHROPIC_API_KEY"):
        return environ["ANTHROPIC_API_KEY"], "ANTHROPIC_API_KEY"
    for name in ("CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_AUTH_TOKEN"):
        value = environ.get(name)
        if value and not value.strip():
            return None, name + " is blank"
        if value:
            return value, name
    token = from_descriptor(environ)
    if token:
        return token, "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR"
    for name, path in (
        ("CLAUDE_CODE_CREDENTIALS_PATH", environ.get("CLAUDE_CODE_CREDENTIALS_PATH")),
        ("~/.claude", os.path.join(environ.get("HOME", "/nonexistent"), ".claude/.credentials.json")),
    ):
        token = from_file(path) if path else None
        if token:
            return token, name
    return None, "no login"


def headers_of(token, environ):
    """What would go out with each request.

    >>> sorted(headers_of("sk-ant-oat01-x", {}).items())
    [('anthropic-beta', 'oauth-2025-04-20'), ('authorization', 'Bearer sk-ant-oat01-x')]
    >>> headers_of("sk-ant-api03-x", {})
    {'x-api-key': 'sk-ant-api03-x'}
    >>> headers_of("sk-ant-api03-x", {"ANTHROPIC_AUTH_TOKEN": ""})["authorization"]
    'Bearer '
    """
    if "sk-ant-oat" in token:
        return {"authorization": "Bearer " + token, "anthropic-beta": "oauth-2025-04-20"}
    headers = {"x-api-key": token}
    if environ.get("ANTHROPIC_AUTH_TOKEN") == "":
        headers["authorization"] = "Bearer "  # httpx refuses it, and with it the request
    return headers


def find_codex(environ):
    """(token, account, where), or (None, None, why not)."""
    path = environ.get("CODEX_AUTH_PATH")
    where = "CODEX_AUTH_PATH" if path else "~/.codex"
    file = pathlib.Path(path or os.path.join(environ.get("HOME", "/nonexistent"), ".codex/auth.json"))
    if not file.exists():
        return None, None, "no login"
    try:
        data = json.loads(file.read_text())
    except (json.JSONDecodeError, OSError):
        return None, None, "not readable"
    tokens = data.get("tokens", {})
    if not isinstance(tokens, dict) or not tokens.get("access_token"):
        return None, None, "no token in it"
    return tokens["access_token"], tokens.get("account_id", ""), where


def within_reach(directories, environ):
    """Every file that can be read below the directories, beside or at a path in the environment, as text."""
    paths = {value for value in environ.values() if value.startswith("/") and os.path.isfile(value)}
    for directory in {*directories, *(os.path.dirname(path) for path in paths)}:
        for base, _, names in os.walk(directory):
            paths.update(os.path.join(base, name) for name in names)
    for path in sorted(paths):
        try:
            if os.path.isfile(path):
                with open(path, "rb") as stream:
                    yield path, stream.read(1 << 20).decode("latin-1")
        except OSError:
            pass


def main(arguments):
    token, where = find_claude(os.environ)
    codex, account, codex_where = find_codex(os.environ)
    home = os.environ.get("HOME", "/nonexistent")
    said = {
        "uid": os.getuid(),
        "claude": {"token": token, "from": where, "headers": headers_of(token, os.environ) if token else None},
        "codex": {"token": codex, "account": account, "from": codex_where},
        "homes": [name for name in (".claude", ".codex") if os.path.lexists(os.path.join(home, name))],
        "networks": sorted(os.listdir("/sys/class/net")) if os.path.isdir("/sys/class/net") else [],
    }
    if arguments[:1] == ["--dump"]:
        said["environment"] = dict(os.environ)
        said["files"] = dict(within_reach(arguments[1:], os.environ))
    print(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1:])
