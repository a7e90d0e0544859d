#!/usr/bin/env python3
"""An upstream on Python's http.server (its line reader, email.parser for the fields, the loosest use of int() for lengths): what it understood
goes to the log, a line a request that it read whole; each is answered 204 with x-upstream. upstream_python.py LOG; prints its port."""
import http.client
import http.server
import json
import socketserver
import sys

http.client._MAXHEADERS = 200
log = open(sys.argv[1], "a", buffering=1)


class Cut(Exception):
    pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def exactly(self, n):
        while n > 0:
            piece = self.rfile.read(min(n, 65536))
            if not piece:
                raise Cut
            n -= len(piece)

    def chunked(self):
        total = 0
        while True:
            line = self.rfile.readline(65537)
            if not line:
                raise Cut
            size = int(line.split(b";")[0].strip(), 16)
            if size == 0:
                break
            self.exactly(size)
            total += size
            self.rfile.readline(8)
        while (line := self.rfile.readline(65537)).strip():
            pass
        if not line:
            raise Cut
        return total

    def serve(self):
        try:
            if "chunked" in (self.headers.get("transfer-encoding") or "").lower():
                body = self.chunked()
            else:
                body = int(self.headers.get("content-length") or 0)
                self.exactly(body)
        except Cut:
            log.write('{"cut": true}\n')
            self.close_connection = True
            return
        except ValueError as e:
            log.write(json.dumps({"error": str(e)}) + "\n")
            self.close_connection = True
            return
        log.write(json.dumps({"method": self.command, "target": self.path, "fields": [(n.lower(), v) for n, v in self.headers.items()], "body": body}) + "\n")
        self.send_response_only(204)
        self.send_header("x-upstream", "python")
        self.end_headers()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve

    def send_error(self, code, message=None, explain=None):
        log.write(json.dumps({"error": f"{code} {message} {self.raw_requestline[:200]!r}"}) + "\n")
        super().send_error(code, message, explain)

    def log_message(self, *args):
        pass

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 512


server = Server(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
