"""What hosts send: every frame that enters the switch and is the doing of a program."""

import ipaddress
from collections.abc import Mapping
from typing import NamedTuple

from .host import Host
from .process import Process

PROGRAM = """
import json, selectors, socket, sys, time
seen = []
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.setblocking(False)
def is_a_programs(frame):  # the kernel by itself: ARP, and ICMP of IPv6
    kind = frame[12:14]
    return kind == b"\\x08\\0" or (kind == b"\\x86\\xdd" and frame[20] in (6, 17))
def look():  # until nothing is left: whatever a host has heard by now is in
    while True:
        try:
            frame, (port, _, direction, *_) = wire.recvfrom(65535)
        except BlockingIOError:
            return
        if port.startswith("v") and direction != socket.PACKET_OUTGOING and is_a_programs(frame):
            seen.append([time.time(), port, frame[12:82].hex()])
print(json.dumps("ready"), flush=True)
with selectors.DefaultSelector() as both:
    both.register(wire, selectors.EVENT_READ)
    both.register(sys.stdin, selectors.EVENT_READ)
    asked = True
    while asked:
        ready = [key.fileobj for key, _ in both.select()]
        look()
        if sys.stdin in ready:
            asked = sys.stdin.readline()
            if asked:
                found = [each for each in seen[-5000:] if each[0] > float(asked)]
                print(json.dumps(found), flush=True)
"""


class Frame(NamedTuple):
    """When it came, from which host, its first bytes from the EtherType on."""

    time: float
    host: Host
    head: str

    @property
    def is_udp(self) -> bool:
        """Whether it carries a datagram, such as a beacon."""
        frame = bytes.fromhex(self.head)
        return (frame[11] if frame.startswith(b"\x08\0") else frame[8]) == 17

    @property
    def to(self) -> str:
        """The IP address that it goes to."""
        frame = bytes.fromhex(self.head)
        is_v4 = frame.startswith(b"\x08\0")
        return str(ipaddress.ip_address(frame[18:22] if is_v4 else frame[26:42]))

    @property
    def kind(self) -> int:
        """The number of the datagram of ours that it carries; 0: none."""
        frame = bytes.fromhex(self.head)
        data = frame[30:] if frame.startswith(b"\x08\0") else frame[50:]
        return data[4] if self.is_udp and data.startswith(b"mc\1") else 0


class Capture:
    """Notes the last 5000 frames until its switch is removed."""

    def __init__(self, process: Process, ports: Mapping[Host, str]) -> None:
        self._process = process
        self._ports = ports

    def frames(self, host: Host | None = None, *, since: float = 0.0) -> list[Frame]:
        """All so far, or those of one host, or those that came after a time (``time.time()``)."""
        hosts = {port: each for each, port in self._ports.items()}
        frames = [Frame(at, hosts[port], head) for at, port, head in self._process.ask(str(since))]
        return [frame for frame in frames if host in (None, frame.host)]
