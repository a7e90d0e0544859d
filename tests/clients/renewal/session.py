#!/usr/bin/env python3
"""One process of a real client, asked several times with a pause between; each answer is a line on standard output.

    session.py acp|claude ROUNDS PAUSE -- COMMAND …

acp: an ACP adapter, one session; claude: Claude Code with stream-json on both sides. A line on standard input is waited for before the last
round (the test changes something meanwhile). Exit code 0: every round was answered.
"""
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import acp  # noqa: E402

ASK = "What is the answer?"


class Acp:
    def __init__(self, command):
        self.adapter = acp.Adapter(command)
        self.adapter.call("initialize", {"protocolVersion": 1, "clientCapabilities": acp.CAPABILITIES})
        self.session = self.adapter.call("session/new", {"cwd": os.getcwd(), "mcpServers": []})["sessionId"]

    def ask(self):
        self.adapter.pieces.clear()
        stop = self.adapter.call("session/prompt", {"sessionId": self.session, "prompt": [{"type": "text", "text": ASK}]})["stopReason"]
        return "".join(self.adapter.pieces) if stop == "end_turn" else ""

    def end(self):
        self.adapter.end()


class Claude:
    FLAGS = ["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]

    def __init__(self, command):
        self.process = subprocess.Popen(command + self.FLAGS, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self):
        message = {"type": "user", "message": {"role": "user", "content": [{"type": "text", "text": ASK}]}}
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            said = json.loads(line)
            if said.get("type") == "result":
                return "" if said.get("is_error") else said.get("result", "")
        return ""

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


def main():
    kind, rounds, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    client = {"acp": Acp, "claude": Claude}[kind](sys.argv[sys.argv.index("--") + 1 :])
    good = 0
    for n in range(rounds):
        if n:
            time.sleep(pause)
        if n == rounds - 1:
            sys.stdin.readline()
        begun = time.monotonic()
        answer = client.ask()
        good += bool(answer)
        print(f"round {n + 1} after {time.monotonic() - begun:.1f}s: {answer or 'NO ANSWER'}", flush=True)
    client.end()
    sys.exit(good != rounds)


main()
