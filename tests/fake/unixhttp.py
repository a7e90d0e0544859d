"""HTTP/1.1 over a Unix socket in single steps, for tests that do something between them: connect, send, (exec, pass on, wait), read."""
import array
import json
import os
import socket


def dial(path, timeout=10):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(timeout)
    s.connect(path)
    return s


def send(s, method, path, body=None, token=None):
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    if body is not None:
        head += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    if token:
        head.append("Authorization: Bearer " + token)
    s.sendall(("\r\n".join(head) + "\r\n\r\n").encode() + data)


def answer(s):
    """(status, object) of the next answer on this connection; (0, None): it was closed without one."""
    got = b""
    while b"\r\n\r\n" not in got:
        more = s.recv(65536)
        if not more:
            return 0, None
        got += more
    head, body = got.split(b"\r\n\r\n", 1)
    length = [int(h.split(b":")[1]) for h in head.split(b"\r\n")[1:] if h.lower().startswith(b"content-length:")]
    while len(body) < length[0]:
        body += s.recv(65536)
    text = body.decode()
    return int(head.split()[1]), json.loads(text) if text[:1] in ("{", "[") and "\n{" not in text else text


def ask(where, method, path, body=None, token=None):
    """One exchange; `where` is a connected socket, or the path of one."""
    s = dial(where) if isinstance(where, str) else where
    try:
        send(s, method, path, body, token)
        return answer(s)
    finally:
        if s is not where:
            s.close()


def give(channel, fd):
    channel.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])


def take(channel):
    """The descriptor that the other end gives, as a socket."""
    channel.settimeout(10)
    _, ancillary, _, _ = channel.recvmsg(1, socket.CMSG_LEN(4))
    fds = array.array("i")
    fds.frombytes(ancillary[0][2])
    s = socket.socket(fileno=fds[0])
    s.settimeout(10)
    return s


def become(uid):
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
