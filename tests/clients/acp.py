#!/usr/bin/env python3
"""Drives an ACP adapter over its standard input and output, as a gateway does: initialize, session/new, session/prompt; prints the answer.

    acp.py [--authenticate METHOD [JSON]] [--ask TEXT] -- ADAPTER [ARGUMENT …]

--authenticate is sent between the first two; JSON is the rest of its parameters. Exit code 0: the turn ended by itself; the answer is on standard
output, the number of pieces that it came in on standard error.
"""
import argparse
import json
import os
import subprocess
import sys

CAPABILITIES = {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False, "auth": {"_meta": {"gateway": True}}}


class Adapter:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.next_id = 0
        self.pieces = []

    def send(self, message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def call(self, method, params):
        """The result of one request; what the adapter says or asks meanwhile is looked after."""
        self.next_id += 1
        self.send({"id": self.next_id, "method": method, "params": params})
        for line in self.process.stdout:
            message = json.loads(line)  # a line that is no JSON is a fault of the adapter, or of what started it
            if message.get("id") == self.next_id and "method" not in message:
                if "error" in message:
                    sys.exit(f"{method}: {json.dumps(message['error'])}")
                return message["result"]
            self.other(message)
        sys.exit(f"{method}: the adapter ended")

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


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--authenticate", nargs="+", metavar=("METHOD", "JSON"))
    p.add_argument("--ask", default="What is the answer?")
    p.add_argument("command", nargs="+")
    options = p.parse_args()
    adapter = Adapter(options.command)
    adapter.call("initialize", {"protocolVersion": 1, "clientCapabilities": CAPABILITIES})
    if options.authenticate:
        method, *rest = options.authenticate
        adapter.call("authenticate", {"methodId": method, **(json.loads(rest[0]) if rest else {})})
    session = adapter.call("session/new", {"cwd": os.getcwd(), "mcpServers": []})["sessionId"]
    stop = adapter.call("session/prompt", {"sessionId": session, "prompt": [{"type": "text", "text": options.ask}]})["stopReason"]
    adapter.end()
    print("".join(adapter.pieces))
    print(f"{len(adapter.pieces)} pieces, {stop}", file=sys.stderr)
    sys.exit(stop != "end_turn")


if __name__ == "__main__":
    main()
