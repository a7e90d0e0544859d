#!/usr/bin/env python3
"""The least OpenID provider that oidc-agent loads an account from: discovery, and a token endpoint with the refresh grant.
On 127.0.0.1 with a certificate made on the spot.   fake_oidc.py DIR   writes DIR/{cert.pem,key.pem,issuer} and serves until it is killed."""
import http.server
import json
import os
import ssl
import subprocess
import sys

# as long as the Claude access token that the broker leases in the same run, so that both send the same
ACCESS = "bench-" + "0123456789abcdef" * 6 + "-access"


class Provider(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        base = self.server.issuer
        self.answer({
            "issuer": base + "/",
            "authorization_endpoint": base + "/auth",
            "token_endpoint": base + "/token",
            "jwks_uri": base + "/jwks",
            "scopes_supported": ["openid", "offline_access"],
            "grant_types_supported": ["refresh_token", "authorization_code"],
            "response_types_supported": ["code"],
        })

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer({"access_token": ACCESS, "token_type": "Bearer", "expires_in": 36000,
                     "refresh_token": "bench-refresh", "scope": "openid offline_access"})

    def log_message(self, *args):
        pass


def main():
    where = sys.argv[1]
    cert, key = os.path.join(where, "cert.pem"), os.path.join(where, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
                    "-out", cert, "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                   check=True, stderr=subprocess.DEVNULL)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.issuer = "https://localhost:%d" % server.server_address[1]
    with open(os.path.join(where, "issuer.part"), "w") as f:
        f.write(server.issuer + "/\n")
    os.rename(os.path.join(where, "issuer.part"), os.path.join(where, "issuer"))
    server.serve_forever()


main()
