"""Writes forged frames to the wire of eth0: ``forger.py MAC ADDRESS PORT...``, of a neighbour.

Each is a good datagram of another cluster, so that whoever hears it counts it. They claim to come
from another neighbour, from the host itself and from loopback, and go to the group, to the host's
address and to loopback, at each port.
"""

import itertools
import socket
import struct
import sys

from meshcluster.config import DEFAULT_ADDRESS
from meshcluster.wire import codec
from meshcluster.wire.frames import Beacon

DATA = codec.encode_datagram(Beacon("forged", bytes(16), 1, 1, bytes(8), ()))
ETHERTYPE_IPV4, UDP = 0x0800, 17


def checksum(header):
    """Of an IPv4 header."""
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    return ~(total + (total >> 16)) & 0xFFFF


def frame(mac, source, target, port):
    """An Ethernet frame with a datagram in it."""
    udp = struct.pack("!4H", 40000, port, 8 + len(DATA), 0) + DATA
    fields = (0x45, 0, 20 + len(udp), 0, 0, 64, UDP, 0)
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    header = struct.pack("!BBHHHBBH", *fields) + ends
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return mac + b"\2\0\0\0\0\1" + struct.pack("!H", ETHERTYPE_IPV4) + header + udp


def main():
    mac, address, *ports = sys.argv[1:]
    own = bytes.fromhex(mac.replace(":", ""))
    group = b"\1\0\x5e" + bytes([socket.inet_aton(DEFAULT_ADDRESS)[1] & 0x7F])
    group += socket.inet_aton(DEFAULT_ADDRESS)[2:]
    sources = ("10.77.0.99", address, "127.0.0.1")
    targets = ((group, DEFAULT_ADDRESS), (own, DEFAULT_ADDRESS), (own, address), (own, "127.0.0.1"))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind(("eth0", 0))
        for source, (to, target), port in itertools.product(sources, targets, map(int, ports)):
            wire.send(frame(to, source, target, port))


main()
