"""What a member says of itself, as datagrams: each is made here, and sent by others."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from ..config import ClusterConfig
from ..model import Identity
from ..wire import codec
from ..wire.frames import Beacon, Datagram, Details, Leave, Probe, ProbeAck, ProbeReply, Solicit
from .views import Views


class Datagrams:
    """Makes the datagrams of one member. ``lag`` gives the seconds it is late with what it does,
    ``wall`` those since 1970, for observers to compare.
    """

    def __init__(
        self, identity: Identity, config: ClusterConfig, *, details: Callable[[], Details],
        views: Views, lag: Callable[[], float], wall: Callable[[], float],
    ) -> None:  # fmt: skip
        self._config = config
        self._details = details
        self._views = views
        self._lag = lag
        self._wall = wall
        self._digested: Details | None = None
        self._digest = b""
        self._me = (config.cluster, identity.id, identity.boot)

    def beacon(self, number: int, details: Details | None = None) -> Beacon:
        """What announces us to the group; ``details`` that we do not have yet, to measure it."""
        details, views = details or self._details(), self._views
        return Beacon(
            *self._me, details.version, self._digest_of(details), details.endpoints,
            views.known_beyond, views.fingerprint, number, round(1000 * self._lag()),
        )  # fmt: skip

    def beacon_size(self, details: Details) -> int:
        """The most bytes that a beacon with these details has."""
        beacon = msgspec.structs.replace(
            self.beacon(2**40, details), known=2**32, view=2**64 - 1, lag=2**15
        )
        return len(codec.encode_datagram(beacon))

    def leave(self) -> Leave:
        """A goodbye."""
        return Leave(*self._me)

    def solicit(self, nonce: int) -> Solicit:
        """Asks everybody to answer with this number."""
        return Solicit(*self._me, nonce, *self._what_we_are())

    def probe(self, nonce: int, *, want: bool) -> Probe:
        """Asks one to answer with this number, and with its details if we ``want`` them."""
        return Probe(*self._me, nonce, want, *self._what_we_are())

    def reply(self, nonce: int, challenge: int, *, wanted: bool, to: str) -> tuple[bytes, bytes]:
        """Answers a probe; with our details if they are ``wanted`` and fit. And what it is where so
        much is too much: who wants them is sent to our links.
        """
        reply, known = partial(ProbeReply, *self._me, nonce, challenge), self._views.known_to(to)
        details = self._details() if wanted else None
        return self._fitting(reply(details, False, known), reply(None, True, known))

    def shown(self, nonce: int, *, to: str) -> tuple[bytes, bytes]:
        """Answers an observer, who is told our time as well; in the same two ways."""
        reply, wall = partial(ProbeReply, *self._me, nonce, 0), round(1000 * self._wall())
        known = self._views.known_to(to)
        full, small = (self._details(), False, known, wall), (None, True, known, wall)
        return self._fitting(reply(*full), reply(*small))

    def acknowledgement(self, challenge: int, *, to: str) -> bytes:
        """Sends back a number, which proves us."""
        details, known = self._details(), self._views.known_to(to)
        ack = partial(ProbeAck, *self._me, challenge)
        return self._fitting(ack(details, (), known), ack(None, details.endpoints, known))[0]

    def _what_we_are(self) -> tuple[int, bytes, bool]:
        details = self._details()
        return details.version, self._digest_of(details), self._config.observer

    def _digest_of(self, details: Details) -> bytes:
        if details is not self._digested:
            self._digested, self._digest = details, codec.digest(details)
        return self._digest

    def _fitting(self, datagram: Datagram, smaller: Datagram) -> tuple[bytes, bytes]:
        """The first where it fits a datagram, else the one without details; and that one."""
        data, less = codec.encode_datagram(datagram), codec.encode_datagram(smaller)
        if len(data) > self._config.limits.datagram_bytes:
            data = less
        return data, less
