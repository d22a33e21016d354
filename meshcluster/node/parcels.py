"""Parcels: messages in datagrams of their own, for protocol ``udp``. At most once, in any order.

One message a parcel, which fits a datagram or is not sent so. Parcels are numbered, so that copies
which a network makes are handed out once; nothing is sent again. They are taken from members alone
that answered us themselves, from the address where they did.

What goes to everybody is one parcel to the group, and the same to each of those whom the group does
not reach. Whoever hears it both ways, or by several interfaces, knows it by its number.

What goes by parcel for want of a link was not asked to be sent so: its receiver confirms it, and
until then it is not delivered. What is not confirmed is told as lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

from ..config import Limits
from ..model import UDP, Endpoint, Identity, Packed
from ..wire import codec
from ..wire.frames import (
    Answer,
    AnyMessage,
    AnyParcel,
    Event,
    GroupParcel,
    Parcel,
    ParcelMessage,
    Question,
    Receipt,
)  # fmt: skip
from .counters import Counters
from .delivery import Delivery
from .effects import Announce, Effect, MessagesLost, Report, SendDatagram
from .links import REFUSALS
from .membership import Membership, Peer
from .schedule import Schedule
from .session import Session

WINDOW = 1024
"""A parcel so much older than the newest is dropped: whether it came before is not known."""

RECEIPT_SECONDS = 3.0
"""What is not confirmed by then is told as lost: about as long as a dead member is probed."""

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
    """Sends what waits in sessions, and takes what comes. ``wake`` looks after a session,
    ``reaches`` says whether the group reaches a member. ``offered``: we take what is told to all.
    """

    def __init__(
        self, identity: Identity, cluster: str, limits: Limits, *, peers: Membership,
        delivery: Delivery, schedule: Schedule, effects: list[Effect], counters: Counters,
        wake: Callable[[Session, float], None], reaches: Callable[[Peer, float], bool],
        offered: bool, observer: bool,
    ) -> None:  # fmt: skip
        self._identity = identity
        self._cluster = cluster
        self._limits = limits
        self._peers = peers
        self._delivery = delivery
        self._schedule = schedule
        self._reaches = reaches
        self._offered = offered and not observer
        self._observer = observer
        self._effects = effects
        self._counters = counters
        self._wake = wake
        self._numbers = count(1)
        longest = len(codec.encode_datagram(self._parcel(bytes(24), 2**64 - 1, LONGEST)))
        self.room = limits.datagram_bytes - longest + len(LONGEST.body)
        """The longest body that fits, in bytes."""
        me = Peer(identity.id, identity.boot, ("", 0), 0.0)
        me.ledger = peers.ledger
        self.everybody = Session(me, UDP, limits)
        """No session with anybody: what is put here goes to all that take ``udp``."""

    def _parcel(
        self, to: bytes, number: int, message: ParcelMessage, *, confirm: bool = False
    ) -> Parcel:
        me = self._identity
        return Parcel(self._cluster, me.id, me.boot, to, number, message, confirm)

    # --- out ---------------------------------------------------------------------------------

    def send_to_all(self, now: float) -> None:
        """Sends what waits for everybody: to the group where that saves any datagram."""
        takers = [peer for peer in self._peers if _takes_udp(peer.endpoints)]
        apart = [peer for peer in takers if not self._reaches(peer, now)]
        grouped = len(takers) - len(apart) > 1
        addresses = [peer.address for peer in (apart if grouped else takers)]
        me, waiting = self._identity, self.everybody.waiting
        while waiting:
            event = waiting.popleft()
            self.everybody.released(event)
            assert isinstance(event, Event)
            parcel = GroupParcel(self._cluster, me.id, me.boot, next(self._numbers), event)
            data = codec.encode_datagram(parcel)
            if grouped:
                self._effects.append(Announce(data))
            self._effects += [SendDatagram(data, address) for address in addresses]
        self.everybody.rest()

    def send(
        self, session: Session, now: float, *, questions: bool = True, confirm: bool = False
    ) -> int:
        """Sends all that waits and fits (without ``questions``: events alone); an answer that does
        not fit takes the common session. ``confirm``: events are kept until they are.
        """
        kinds = ParcelMessage if questions else Event
        sent, kept = 0, []
        while session.waiting:
            message = session.waiting.popleft()
            if isinstance(message, kinds) and len(message.body) <= self.room:
                peer, number = session.peer, next(self._numbers)
                parcel = self._parcel(peer.key, number, message, confirm=confirm)
                data = codec.encode_datagram(parcel)
                self._effects.append(SendDatagram(data, peer.address))
                if confirm and isinstance(message, Event):  # a question says itself what became
                    session.unconfirmed[number] = now, message
                session.released(message)
                sent += 1
            else:
                kept.append(message)
        if session.lane != UDP:
            session.waiting.extendleft(reversed(kept))
        elif kept:
            for message in kept:
                session.released(message)
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
        their order; a member that refuses us has its links in order. From observers nothing is
        taken so.
        """
        peer = session.peer
        takes = _takes_udp(endpoints)
        dialled = any(endpoint.scheme != UDP for endpoint in endpoints)
        takes = takes and not any(reason in REFUSALS.values() for _, reason in attempts)
        silent = now - peer.heard_at > self._limits.dial_seconds
        if not takes or silent or session.links or self._observer:
            return
        sent = self.send(session, now, questions=not dialled, confirm=True)
        if session.unconfirmed:
            self.look_after(session, now)
        if sent and self._counters.count("messages sent by udp as a last resort", sent):
            name = peer.service.name if peer.service is not None else peer.address[0]
            text = f"no link to {name}: messages go by udp, which may lose them"
            self._effects.append(Report(f"{text} (further ones are only counted)"))

    def look_after(self, session: Session, now: float) -> None:
        """Gives up what was not confirmed in time, and the oldest beyond the limit; sets the time
        to look again.
        """
        unconfirmed, lost = session.unconfirmed, []
        while unconfirmed:
            number, (sent_at, message) = next(iter(unconfirmed.items()))  # the oldest
            due = sent_at + RECEIPT_SECONDS
            if now < due and len(unconfirmed) <= self._limits.waiting_messages:
                if ("receipt", session) not in self._schedule:
                    self._schedule.set(("receipt", session), due)
                break
            del unconfirmed[number]
            lost.append(message)
        service = session.peer.service
        if lost and service is not None:
            self._counters.count("messages by udp that were not confirmed", len(lost))
            self._effects.append(MessagesLost(service, "did not confirm it", lost))

    # --- in ----------------------------------------------------------------------------------

    def heard(self, parcel: AnyParcel, peer: Peer, now: float) -> None:
        """A member sent a parcel, or the receipt of one."""
        if isinstance(parcel, GroupParcel):
            meant = self._offered
        else:
            meant = parcel.to == self._identity.key
        if not meant:
            self._counters.count("parcels: to somebody else")
        elif isinstance(parcel, Receipt):
            for session in peer.sessions.values():
                session.unconfirmed.pop(parcel.number, None)
        else:
            self._take(parcel, peer, now)

    def _take(self, parcel: Parcel | GroupParcel, peer: Peer, now: float) -> None:
        received = peer.parcels = peer.parcels or Received()
        session = peer.session(UDP, self._limits)
        if session is None or not received.is_new(parcel.number):
            self._counters.count("parcels: twice, or too late")
            return
        message = parcel.message
        if isinstance(message, Event) and not self._delivery.leaving:
            if received.handed - session.taken > self._limits.event_window_bytes:
                self._counters.count("parcels: more than hooks take")
                return
            received.handed += len(message.body)
        if isinstance(parcel, Parcel) and parcel.confirm and not self._delivery.leaving:
            me = self._identity
            receipt = Receipt(self._cluster, me.id, me.boot, peer.key, parcel.number)
            self._effects.append(SendDatagram(codec.encode_datagram(receipt), peer.address))
        self._delivery.parcel(session, message)
        if session.waiting:  # a hook refused the question
            self.send(session, now)


def _takes_udp(endpoints: Sequence[Endpoint]) -> bool:
    if isinstance(endpoints, Packed):
        return UDP in endpoints.schemes
    return any(endpoint.scheme == UDP for endpoint in endpoints)
