#!/usr/bin/env python3
"""Drives an ACP adapter over its standard input and output, as a gateway does: initialize, session/new, session/prompt; prints the answer.

    acp.py [--authenticate METHOD [JSON]] [--ask TEXT] [--idle SECONDS] [--turns SECONDS FILE] -- ADAPTER [ARGUMENT …]

--authenticate is sent between the first two; JSON is the rest of its parameters. Exit code 0: the turn ended by itself; the answer is on standard
output, the number of pieces that it came in on standard error. It waits --idle before it asks. With --turns it asks again and again for so long, in the one session, each answer
on a line of its own; then it says so, waits for FILE, and asks once more, which must be refused.
"""
import argparse
import json
import os
import subprocess
import sys
import time

CAPABILITIES = {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False, "auth": {"_meta": {"gateway": True}}}


class Adapter:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.next_id = 0
        self.pieces = []

    def send(self, message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, method, params):
        """The answer to one request; what the adapter says or asks meanwhile is looked after."""
        self.next_id += 1
        self.send({"id": self.next_id, "method": method, "params": params})
        for line in self.process.stdout:
            message = json.loads(line)  # a line that is no JSON is a fault of the adapter, or of what started it
            if message.get("id") == self.next_id and "method" not in message:
                return message
            self.other(message)
        sys.exit(f"{method}: the adapter ended")

    def call(self, method, params):
        answer = self.ask(method, params)
        if "error" in answer:
            sys.exit(f"{method}: {json.dumps(answer['error'])}")
        return answer["result"]

    def prompt(self, session, text):
        """(answer, what it said)"""
        self.pieces = []
        answer = self.ask("session/prompt", {"sessionId": session, "prompt": [{"type": "text", "text": text}]})
        return answer, "".join(self.pieces)

    def other(self, message):
        if message.get("method") == "session/update":
            update = message["params"]["update"]
            if update.get("sessionUpdate") == "agent_message_chunk":
                self.pieces.append(update["content"].get("text", ""))
        elif "method" in message and "id" in message:
            self.send({"id": message["id"], "error": {"code": -32601, "message": "not here"}})

    def end(self):
        """As DeerFlow ends it: end of input, then TERM, then KILL."""
        self.process.stdin.close()
        for signal in (None, self.process.terminate, self.process.kill):
            if signal:
                signal()
            try:
                return self.process.wait(2)
            except subprocess.TimeoutExpired:
                pass
        return None


def many(adapter, session, options):
    """Whether all was as it must be."""
    until, turns, good = time.monotonic() + float(options.turns[0]), 0, set()
    while time.monotonic() < until:
        answer, said = adapter.prompt(session, options.ask)
        turns += 1
        if answer.get("result", {}).get("stopReason") != "end_turn":
            sys.exit(f"turn {turns}: {json.dumps(answer)} {said}")
        print(said, flush=True)
        good.add(said)
        time.sleep(0.5)
    print(f"{turns} turns are over", file=sys.stderr, flush=True)
    while not os.path.exists(options.turns[1]):
        time.sleep(0.05)
    answer, said = adapter.prompt(session, options.ask)
    refused = "error" in answer or said not in good
    print(f"{'refused' if refused else 'not refused'}: {json.dumps(answer.get('error', said))[:300]}", file=sys.stderr)
    return refused


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--authenticate", nargs="+", metavar=("METHOD", "JSON"))
    p.add_argument("--ask", default="What is the answer?")
    p.add_argument("--idle", type=float, default=0)
    p.add_argument("--turns", nargs=2, metavar=("SECONDS", "FILE"))
    p.add_argument("command", nargs="+")
    options = p.parse_args()
    adapter = Adapter(options.command)
    adapter.call("initialize", {"protocolVersion": 1, "clientCapabilities": CAPABILITIES})
    if options.authenticate:
        method, *rest = options.authenticate
        adapter.call("authenticate", {"methodId": method, **(json.loads(rest[0]) if rest else {})})
    session = adapter.call("session/new", {"cwd": os.getcwd(), "mcpServers": []})["sessionId"]
    time.sleep(options.idle)
    if options.turns:
        well = many(adapter, session, options)
        adapter.end()
        sys.exit(not well)
    answer, said = adapter.prompt(session, options.ask)
    adapter.end()
    print(said)
    print(f"{len(adapter.pieces)} pieces, {json.dumps(answer)}", file=sys.stderr)
    sys.exit(answer.get("result", {}).get("stopReason") != "end_turn")


if __name__ == "__main__":
    main()
