"""Who a program tries to reach, in a network namespace of its own where every address but loopback leads nowhere.

Everything outside is made local (`ip route add local default dev lo`), so that a connection to any host is refused at once instead of
hanging, and every packet can be seen on lo. A name server on 127.0.0.1 gives each name an address of its own (198.18.0.0/15, which RFC
2544 keeps out of the Internet), so that packets can be told by name. A look-up alone counts as an attempt.
"""
import socket
import struct
import subprocess
import threading

RESOLV_CONF = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"
ETH_P_ALL, PACKET_OUTGOING = 3, 4


def prepare(resolv_conf):
    """Needs to run in fresh network and mount namespaces. `resolv_conf`: a path to write, which then stands for /etc/resolv.conf."""
    with open(resolv_conf, "w") as f:
        f.write(RESOLV_CONF)
    subprocess.run(["mount", "--bind", resolv_conf, "/etc/resolv.conf"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "route", "add", "local", "default", "dev", "lo"], check=True)
    subprocess.run(["ip", "-6", "route", "add", "local", "default", "dev", "lo"], check=False)  # where the kernel has IPv6


class Watch:
    """Collects attempts from when it is made; take() gives and forgets them."""

    def __init__(self):
        self.names, self.addresses = {}, {}
        self.tried = set()
        self.dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.dns.bind(("127.0.0.1", 53))
        self.packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.packets.bind(("lo", 0))
        for serve in (self.serve_names, self.serve_packets):
            threading.Thread(target=serve, daemon=True).start()

    def take(self):
        tried, self.tried = self.tried, set()
        return sorted(tried)

    # ---- names

    def serve_names(self):
        while True:
            query, peer = self.dns.recvfrom(4096)
            try:
                self.dns.sendto(self.answer(query), peer)
            except (IndexError, struct.error):
                pass

    def answer(self, query):
        """Type A: the name's address; any other type: no such record. No compression, one question (RFC 1035)."""
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace"))
            at += 1 + query[at]
        kind = struct.unpack("!H", query[at + 1 : at + 3])[0]
        question = query[12 : at + 5]
        name = ".".join(labels).lower()
        self.tried.add(name)
        if kind != 1:
            return query[:2] + struct.pack("!HHHHH", 0x8180, 1, 0, 0, 0) + question
        address = self.names.setdefault(name, f"198.18.{len(self.names) >> 8}.{(len(self.names) & 255) + 1}")
        self.addresses[address] = name
        record = struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(address)
        return query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + question + record

    # ---- packets

    def serve_packets(self):
        while True:
            packet, where = self.packets.recvfrom(200)
            if where[2] == PACKET_OUTGOING and (to := self.destination(packet[14:])):
                self.tried.add(to)

    def destination(self, ip):
        """"host:port" of a first TCP segment or a UDP datagram that goes outside; None for all others."""
        version = ip[0] >> 4
        if version == 4:
            protocol, rest, to = ip[9], ip[(ip[0] & 15) * 4 :], socket.inet_ntoa(ip[16:20])
            outside = not to.startswith("127.")
        elif version == 6:
            protocol, rest, to = ip[6], ip[40:], socket.inet_ntop(socket.AF_INET6, ip[24:40])
            outside = to != "::1" and not to.startswith("ff")
        else:
            return None
        first = protocol == socket.IPPROTO_UDP or (protocol == socket.IPPROTO_TCP and rest[13] & 0x12 == 0x02)
        if not outside or not first:
            return None
        return f"{self.addresses.get(to, to)}:{struct.unpack('!H', rest[2:4])[0]}"
