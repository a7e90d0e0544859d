#!/usr/bin/env python3
"""Reads a login file again and again as its program does, and says when the program would be in trouble.

    login_reader.py claude|codex FILE GOOD STOP

Claude Code 2.1.330 looks at the file before each request, takes claudeAiOauth.accessToken, and renews itself where a refreshToken is there and
under five minutes are left; Codex 0.169.0 wants id_token, access_token and a refresh_token that is a string, and last_refresh. GOOD: a file with
the access tokens that its provider takes now, one a line. Ends when STOP is there: "N reads" and exit 0, or what went wrong and 1.
"""
import json
import os
import sys
import time

program, path, good, stop = sys.argv[1:]
reads, seen = 0, set()


def token_of(data):
    if program == "claude":
        login = data["claudeAiOauth"]
        left = login["expiresAt"] / 1000 - time.time()
        if login.get("refreshToken") and left < 300:
            sys.exit("it would renew the login itself")
        if "user:inference" not in login.get("scopes", []):
            sys.exit("no scope: it takes itself for logged out")
        if left < 0:
            sys.exit("the token has ended")
        return login["accessToken"]
    tokens = data["tokens"]
    if not isinstance(tokens["refresh_token"], str) or not data.get("last_refresh") or tokens["id_token"].count(".") != 2:
        sys.exit("it takes itself for logged out")
    return tokens["access_token"]


while not os.path.exists(stop):
    with open(path) as f:
        text = f.read()
    try:
        token = token_of(json.loads(text))
    except (ValueError, KeyError, TypeError) as e:
        sys.exit(f"it cannot read its login: {e!r}: {text[:80]}")
    with open(good) as f:
        if token not in f.read().split():
            sys.exit("its provider does not take this token")
    reads += 1
    seen.add(token)
    time.sleep(0.005)
print(f"{reads} reads, {len(seen)} tokens")
