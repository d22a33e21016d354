"""The door: the beacon port, where those who have this host as a seed knock by unicast.

It only hears; answers go out from the member's own port. Members of one host share the port, and a
unicast datagram goes to one of them: any will do, for whom one knows the others are told of. What
is for another mesh on this host is passed on to it.
Observers open no door: they answer nobody.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Iterable

from ..bucket import Bucket
from ..interfaces import spoken
from ..model import LOOPBACK, Address
from .base import READS_A_TURN, RECEIVE_BYTES, AnnouncerReceiver
from .neighbours import Neighbours
from .resting import Resting

logger = logging.getLogger("meshcluster.announcers")

PASSED_A_SECOND = 200.0
"""So many datagrams are looked at for neighbours; further ones are for us, or lost."""

_IP_MULTICAST_ALL = 49


class DoorAnnouncer:
    """Hears what is sent to ``port`` of this host; at ``ttl=0``, of its loopback address alone."""

    port = 0

    def __init__(self, port: int, ttl: int, neighbours: Neighbours | None = None) -> None:
        self._beacon_port = port
        self._ttl = ttl
        self._neighbours = neighbours
        self._passing = Bucket(PASSED_A_SECOND, PASSED_A_SECOND)
        self._resting = Resting(self._look_at)
        self._sockets: list[socket.socket] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._receiver: AnnouncerReceiver | None = None

    async def open(self) -> None:
        """Opens the sockets that can be had: without them this host is no seed, that is all."""
        places = [(socket.AF_INET, LOOPBACK if self._ttl == 0 else "")]
        if self._ttl > 0 and socket.has_ipv6:
            places.append((socket.AF_INET6, "::"))
        for family, host in places:
            try:
                self._sockets.append(_open(family, host, self._beacon_port))
            except OSError as error:
                logger.info("no seed at %s port %d: %s", host or "any", self._beacon_port, error)

    def start(self, receiver: AnnouncerReceiver) -> None:
        """Begins to read."""
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        for each in self._sockets:
            self._look_at(each)

    def announce(self, data: bytes) -> None:
        """Nothing: the own port announces."""

    def reaches(self, address: Address) -> bool:
        """No address."""
        return False

    def send(self, data: bytes, address: Address) -> None:
        """Nothing."""

    def descriptors(self) -> Iterable[int]:
        """What a forked child must let go of."""
        return [each.fileno() for each in self._sockets]

    def close(self) -> None:
        """Closes the sockets."""
        for each in self._sockets:
            if self._loop is not None:
                self._loop.remove_reader(each)
            self._resting.forget(each)
            each.close()
        self._sockets = []
        self._receiver = None

    def _look_at(self, source: socket.socket) -> None:
        assert self._loop is not None
        self._loop.add_reader(source, self._read, source)

    def _read(self, source: socket.socket) -> None:
        assert self._loop is not None
        too_much, began = False, self._loop.time()
        for _ in range(READS_A_TURN):
            if self._receiver is None:
                return
            try:
                data, address = source.recvfrom(RECEIVE_BYTES)
            except OSError:
                return
            came_from = spoken(address), int(address[1])
            if not data:  # which only tries whether we are here
                continue
            if not self._passed_on(data, came_from):
                too_much |= self._receiver.datagram_received(data, came_from) is False
        if too_much and source.fileno() >= 0:
            self._resting.begin(self._loop, source, began)

    def _passed_on(self, data: bytes, came_from: Address) -> bool:
        """Whether it was for another mesh, which has it."""
        if self._neighbours is None or self._loop is None:
            return False
        return self._passing.take(self._loop.time()) and self._neighbours.pass_on(data, came_from)


def is_needed() -> bool:
    """Whether the group's socket does not hear unicast itself, as it does on Windows."""
    return sys.platform != "win32"


def _open(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sys.platform == "linux" and family == socket.AF_INET:
            made.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        elif sys.platform != "linux" and hasattr(socket, "SO_REUSEPORT"):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((host, port))
    except BaseException:
        made.close()
        raise
    return made
