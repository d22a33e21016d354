"""UDP multicast beacons, and the unicast sockets that prove and probe.

The group is joined on every usable interface, by a socket each. The own sockets (one, and one by
IPv6) have a port of their own; beacons are sent from them, so that a beacon's source is the address
that answers for its member. Interfaces come and go: what is usable is found out again whenever they
change, and no error of one of them ends anything.

With ``ttl=0`` nothing leaves the host and nothing from outside is heard. A TTL of 0 alone does not
do that on Linux (a datagram sent out of an interface where the group was not joined leaves the
host), so the loopback interface is chosen for sending and for membership, the own socket is bound
to 127.0.0.1, and ``IP_MULTICAST_ALL=0`` keeps memberships of other programs out. With more,
loopback is one of the interfaces: neighbours with ``ttl=0`` are to be heard there, and to hear us.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import struct
from collections.abc import Callable, Iterable, Sequence

from ..errors import ConfigError
from ..interfaces import (
    Interface,
    Skipped,
    family_of,
    interfaces,
    split_choice,
    spoken,
    usable,
    written,
)
from ..model import Address, is_named
from .base import READS_A_TURN, RECEIVE_BYTES, AnnouncerReceiver
from .groups import (
    LINUX,
    LOOPBACK_WAY,
    Way,
    aim,
    group_v6,
    open_group,
    open_own,
    set_reach,
    ways,
)
from .resting import Resting
from .watching import InterfaceWatch

logger = logging.getLogger("meshcluster.announcers")

NOTHING = b""
"""The datagram that tries whether the group can be reached; nobody minds it."""

NO_NETWORK = (errno.ENODEV, errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.EPERM)
"""The interface is down, it has no route, or a firewall forbids it."""

_MSG_ERRQUEUE = 0x2000
_WOULD_BLOCK = (BlockingIOError, InterruptedError)


class MulticastAnnouncer:
    """Beacons to ``address``:``port``; ``ttl`` 0 keeps them on this host.

    ``chosen``: which interfaces are used; see ``meshcluster.interfaces.usable``. ``changed`` is
    called in the event loop when there are other interfaces or addresses, or one works again.

    Raises:
        ConfigError: a word in ``chosen`` means nothing.
    """

    def __init__(
        self, address: str, port: int, ttl: int, *, chosen: Sequence[str] | None = None
    ) -> None:
        self._group: Address = (address, port)
        self._group_v6 = group_v6(address)
        self._ttl = ttl
        self._chosen = chosen
        split_choice(chosen or ())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._receiver: AnnouncerReceiver | None = None
        self._own: dict[socket.AddressFamily, socket.socket] = {}
        self._hearing: dict[Way, socket.socket] = {}
        self._ways: tuple[Way, ...] = ()
        self._failing: set[Way] = set()
        """Ways that did not take the last beacon."""
        self._disturbed: set[socket.socket] = set()
        """Own sockets of which an error was read, here or there: libuv may have seen it as well."""
        self._resting = Resting(self._look_at)
        self._watch = InterfaceWatch(self._interfaces_changed) if ttl else None
        self._seen: tuple[Interface, ...] = ()
        self.used: tuple[Interface, ...] = ()
        """The interfaces in use; at ``ttl=0`` none is looked at."""
        self.skipped: tuple[Skipped, ...] = ()
        """The others, with the reason."""
        self.changed: Callable[[], None] = lambda: None
        self.port = 0

    async def open(self) -> None:
        """Opens the own sockets, and the group's on every usable interface."""
        try:
            self._own = {each.family: each for each in open_own(self._ttl)}
            if self._ttl == 0:
                self._ways = (LOOPBACK_WAY,)
                self._hearing[LOOPBACK_WAY] = open_group(LOOPBACK_WAY, *self._group)
                # which fails where nothing could ever be sent
                self._own[socket.AF_INET].sendto(NOTHING, self._group)
            else:
                if self._watch is not None:
                    self._watch.open()
                self._look(first=True)
        except OSError as error:
            self.close()
            raise ConfigError(_advice(error, self._group)) from error
        except BaseException:
            self.close()
            raise
        self.port = self._own[socket.AF_INET].getsockname()[1]

    def start(self, receiver: AnnouncerReceiver) -> None:
        """Begins to read all sockets, and to watch the interfaces."""
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        for each in self._sockets():
            self._loop.add_reader(each, self._read, each)
        if self._watch is not None:
            self._watch.start()

    def announce(self, data: bytes) -> None:
        """Sends a datagram to the group, on every interface in use."""
        if self._ttl == 0:
            self.send(data, self._group)
            return
        failing = {way for way in self._ways if not self._send_by(way, data)}
        for way in failing - self._failing:
            logger.info("no beacon went out by %s (%s); it is tried again", way.name, way.ip)
        self._failing = failing

    def announce_near(self, data: bytes) -> None:
        """Sends a datagram to the group on every interface in use, and beyond none: members of this
        host hear it from where others hear us.
        """
        if self._ttl == 0:
            self.announce(data)
            return
        for each in self._own.values():
            set_reach(each, 0)
        for way in self._ways:
            self._send_by(way, data)
        for each in self._own.values():
            set_reach(each, self._ttl)

    def reaches(self, address: Address) -> bool:
        """Every IP address."""
        return not is_named(address)

    def send(self, data: bytes, address: Address) -> None:
        """Sends a datagram."""
        own = self._own.get(family_of(address[0]))
        if own is not None:
            try:
                target = written(*address)
            except OSError:  # its interface has gone
                return
            self._send(own, data, target)

    def descriptors(self) -> Iterable[int]:
        """What a forked child must let go of."""
        watching = [] if self._watch is None else self._watch.descriptors()
        return [*(each.fileno() for each in self._sockets()), *watching]

    def close(self) -> None:
        """Closes all sockets."""
        if self._watch is not None:
            self._watch.close()
        for each in self._sockets():
            self._close_socket(each)
        self._own, self._hearing, self._ways = {}, {}, ()
        self._disturbed.clear()
        self._receiver = None

    def _sockets(self) -> list[socket.socket]:
        return [*self._own.values(), *self._hearing.values()]

    def _close_socket(self, each: socket.socket) -> None:
        if self._loop is not None:
            self._loop.remove_reader(each)
        self._resting.forget(each)
        each.close()

    # --- interfaces --------------------------------------------------------------------------

    def _interfaces_changed(self) -> None:
        """Something may have changed: uses what can be used now, and says so if it is new."""
        if not self._own:
            return
        if self._look(first=False) or self._failing:
            self.changed()

    def _look(self, *, first: bool) -> bool:
        """Opens and closes the group's sockets as interfaces are there; True: they are others."""
        found = interfaces()
        if found == self._seen and not first and len(self._hearing) == _heard(self._ways):
            return False
        self._seen = found
        self.used, self.skipped = usable(found, chosen=self._chosen, ttl=self._ttl)
        before = self._ways
        self._ways = tuple(way for way in ways(self.used) if way.family in self._own)
        for way in self._hearing.keys() - set(self._ways):
            self._close_socket(self._hearing.pop(way))
        for way in self._ways:
            if way.hears and way not in self._hearing:
                self._hear(way, first=first)
        if first and all(way is LOOPBACK_WAY for way in self._ways):
            why = ", ".join(f"{each.interface.name}: {each.reason}" for each in self.skipped)
            logger.warning(
                "no interface but loopback can be used (%s): members on other hosts are met when "
                "there is one", why or "there is no other",
            )  # fmt: skip
        return before != self._ways or not first

    def _hear(self, way: Way, *, first: bool) -> None:
        try:
            made = open_group(way, *self._group)
        except OSError as error:
            if first and error.errno in (errno.EADDRINUSE, errno.EACCES):
                raise
            text = _advice(error, self._group)
            logger.warning("nothing is heard on %s (%s): %s", way.name, way.ip, text)
            return
        self._hearing[way] = made
        if self._loop is not None:
            self._loop.add_reader(made, self._read, made)

    # --- sending -----------------------------------------------------------------------------

    def _send_by(self, way: Way, data: bytes) -> bool:
        own = self._own.get(way.family)
        if own is None:
            return False
        if way.is_v6:
            return self._send(own, data, (self._group_v6, self._group[1], 0, way.index))
        try:
            aim(own, way)
        except OSError:
            return False
        return self._send(own, data, self._group)

    def _send(self, own: socket.socket, data: bytes, target: tuple[str | int, ...]) -> bool:
        """An error of an earlier datagram may surface here, so it is tried again."""
        for _ in range(3):
            try:
                own.sendto(data, target)
                return True
            except (*_WOULD_BLOCK, OverflowError):
                return True  # lost, as datagrams may be
            except OSError as error:
                self._disturbed.add(own)
                if error.errno not in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH):
                    return False
                self._read_refusals()
        return False

    # --- reading -----------------------------------------------------------------------------

    def _read(self, source: socket.socket) -> None:
        something = too_much = False
        assert self._loop is not None
        began = self._loop.time()
        for _ in range(READS_A_TURN):
            if self._receiver is None:
                return
            try:
                data, address = source.recvfrom(RECEIVE_BYTES)
            except _WOULD_BLOCK:
                break
            except OSError:  # an earlier datagram was refused; the queue says which
                self._disturbed.add(source)
                break
            something = True
            if data != NOTHING:
                if len(address) > 2:
                    address = spoken(address), address[1]
                too_much |= self._receiver.datagram_received(data, address) is False
        else:
            if too_much and source.fileno() >= 0:
                self._resting.begin(self._loop, source, began)
        self._read_refusals()
        if source in self._resting:
            return
        if (source in self._disturbed or not something) and source.fileno() >= 0:
            self._watch_again(source)

    def _watch_again(self, source: socket.socket) -> None:
        """Woken by an error, libuv (uvloop) has stopped to watch the socket; others do not mind.

        Whether it was an error cannot be seen here: a send meanwhile may have read it, and what
        came by then is read without one.
        """
        self._disturbed.discard(source)
        if self._loop is not None and self._receiver is not None:
            self._loop.remove_reader(source)
            self._look_at(source)

    def _look_at(self, source: socket.socket) -> None:
        if self._loop is not None and self._receiver is not None:
            self._loop.add_reader(source, self._read, source)

    def _read_refusals(self) -> None:
        """Reads the error queues (Linux): where datagrams went that a host refused."""
        for own in tuple(self._own.values()) if LINUX else ():
            while self._receiver is not None:
                try:
                    _, ancillary, _, address = own.recvmsg(64, 512, _MSG_ERRQUEUE)
                except OSError:
                    break
                self._disturbed.add(own)
                if any(_is_refusal(level, data) for level, _, data in ancillary):
                    self._receiver.datagram_refused((spoken(address), int(address[1])))


def _heard(found: Iterable[Way]) -> int:
    return sum(way.hears for way in found)


def has_no_network(error: ConfigError) -> bool:
    """Whether ``open`` failed for want of a network, not for a setting."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in NO_NETWORK


def _is_refusal(level: int, data: bytes) -> bool:
    """Whether an extended error (struct sock_extended_err) is ECONNREFUSED."""
    if level not in (socket.IPPROTO_IP, socket.IPPROTO_IPV6):
        return False
    return bool(struct.unpack_from("=I", data)[0] == errno.ECONNREFUSED)


def _advice(error: OSError, group: Address) -> str:
    where = f"address={group[0]!r}, port={group[1]}"
    if error.errno == errno.EADDRINUSE:
        return f"{where}: another program has this port for itself; choose another port="
    if error.errno in (errno.ENODEV, errno.EADDRNOTAVAIL, errno.ENETUNREACH):
        return f"{where}: the loopback interface is down ('ip link set lo up' brings it up)"
    if error.errno == errno.EPERM:
        return f"{where}: a firewall forbids to send there; allow it, or choose another address="
    if error.errno == errno.ENOBUFS:
        return f"{where}: too many groups are joined; raise sysctl net.ipv4.igmp_max_memberships"
    return f"{where}: {error.strerror or error}"
