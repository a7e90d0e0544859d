#!/usr/bin/env python3
"""Would the programs take this for a credential? Checks placeholders against the rules of placeholders.json, which were measured (try.py).

    check.py [--provider NAME] [--slot TEXT] PLACEHOLDER …     a string; @FILE: a login file (auth.json, .credentials.json)
    check.py --ours       the broker's own tokens, in each place where their provider's are put
    check.py --measured   the rules against what was measured: what they allow was sent, what was not sent they forbid

A placeholder stands for a secret in a program that does not have it, and has to look right: else the program sends nothing. Rules of a place:
min (length), pattern, needed and forbidden (substrings), type, has (of a list), jwt (three parts that decode).
Exit code 1: some place would not take it.
"""
import argparse
import base64
import copy
import json
import os
import re
import sys
import time

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "placeholders.json")
ACCOUNT = "00000000-0000-4000-8000-000000000000"
FAR, PAST = 4070908800, 1700000000
AUTH = {"https://api.openai.com/auth": {"chatgpt_account_id": ACCOUNT, "chatgpt_plan_type": "pro", "chatgpt_user_id": "user-x"}}


def segment(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt(claims):
    return ".".join([segment(json.dumps({"alg": "RS256", "typ": "JWT"}).encode()), segment(json.dumps(claims).encode()), segment(b"s" * 256)])


# what stands for longer texts in placeholders.json
TEXTS = {
    "@JWT@": jwt({"exp": FAR, "email": "x@example.invalid", **AUTH}),
    "@JWT-ENDED@": jwt({"exp": PAST, "email": "x@example.invalid", **AUTH}),
    "@JWT-NO-EXP@": jwt({"email": "x@example.invalid", **AUTH}),
    "@JWT-NO-AUTH@": jwt({"exp": FAR}),
    "@JWT-EMPTY@": jwt({}),
    "@LONG@": "x" * 4096,
    "@VERY-LONG@": "x" * 16384,
    "@BODY@": "AQ" + "b3JkaW5hcnkgbGVuZ3Ro" * 5 + "_c2hvcn",
    "@NOW@": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
}


def filled(text):
    for name, value in TEXTS.items():
        text = text.replace(name, value)
    return text


# ---- the data

def load():
    with open(DATA) as f:
        return json.load(f)


def dumped(data):
    """One line for each member of a slot, and for each case."""
    slots = []
    for slot in data["slots"]:
        cases = ",\n".join("    " + json.dumps(c) for c in slot["cases"])
        members = [f'   {json.dumps(k)}: {json.dumps(v)}' for k, v in slot.items() if k != "cases"]
        slots.append("  {\n" + ",\n".join(members) + ',\n   "cases": [' + (f"\n{cases}\n   " if cases else "") + "]\n  }")
    return '{\n "ours": ' + json.dumps(data["ours"]) + ',\n "slots": [\n' + ",\n".join(slots) + "\n ]\n}\n"


def member(data, path):
    """data[a][b]… for "a.b"; None where there is none. The path "" is the whole."""
    for key in path.split(".") if path else []:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def content(slot, case):
    """The login file of a case: the slot's, with what the case sets ("a.b") and takes away ("-a.b")."""
    data = copy.deepcopy(slot["file"]["content"])
    for path, value in case.get("with", {}).items():
        *front, last = path.lstrip("-").split(".")
        place = member(data, ".".join(front))
        if path.startswith("-"):
            place.pop(last, None)
        else:
            place[last] = value
    return json.loads(filled(json.dumps(data)))


# ---- the rules

def decodes(text):
    parts = text.split(".")
    try:
        return len(parts) == 3 and all(isinstance(json.loads(base64.urlsafe_b64decode(p + "=" * (-len(p) % 4))), dict) for p in parts[:2])
    except ValueError:
        return False


def broken(value, rule):
    """Why a value breaks a rule; None when it does not."""
    if "has" in rule:
        return None if isinstance(value, list) and rule["has"] in value else f"is no list with {rule['has']}"
    if not isinstance(value, str):
        return "is no string"
    if len(value) < rule.get("min", 0):
        return f"is shorter than {rule['min']}"
    if "pattern" in rule and not re.search(rule["pattern"].replace("$", r"\Z"), value):
        return f"does not match {rule['pattern']}"
    if rule.get("jwt") and not decodes(value):
        return "is no JWT that decodes"
    wrong = [f"has {t}" for t in rule.get("forbidden", []) if t in value] + [f"lacks {t}" for t in rule.get("needed", []) if t not in value]
    return " and ".join(wrong) or None


def objections(slot, data):
    found = []
    for path, rule in slot["rules"].items():
        if why := broken(member(data, path), rule):
            found.append(f"{path or 'it'} {why}")
    return found


# ---- the three uses

def check_given(data, options):
    bad = 0
    for given in options.placeholder:
        value = given
        if given.startswith("@"):
            with open(given[1:]) as f:
                value = json.load(f)
        for slot in data["slots"]:
            fits = isinstance(value, dict) == ("file" in slot) and options.slot in slot["name"]
            if fits and (not options.provider or options.provider in slot["providers"]):
                found = objections(slot, value)
                bad += bool(found)
                print(f"{slot['name']:<44} {'; '.join(found) or 'takes it'}" + "".join(f" ({a})" for a in slot.get("advice", []) if found))
    return bad


def check_ours(data):
    bad = seen = 0
    for provider, prefix in data["ours"].items():
        token = prefix + "cbrk1_" + TEXTS["@BODY@"]
        for slot in data["slots"]:
            if provider in slot["providers"] and "file" not in slot:
                found, seen = objections(slot, token), seen + 1
                bad += bool(found)
                print(f"{provider:<10} {slot['name']:<44} {'; '.join(found) or 'takes it'}")
    print(f"{seen - bad} passed, {bad} failed, 0 skipped")
    return bad


def check_measured(data):
    bad = seen = 0
    for slot in data["slots"]:
        for case in slot["cases"]:
            value = content(slot, case) if "file" in slot else filled(case["value"])
            allowed, seen = not objections(slot, value), seen + 1
            if allowed and case["outcome"] != "sent":
                bad += 1
                print(f"{slot['name']}, {case['case']}: allowed, but {case['outcome']}")
    print(f"{seen - bad} passed, {bad} failed, 0 skipped")
    return bad


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("placeholder", nargs="*")
    p.add_argument("--provider", help="only places for this provider's credentials: anthropic, claude, openai, codex, gemini")
    p.add_argument("--slot", default="", help="only places whose name has this text")
    p.add_argument("--ours", action="store_true")
    p.add_argument("--measured", action="store_true")
    options = p.parse_args()
    data = load()
    if options.ours or options.measured:
        bad = (check_ours(data) if options.ours else 0) + (check_measured(data) if options.measured else 0)
    else:
        bad = check_given(data, options)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
