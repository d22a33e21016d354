"""What is heard of a multicast group: our own datagrams on each way, and whoever else is there."""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from .checks import GOOD, NOTE, Check

if TYPE_CHECKING:
    from ..announcers.groups import Way
    from ..wire.frames import Datagram, ProbeReply

SEND_SECONDS = 0.2
"""Between two tries: one datagram may be lost."""

TRIES = 3
RECEIVE_BYTES = 2048
UNHEARD = "our own datagram to the group does not come back: something drops it here"
MOST_HEARD = 10_000
"""Datagrams kept; what comes beyond is ignored."""


class Heard(NamedTuple):
    """A datagram of somebody else: it came to the group, or to us alone."""

    data: bytes
    address: str
    to_group: bool


@dataclass
class Hearing:
    """What one listening brought. ``troubles``: by way, empty when our own was heard."""

    troubles: dict[Way, str | OSError] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)


class Listening:
    """Sends to a group by all ways and hears what comes of it."""

    def __init__(
        self, ways: Sequence[Way], group: str, port: int, ttl: int, *, by_v6: str = ""
    ) -> None:
        """``by_v6``: the group by IPv6, where it is not the one that goes with ``group``."""
        self._ways = ways
        self._group = group
        self._by_v6 = by_v6 or group
        self._port = port
        self._ttl = ttl
        self._own: dict[socket.AddressFamily, socket.socket] = {}
        self._own_port = 0
        self._selector = selectors.DefaultSelector()
        self._hearing = Hearing()

    def run(self, data: bytes, seconds: float, *, until_own: bool = False) -> Hearing:
        """Sends ``data`` a few times and listens for so long, or until it came back everywhere."""
        from ..announcers.groups import open_group, open_own

        troubles = self._hearing.troubles
        with ExitStack() as stack:
            stack.callback(self._selector.close)
            try:
                opened = open_own(self._ttl)
            except OSError as error:  # not even loopback is up
                troubles.update(dict.fromkeys(self._ways, error))
                return self._hearing
            for own in opened:
                self._own[own.family] = stack.enter_context(own)
                self._selector.register(own, selectors.EVENT_READ, None)
                self._own_port = own.getsockname()[1]
            for way in self._ways:
                troubles[way] = UNHEARD
                if not way.hears:
                    del troubles[way]
                    continue
                group = self._by_v6 if way.is_v6 else self._group
                try:
                    joined = stack.enter_context(open_group(way, group, self._port))
                    self._selector.register(joined, selectors.EVENT_READ, way)
                except OSError as error:
                    troubles[way] = error
            self._listen(data, seconds, lambda: until_own and UNHEARD not in troubles.values())
        return self._hearing

    def _listen(self, data: bytes, seconds: float, is_enough: Callable[[], bool]) -> None:
        end = time.monotonic() + seconds
        sent = 0
        send_at = 0.0
        while (now := time.monotonic()) < end and not is_enough():
            if now >= send_at and sent < TRIES:
                self._send(data)
                sent, send_at = sent + 1, now + SEND_SECONDS
            wait = min(end, send_at if sent < TRIES else end) - now
            for key, _ in self._selector.select(max(0.0, wait)):
                self._read(key.fileobj, key.data)  # type: ignore[arg-type]

    def _send(self, data: bytes) -> None:
        from ..announcers.groups import aim, group_v6

        for way in self._ways:
            own = self._own.get(way.family)
            if own is None:
                continue
            try:
                if way.is_v6:
                    own.sendto(data, (group_v6(self._by_v6), self._port, 0, way.index))
                else:
                    aim(own, way)
                    own.sendto(data, (self._group, self._port))
            except OSError as error:
                if self._hearing.troubles.get(way) == UNHEARD:
                    self._hearing.troubles[way] = error

    def _read(self, source: socket.socket, way: Way | None) -> None:
        from ..interfaces import spoken

        try:
            data, address = source.recvfrom(RECEIVE_BYTES)
        except OSError:  # an earlier datagram was refused
            return
        if way is not None and address[1] == self._own_port:
            self._hearing.troubles[way] = ""
        elif data and len(self._hearing.heard) < MOST_HEARD:
            self._hearing.heard.append(Heard(data, spoken(address), way is not None))


# --- asking ----------------------------------------------------------------------------------


class Question:
    """Asks members to show themselves, as an observer does, whom they do not keep."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._id = os.urandom(16)
        self._nonce = int.from_bytes(os.urandom(7), "big") | 1

    def to_group(self) -> bytes:
        """For everybody."""
        from ..wire.codec import encode_datagram
        from ..wire.frames import Solicit

        asked = Solicit(self._cluster, self._id, 1, self._nonce, 1, bytes(8), True)
        return encode_datagram(asked)

    def to_one(self) -> bytes:
        """For one address."""
        from ..wire.codec import encode_datagram
        from ..wire.frames import Probe

        asked = Probe(self._cluster, self._id, 1, self._nonce, True, 1, bytes(8), True)
        return encode_datagram(asked)

    def reply(self, data: bytes) -> ProbeReply | None:
        """The reply in a datagram, if it is one to us."""
        from ..wire.frames import ProbeReply

        found = understood(data)
        if isinstance(found, ProbeReply) and found.nonce == self._nonce:
            return found
        return None


def understood(data: bytes) -> Datagram | None:
    """A datagram of ours; None for others."""
    from ..errors import DecodeError
    from ..wire.codec import decode_datagram

    try:
        return decode_datagram(data)
    except DecodeError:
        return None


# --- who else is there -----------------------------------------------------------------------


def others(heard: Sequence[Heard], cluster: str) -> list[Check]:
    """Who was heard on the port: our mesh, other meshes, other versions, strangers."""
    meshes: dict[str, set[bytes]] = {cluster: set()}
    strange: dict[str, set[str]] = {}
    for each in heard:
        found = understood(each.data)
        if found is not None and not _is_observer(found):
            meshes.setdefault(found.cluster, set()).add(found.id)
        elif found is None:
            strange.setdefault(_strangeness(each.data), set()).add(each.address)
    checks = [_mesh(name, len(ids), name == cluster) for name, ids in meshes.items()]
    for what, addresses in sorted(strange.items()):
        shown = ", ".join(sorted(addresses)[:5])
        if what:
            advice = "upgrade the older ones: versions do not understand each other"
            text = f"version {what} of our datagrams, from {shown}"
        else:
            advice = "choose another --port for this mesh"
            text = f"datagrams that are not ours, from {shown}"
        checks.append(Check("heard", "others", NOTE, text, advice))
    return checks


def _mesh(name: str, count: int, is_ours: bool) -> Check:
    members = "1 member" if count == 1 else f"{count or 'no'} members"
    if count and is_ours:
        return Check("heard", f"cluster '{name}'", GOOD, members)
    if is_ours:
        advice = "if there should be one: meshcluster doctor --peer HOST tells what is between"
        return Check("heard", f"cluster '{name}'", NOTE, f"{members} heard", advice)
    return Check("heard", f"cluster '{name}'", NOTE, f"{members} of another mesh on this port")


def _is_observer(found: Datagram) -> bool:
    """Whether it is from somebody who only looks on, such as another doctor, or who has left."""
    from ..wire.frames import Leave

    return getattr(found, "observer", False) or isinstance(found, Leave)


def _strangeness(data: bytes) -> str:
    """The version of a datagram that could be ours; empty for others."""
    from ..wire.codec import DATAGRAM_MAGIC

    if data[:2] == DATAGRAM_MAGIC[:2] and data[2:3] not in (b"", DATAGRAM_MAGIC[2:]):
        return str(data[2])
    return ""
