"""Parcels: messages in datagrams of their own, for protocol ``udp``. At most once, in any order.

One message a parcel, which fits a datagram or is not sent so. Parcels are numbered, so that copies
which a network makes are handed out once; nothing is acknowledged or sent again. They are taken
from members alone that answered us themselves, from the address where they did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

from ..config import Limits
from ..model import UDP, Endpoint, Identity
from ..wire import codec
from ..wire.frames import Answer, AnyMessage, Event, Parcel, ParcelMessage, Question
from .counters import Counters
from .delivery import Delivery
from .effects import Effect, Report, SendDatagram
from .links import REFUSALS
from .membership import Peer
from .session import Session

WINDOW = 1024
"""A parcel so much older than the newest is dropped: whether it came before is not known."""

LONGEST = Question(2**64 - 1, 2**32 - 1, 255, bytes(256))
"""What has the most beside its body."""


class Received:
    """Which parcels of a member came."""

    __slots__ = ("handed", "newest", "seen")

    def __init__(self) -> None:
        self.newest = 0
        self.seen = 0
        """A bit for each of the last: bit 0 is the newest."""
        self.handed = 0
        """Bytes of events handed to hooks."""

    def is_new(self, number: int) -> bool:
        """Whether a parcel did not come before; notes it."""
        if number > self.newest:
            shift = number - self.newest
            self.seen = 1 if shift >= WINDOW else (self.seen << shift | 1) & ((1 << WINDOW) - 1)
            self.newest = number
            return True
        age = self.newest - number  # looked at first: a shift by a stranger's number costs memory
        if number < 1 or age >= WINDOW or self.seen >> age & 1:
            return False
        self.seen |= 1 << age
        return True


class Parcels:
    """Sends what waits in sessions, and takes what comes. ``wake`` looks after a session."""

    def __init__(
        self, identity: Identity, cluster: str, limits: Limits, *, delivery: Delivery,
        effects: list[Effect], counters: Counters, wake: Callable[[Session, float], None],
    ) -> None:  # fmt: skip
        self._identity = identity
        self._cluster = cluster
        self._limits = limits
        self._delivery = delivery
        self._effects = effects
        self._counters = counters
        self._wake = wake
        self._numbers = count(1)
        longest = len(codec.encode_datagram(self._parcel(bytes(24), 2**64 - 1, LONGEST)))
        self.room = limits.datagram_bytes - longest + len(LONGEST.body)
        """The longest body that fits, in bytes."""

    def _parcel(self, to: bytes, number: int, message: ParcelMessage) -> Parcel:
        me = self._identity
        return Parcel(self._cluster, me.id, me.boot, to, number, message)

    def send(self, session: Session, now: float, *, questions: bool = True) -> int:
        """Sends all that waits and fits (without ``questions``: events alone); an answer that does
        not fit takes the common session.
        """
        kinds = ParcelMessage if questions else Event
        sent, kept = 0, []
        while session.waiting:
            message = session.waiting.popleft()
            if isinstance(message, kinds) and len(message.body) <= self.room:
                peer = session.peer
                data = codec.encode_datagram(self._parcel(peer.key, next(self._numbers), message))
                self._effects.append(SendDatagram(data, peer.address))
                sent += 1
            else:
                kept.append(message)
        if session.lane != UDP:
            session.waiting.extendleft(reversed(kept))
        elif kept:
            self._by_link(session, kept, now)
        session.rest()
        return sent

    def _by_link(self, session: Session, messages: list[AnyMessage], now: float) -> None:
        common = session.peer.session("", self._limits)
        answers = [message for message in messages if isinstance(message, Answer)]
        if common is None or len(answers) < len(messages):
            self._counters.count("messages too large for udp", len(messages) - len(answers))
        if common is not None and answers:
            for answer in answers:
                common.put(answer)
            self._wake(common, now)

    def send_at_last(
        self, session: Session, endpoints: Sequence[Endpoint],
        attempts: Sequence[tuple[str, str]], now: float,
    ) -> None:  # fmt: skip
        """No link could be opened: events that fit go by parcel, if the member takes them and is
        heard right now. Questions do where it offers nothing else: elsewhere it is better to say at
        once that there is no way. A session that had a link keeps its messages for the next, and
        their order; a member that refuses us has its links in order.
        """
        peer = session.peer
        takes = any(endpoint.scheme == UDP for endpoint in endpoints)
        dialled = any(endpoint.scheme != UDP for endpoint in endpoints)
        takes = takes and not any(reason in REFUSALS.values() for _, reason in attempts)
        if not takes or session.links or now - peer.heard_at > self._limits.dial_seconds:
            return
        sent = self.send(session, now, questions=not dialled)
        if sent and self._counters.count("messages sent by udp as a last resort", sent):
            name = peer.service.name if peer.service is not None else peer.address[0]
            text = f"no link to {name}: messages go by udp, which may lose them"
            self._effects.append(Report(f"{text} (further ones are only counted)"))

    def heard(self, parcel: Parcel, peer: Peer, now: float) -> None:
        """A member sent a parcel."""
        if parcel.to != self._identity.key:
            self._counters.count("parcels: to somebody else")
            return
        received = peer.parcels = peer.parcels or Received()
        session = peer.session(UDP, self._limits)
        if session is None or not received.is_new(parcel.number):
            self._counters.count("parcels: twice, or too late")
            return
        message = parcel.message
        if isinstance(message, Event):
            if received.handed - session.taken > self._limits.event_window_bytes:
                self._counters.count("parcels: more than hooks take")
                return
            received.handed += len(message.body)
        self._delivery.parcel(session, message)
        if session.waiting:  # a hook refused the question
            self.send(session, now)
