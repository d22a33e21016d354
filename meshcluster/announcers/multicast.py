"""UDP multicast beacons, and the unicast socket that proves and probes.

Two sockets. The group socket is bound to the group's address and port, shared with every member of
the host. The own socket has a port of its own; beacons are sent from it, so that a beacon's source
is the address that answers for its member.

With ``ttl=0`` nothing leaves the host and nothing from outside is heard. A TTL of 0 alone does not
do that on Linux (a datagram sent out of an interface where the group was not joined leaves the
host), so the loopback interface is chosen for sending and for membership, the own socket is bound
to 127.0.0.1, and ``IP_MULTICAST_ALL=0`` keeps memberships of other programs out.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import sys
from collections.abc import Iterable

from ..errors import ConfigError
from ..model import LOOPBACK, Address, is_unix
from .base import READS_A_TURN, RECEIVE_BYTES, AnnouncerReceiver

NOTHING = b""
"""The datagram that tries whether the group can be reached; nobody minds it."""

SOCKET_BUFFER_BYTES = 1024 * 1024
NO_NETWORK = (errno.ENODEV, errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.EPERM)
"""The interface is down, it has no route, or a firewall forbids it."""

_IP_MULTICAST_ALL = 49
_IP_RECVERR = 11
_MSG_ERRQUEUE = 0x2000
_LINUX = sys.platform == "linux"
_WOULD_BLOCK = (BlockingIOError, InterruptedError)


class MulticastAnnouncer:
    """Beacons to ``address``:``port``; ``ttl`` 0 keeps them on this host."""

    def __init__(self, address: str, port: int, ttl: int) -> None:
        self._group: Address = (address, port)
        self._ttl = ttl
        self._loop: asyncio.AbstractEventLoop | None = None
        self._receiver: AnnouncerReceiver | None = None
        self._group_socket: socket.socket | None = None
        self._own_socket: socket.socket | None = None
        self.port = 0

    async def open(self) -> None:
        """Opens both sockets."""
        try:
            self._own_socket = self._open_own()
            self._group_socket = self._open_group()
            self._own_socket.sendto(NOTHING, self._group)  # fails where nothing could ever be sent
        except OSError as error:
            self.close()
            raise ConfigError(_advice(error, self._group, self._ttl)) from error
        self.port = self._own_socket.getsockname()[1]

    def start(self, receiver: AnnouncerReceiver) -> None:
        """Begins to read both sockets."""
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        for each in (self._own_socket, self._group_socket):
            if each is not None:
                self._loop.add_reader(each, self._read, each)

    def announce(self, data: bytes) -> None:
        """Sends a datagram to the group."""
        self.send(data, self._group)

    def reaches(self, address: Address) -> bool:
        """Every IP address."""
        return not is_unix(address)

    def send(self, data: bytes, address: Address) -> None:
        """Sends a datagram. An error of an earlier one may surface here, so it is tried again."""
        if self._own_socket is None:
            return
        for _ in range(3):
            try:
                self._own_socket.sendto(data, address)
                return
            except (*_WOULD_BLOCK, OverflowError):
                return
            except OSError as error:
                if error.errno not in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH):
                    return
                self._read_refusals()

    def descriptors(self) -> Iterable[int]:
        """What a forked child must let go of."""
        return [s.fileno() for s in (self._own_socket, self._group_socket) if s is not None]

    def close(self) -> None:
        """Closes both sockets."""
        for each in (self._own_socket, self._group_socket):
            if each is not None:
                if self._loop is not None:
                    self._loop.remove_reader(each)
                each.close()
        self._own_socket = self._group_socket = None
        self._receiver = None

    # --- sockets -----------------------------------------------------------------------------

    def _open_own(self) -> socket.socket:
        own = _udp_socket()
        try:
            own.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, self._ttl)
            own.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
            if self._ttl == 0:
                own.setsockopt(
                    socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(LOOPBACK)
                )
            if _LINUX:
                own.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            own.bind((LOOPBACK if self._ttl == 0 else "", 0))
        except BaseException:
            own.close()
            raise
        return own

    def _open_group(self) -> socket.socket:
        group = _udp_socket()
        try:
            group.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if not _LINUX and hasattr(socket, "SO_REUSEPORT"):
                group.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if _LINUX:
                group.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
            group.bind(self._group if sys.platform != "win32" else ("", self._group[1]))
            interface = socket.inet_aton(LOOPBACK if self._ttl == 0 else "0.0.0.0")
            member = struct.pack("4s4s", socket.inet_aton(self._group[0]), interface)
            group.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        except BaseException:
            group.close()
            raise
        return group

    # --- reading -----------------------------------------------------------------------------

    def _read(self, source: socket.socket) -> None:
        smooth = False
        for _ in range(READS_A_TURN):
            if self._receiver is None:
                return
            try:
                data, address = source.recvfrom(RECEIVE_BYTES)
            except _WOULD_BLOCK:
                break
            except OSError:  # an earlier datagram was refused; the queue says which
                smooth = False
                break
            smooth = True
            if data != NOTHING:
                self._receiver.datagram_received(data, address)
        self._read_refusals()
        if not smooth:
            self._watch_again(source)

    def _watch_again(self, source: socket.socket) -> None:
        """Woken by an error, libuv (uvloop) has stopped to watch the socket; others do not mind."""
        if self._loop is not None and self._receiver is not None:
            self._loop.remove_reader(source)
            self._loop.add_reader(source, self._read, source)

    def _read_refusals(self) -> None:
        """Reads the error queue (Linux): where datagrams went that a host refused."""
        while _LINUX and self._own_socket is not None and self._receiver is not None:
            try:
                _, ancillary, _, address = self._own_socket.recvmsg(64, 512, _MSG_ERRQUEUE)
            except OSError:
                return
            if any(_is_refusal(level, data) for level, _, data in ancillary):
                self._receiver.datagram_refused((str(address[0]), int(address[1])))


def has_no_network(error: ConfigError) -> bool:
    """Whether ``open`` failed for want of a network, not for a setting."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in NO_NETWORK


def _udp_socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
    return made


def _is_refusal(level: int, data: bytes) -> bool:
    """Whether an extended error (struct sock_extended_err) is ECONNREFUSED."""
    return level == socket.IPPROTO_IP and struct.unpack_from("=I", data)[0] == errno.ECONNREFUSED


def _advice(error: OSError, group: Address, ttl: int) -> str:
    where = f"address={group[0]!r}, port={group[1]}"
    if error.errno == errno.EADDRINUSE:
        return f"{where}: another program has this port for itself; choose another port="
    if error.errno in (errno.ENODEV, errno.EADDRNOTAVAIL, errno.ENETUNREACH):
        if ttl == 0:
            return f"{where}: the loopback interface is down ('ip link set lo up' brings it up)"
        return f"{where}: no interface with a multicast route; connect one, or use ttl=0"
    if error.errno == errno.EPERM:
        return f"{where}: a firewall forbids to send there; allow it, or choose another address="
    return f"{where}: {error.strerror or error}"
