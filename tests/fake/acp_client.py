"""An ACP client for tests, with what it starts as a program between pipes."""
import json
import os
import queue
import subprocess
import threading
import time

LONG = 20


class Client:
    def __init__(self, command, **more):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
        self.lines, self.errors, self.raw, self.n = queue.Queue(), [], [], 0
        self.readers = [threading.Thread(target=self.read, daemon=True), threading.Thread(target=self.read_errors, daemon=True)]
        for r in self.readers:
            r.start()

    def read(self):
        for line in self.process.stdout:
            self.raw.append(line)
            self.lines.put(line)
        self.lines.put(b"")

    def read_errors(self):
        for line in self.process.stderr:
            self.errors.append(line.decode())

    def send(self, message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, method, params=None, **more):
        self.n += 1
        self.send({"id": self.n, "method": method, "params": params or {}, **more})
        return self.n

    def answer(self, id, wait=LONG):
        """The whole answer; notifications and other answers before it are dropped."""
        until = time.monotonic() + wait
        while True:
            line = self.lines.get(timeout=max(0.01, until - time.monotonic()))
            assert line, f"the output ended before {id} was answered; it said {self.errors}"
            message = json.loads(line)
            if message.get("id") == id and "method" not in message:
                return message

    def call(self, method, params=None, wait=LONG):
        return self.answer(self.ask(method, params), wait)

    def result(self, method, params=None, wait=LONG):
        answer = self.call(method, params, wait)
        assert "result" in answer, answer
        return answer["result"]

    def initialize(self, capabilities=None, version=1):
        name = "capabilities" if version == 2 else "clientCapabilities"
        return self.result("initialize", {"protocolVersion": version, name: capabilities if capabilities is not None else {"fs": {"readTextFile": False}}})

    def session(self):
        return self.result("session/new", {"cwd": "/", "mcpServers": []})["sessionId"]

    def prompt(self, session):
        return self.result("session/prompt", {"sessionId": session, "prompt": [{"type": "text", "text": "hi"}]})["status"]

    def said(self, text, wait=10):
        """Waits for a line on standard error."""
        until = time.monotonic() + wait
        while not any(text in line for line in self.errors):
            assert time.monotonic() < until, f"no \"{text}\" on standard error, but {self.errors}"
            time.sleep(0.02)

    def end(self, wait=10):
        if not self.process.stdin.closed:
            self.process.stdin.close()
        status = self.process.wait(wait)
        for r in self.readers:
            r.join(wait)
        return status
