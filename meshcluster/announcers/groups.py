"""The sockets of beacons: the own ones they are sent from, the group's that hear on one interface.

A ``Way`` is what one beacon goes out by: an interface and one of our addresses there. The own
socket is shared by all ways of its family, so that a beacon's source port is the same on every
network; the group's sockets are one for each interface, for a socket may be a member of few groups.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import ConfigError
from ..interfaces import Interface
from ..model import LOOPBACK

SOCKET_BUFFER_BYTES = 1024 * 1024

MAX_WAYS = 128
"""So many networks get our beacons; further ones do not."""

PORT_TRIES = 16
"""IPv4 and IPv6 share a port number; so often another one is tried when it is taken for IPv6."""

LINUX = sys.platform == "linux"
_IP_MULTICAST_ALL = 49
_IPV6_MULTICAST_ALL = 29
_IP_RECVERR = 11
_IPV6_RECVERR = 25


@dataclass(frozen=True, slots=True)
class Way:
    """How beacons get to one network. ``hears``: the first of its interface and family, by which
    the group is joined there.
    """

    name: str
    index: int
    ip: str
    hears: bool

    @property
    def is_v6(self) -> bool:
        """Whether beacons go by IPv6 there."""
        return ":" in self.ip

    @property
    def family(self) -> socket.AddressFamily:
        """Of its sockets."""
        return socket.AF_INET6 if self.is_v6 else socket.AF_INET


LOOPBACK_WAY = Way("loopback", 0, LOOPBACK, True)
"""By address, not by index: it is known without looking at the interfaces."""


def ways(usable: Iterable[Interface]) -> tuple[Way, ...]:
    """By IPv4 once for each network an interface has an address in, by IPv6 once for its link.

    On loopback IPv4 does, and IPv6 multicast does not work there.
    """
    found: list[Way] = []
    for each in usable:
        if each.is_loopback:
            found.append(LOOPBACK_WAY)
            continue
        networks: dict[object, str] = {}
        for address in each.v4:
            network = ipaddress.ip_network((address.ip, address.prefix), strict=False)
            networks.setdefault(network, address.ip)
        for number, ip in enumerate(networks.values()):
            found.append(Way(each.name, each.index, ip, number == 0))
        if each.index:
            found += [Way(each.name, each.index, address.ip, True) for address in each.v6[:1]]
    # The best ones first: by the first beacon that is heard a stranger is asked.
    found.sort(key=lambda way: (way is LOOPBACK_WAY, way.is_v6))
    return tuple(dict.fromkeys(found))[:MAX_WAYS]


def group_v6(group: str) -> str:
    """The link-local IPv6 group that goes with an IPv4 group: it ends in the same 32 bits. An IPv6
    group is that itself.
    """
    if ":" in group:
        return group
    return str(ipaddress.IPv6Address((0xFF02 << 112) | int(ipaddress.IPv4Address(group))))


def open_own(ttl: int) -> list[socket.socket]:
    """The sockets that send beacons and answer: one, and one by IPv6 where that goes beyond this
    host; both have one port number.

    Raises:
        OSError: there is no IPv4 here at all.
        ConfigError: at ``ttl=0``, that would leave this host.
    """
    if ttl == 0:
        own = [_own(socket.AF_INET, ttl, 0)]
        if not _stays_here(own[0]):
            own[0].close()
            raise ConfigError("ttl=0: this system does not keep multicast on this host")
        return own
    for _ in range(PORT_TRIES):
        own = [_own(socket.AF_INET, ttl, 0)]
        if not socket.has_ipv6:
            return own
        try:
            own.append(_own(socket.AF_INET6, ttl, own[0].getsockname()[1]))
            return own
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return own  # a system without IPv6
            own[0].close()
    return [_own(socket.AF_INET, ttl, 0)]


def _stays_here(own: socket.socket) -> bool:
    """Whether the system took what keeps datagrams on this host, as it tells itself."""
    interface = own.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, 4)
    return own.getsockname()[0] == LOOPBACK and interface == socket.inet_aton(LOOPBACK)


def _own(family: socket.AddressFamily, ttl: int, port: int) -> socket.socket:
    own = udp_socket(family)
    try:
        # What goes to forged addresses waits seconds for nothing; the rest must find room.
        own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
        if family == socket.AF_INET6:
            set_reach(own, ttl)
            own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)
            if LINUX:
                own.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
            own.bind(("::", port))
            return own
        set_reach(own, ttl)
        own.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        if ttl == 0:
            aim(own, LOOPBACK_WAY)
        if LINUX:
            own.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        own.bind((LOOPBACK if ttl == 0 else "", port))
    except BaseException:
        own.close()
        raise
    return own


def set_reach(own: socket.socket, ttl: int) -> None:
    """What is sent to the group next crosses fewer routers than this; 0: it stays on this host."""
    if own.family == socket.AF_INET6:
        own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, ttl)
    else:
        own.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)


def aim(own: socket.socket, way: Way) -> None:
    """What is sent to the group by IPv4 next goes this way. (IPv6 addresses name it themselves.)

    Raises:
        OSError: the interface or its address has gone.
    """
    source = socket.inet_aton(way.ip)
    if LINUX and way.index:
        source = struct.pack("4s4si", bytes(4), source, way.index)
    own.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, source)


def open_group(way: Way, group: str, port: int) -> socket.socket:
    """A socket that hears what is sent to the group on one interface, and nothing else.

    Raises:
        OSError: the interface has gone, the port is taken.
    """
    made = udp_socket(way.family)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if not LINUX and hasattr(socket, "SO_REUSEPORT"):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        (_join_v6 if way.is_v6 else _join_v4)(made, way, group, port)
    except BaseException:
        made.close()
        raise
    return made


def _join_v4(made: socket.socket, way: Way, group: str, port: int) -> None:
    if LINUX:
        made.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
    made.bind((group if sys.platform != "win32" else "", port))
    member = socket.inet_aton(group) + socket.inet_aton(way.ip)
    if LINUX and way.index:
        member += struct.pack("i", way.index)
    made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)


def _join_v6(made: socket.socket, way: Way, group: str, port: int) -> None:
    group = group_v6(group)
    if LINUX:
        made.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
    made.bind((group if sys.platform != "win32" else "", port, 0, way.index))
    member = socket.inet_pton(socket.AF_INET6, group) + struct.pack("@I", way.index)
    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)


def udp_socket(family: socket.AddressFamily) -> socket.socket:
    """A datagram socket that does not block; one of IPv6 hears IPv6 only."""
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.setblocking(False)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
    return made
