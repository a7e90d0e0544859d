"""A small client of the credential broker, for Python 3.8 and later, without dependencies: copy it where you need it.

    import credential_broker

    with credential_broker.lease("claude", deliver="access_token") as lease:
        call_the_model(lease.secret)            # ends with the block

    lease = credential_broker.lease("openai", deliver="secret", ttl_s=300)
    lease.renew()                               # the current value again, and more time
    lease.end()

The socket is the first of: the argument `socket` (a socket, or the directory that holds one), $CREDENTIAL_BROKER_SOCKET, and broker.sock in
$CREDENTIAL_BROKER_RUN/$CREDENTIAL_BROKER_CONSUMER, by default /run/credential-broker. Failures are credential_broker.Error, whose
`code` is the broker's word for it ("denied", "needs_login", "no_broker", …). A lease never shows its secret or its token when it is printed.
"""

import http.client
import json
import os
import socket as _socket
import stat
import time
import urllib.parse

__all__ = ["Error", "Lease", "grants", "lease", "whoami"]
TIMEOUT_S = 10
_REPLY_MAX = 1 << 20


class Error(Exception):
    """What the broker, or the way to it, refused.

    >>> str(Error("denied", "this consumer has no grant for claude", 403))
    'this consumer has no grant for claude [denied]'
    """

    def __init__(self, code, message, status=0, retry_after_s=None):
        super().__init__("%s [%s]" % (message, code))
        self.code, self.message, self.status, self.retry_after_s = code, message, status, retry_after_s


def find_socket(given=None, environ=None):
    """The path of the socket; whether anybody answers there is seen by connecting.

    >>> find_socket("/run/broker/broker.sock", {})
    '/run/broker/broker.sock'
    >>> find_socket(None, {"CREDENTIAL_BROKER_SOCKET": "/s", "CREDENTIAL_BROKER_RUN": "/r"})
    '/s'
    >>> find_socket(None, {"CREDENTIAL_BROKER_RUN": "/r", "CREDENTIAL_BROKER_CONSUMER": "gateway"})
    '/r/gateway/broker.sock'
    >>> find_socket(None, {})
    '/run/credential-broker/broker.sock'
    """
    environ = os.environ if environ is None else environ
    path = given or environ.get("CREDENTIAL_BROKER_SOCKET")
    if not path:
        run = environ.get("CREDENTIAL_BROKER_RUN") or "/run/credential-broker"
        return os.path.join(run, environ.get("CREDENTIAL_BROKER_CONSUMER", ""), "broker.sock")
    try:
        return os.path.join(path, "broker.sock") if stat.S_ISDIR(os.stat(path).st_mode) else path
    except OSError:
        return path


class _Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _failure(status, body, retry_after):
    """The error of an answer.

    >>> _failure(403, {"error": "denied", "message": "not allowed"}, "2").retry_after_s
    2
    >>> _failure(502, None, None).code
    'internal'
    """
    body = body if isinstance(body, dict) else {}
    wait = int(retry_after) if retry_after and retry_after.isdigit() else None
    return Error(body.get("error", "internal"), body.get("message", "the answer was HTTP status %d" % status), status, wait)


def call(method, path, body=None, token=None, socket=None, timeout=TIMEOUT_S):
    """One exchange; the answer as a dictionary."""
    at = find_socket(socket)
    headers = {"Authorization": "Bearer " + token} if token else {}
    if body is not None:
        headers["Content-Type"] = "application/json"
        body = json.dumps(body)
    connection = _Connection(at, timeout)
    try:
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        raw = reply.read(_REPLY_MAX + 1)
    except _socket.timeout:
        raise Error("timeout", "no answer on %s within %s s" % (at, timeout)) from None
    except (OSError, http.client.HTTPException) as e:
        raise Error("no_broker", "no broker answers on %s: %s" % (at, e)) from None
    finally:
        connection.close()
    try:
        if len(raw) > _REPLY_MAX:
            raise ValueError
        answer = json.loads(raw.decode())
    except ValueError:
        answer = None
    if reply.status >= 400 or not isinstance(answer, dict):
        raise _failure(reply.status, answer, reply.getheader("Retry-After"))
    return answer


class Lease:
    """One use of a grant. `secret` (None for the deliveries file and proxy), `file` (an absolute path, or None), `env`, `username`, `account`,
    for the proxy `token` (what requests carry) and `proxy_socket` (the absolute path they go to), else None;
    `expires_at` and `secret_expires_at` (seconds since the epoch; None: unknown).

    >>> it = Lease({"id": "00ff", "token": "t0ken", "credential": "key", "deliver": "secret", "secret": "s3cret", "expires_at_ms": 1500}, None)
    >>> it
    <Lease 00ff of key by secret>
    >>> it.secret, it.expires_at
    ('s3cret', 1.5)
    """

    def __init__(self, answer, socket):
        self._socket = socket
        self._take(answer)

    def _take(self, answer):
        self.id, self.credential, self.deliver = answer["id"], answer["credential"], answer["deliver"]
        self.secret, self._token = answer.get("secret"), answer.get("token")
        self.env, self.username, self.account = (answer.get(name) for name in ("env", "username", "account"))
        self.expires_at, self.secret_expires_at = (
            answer[name] / 1000 if answer.get(name) is not None else None for name in ("expires_at_ms", "secret_expires_at_ms")
        )
        directory = os.path.dirname(os.path.abspath(find_socket(self._socket)))
        self.file = os.path.join(directory, answer["file"]) if answer.get("file") else None
        self.proxy_socket = os.path.join(directory, answer["proxy_socket"]) if answer.get("proxy_socket") else None
        self.token = self._token if self.proxy_socket else None

    def __repr__(self):
        return "<Lease %s of %s by %s>" % (self.id, self.credential, self.deliver)

    @property
    def left_s(self):
        """Seconds until the lease, or the value it released, ends; negative when it has."""
        ends = [t for t in (self.expires_at, self.secret_expires_at) if t is not None]
        return min(ends) - time.time() if ends else float("inf")

    def renew(self, ttl_s=None):
        """More time, and the current value, which may be another one than before."""
        body = {} if ttl_s is None else {"ttl_ms": int(ttl_s * 1000)}
        self._take(call("POST", "/v1/leases/%s/renew" % self.id, body, self._token, self._socket))
        return self

    def end(self):
        """Ends it now. Ending one that is over is no error."""
        try:
            call("DELETE", "/v1/leases/%s" % self.id, socket=self._socket)
        except Error as e:
            if e.code != "not_found":
                raise
        self.secret = self._token = None

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.end()


def lease(credential, deliver=None, ttl_s=None, uses=None, owner=None, socket=None):
    """Leases a credential: `deliver` is access_token, file, helper or secret (None: the least exposed that is granted), `owner` is
    "process" for a lease that ends with this process."""
    body = {"credential": credential, "deliver": deliver, "uses": uses, "owner": owner}
    body["ttl_ms"] = int(ttl_s * 1000) if ttl_s is not None else None
    return Lease(call("POST", "/v1/leases", {k: v for k, v in body.items() if v is not None}, socket=socket), socket)


def grants(socket=None):
    """What this socket may lease: a list of dictionaries."""
    return call("GET", "/v1/grants", socket=socket)["grants"]


def whoami(socket=None):
    """What the broker knows of us."""
    return call("GET", "/v1/whoami", socket=socket)


def find(lease_id, socket=None):
    """A live lease of this socket as the broker shows it: without its secret and token."""
    return call("GET", "/v1/leases/" + urllib.parse.quote(lease_id, safe=""), socket=socket)
