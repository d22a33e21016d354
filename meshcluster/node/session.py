"""A session: all that travels between two runs of two members, in order, above any link.

Each half numbers its batches, keeps what is not acknowledged and takes only the next in order, so
a link may break, be replaced or be dialled twice without a message lost, doubled or overtaken.

Credit: a receiver tells how many bytes of batches its hooks have taken; events (and notes) beyond
the window wait at their sender. Questions, requests and answers pass: they are bounded by who
asks, and holding them back could deadlock two members that query each other from a hook.

Large messages go in parts (``parts.py``), between which batches go, so that they hold up nothing
but the events behind them. One that is told begins while there is credit, and may end without.

``put`` may be called from any thread (a deque's append is atomic). All else belongs to the node.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from itertools import repeat, starmap
from math import inf
from typing import TYPE_CHECKING

from ..config import Limits
from ..model import Endpoint
from ..wire.codec import encode_frame
from ..wire.frames import (
    Ack,
    AckedEvent,
    AnyMessage,
    Batch,
    Event,
    Events,
    Numbered,
    Question,
    Request,
)  # fmt: skip
from ..wire.split import Split, decode_any, encode_split
from .ledger import Ledger
from .parts import NEAR_WHOLE_BYTES, WHOLE_BYTES, Arriving, Cuts, is_asked

if TYPE_CHECKING:
    from .dialling import Dial
    from .links import NodeLink
    from .membership import Peer

BATCH_MESSAGES = 256
BATCH_BYTES = 64 * 1024
"""A batch ends at either bound. Larger ones gain nothing and make the first message wait."""

NEAR_BATCH_BYTES = 512 * 1024
"""To a process of our own user, to which large bodies are not sent but shown."""

LARGE_BODY_BYTES = 1024
"""Sessions that carried a larger body measure their batches; others only count them. While they
wait only larger ones are counted in bytes (``ledger.py``)."""

ACK_BATCHES = 16
ACK_BYTES = 256 * 1024
NEAR_ACK_BYTES = 1024 * 1024
"""Acknowledge at once from here; below, the acknowledgement waits for a batch that goes back."""

_EVENT_ONLY = {Event}
_ANSWERED = Question | Request | AckedEvent


class Session:
    """One half of the traffic with one run of a peer. ``lane`` is "" or the schemes asked for."""

    __slots__ = (
        "_acked",
        "_cuts",
        "_event_bytes",
        "_gone_bytes",
        "_limits",
        "_number",
        "_owed_batches",
        "_owed_bytes",
        "_part_next",
        "_peer_taken",
        "_put_bytes",
        "_refused",
        "_taken_told",
        "_unacked",
        "_unacked_bytes",
        "arriving",
        "awake",
        "broken",
        "described",
        "dial",
        "dialled_at",
        "endpoint",
        "failures",
        "lane",
        "large",
        "ledger",
        "link",
        "links",
        "lost",
        "peer",
        "peer_links",
        "peer_token",
        "posted",
        "promises",
        "received",
        "redial_at",
        "splits",
        "stalled",
        "taken",
        "token",
        "unconfirmed",
        "waiting",
    )

    def __init__(self, peer: Peer, lane: str, limits: Limits) -> None:
        self.peer = peer
        self.lane = lane
        self._limits = limits
        self.waiting: deque[AnyMessage] = deque()
        self.stalled: deque[AnyMessage] = deque()
        """What needs credit (events of both kinds, notes) and was overtaken by what does not."""
        self.large = False
        self.ledger = peer.ledger or Ledger()
        self._put_bytes = 0
        """Of larger bodies, for ever; and how many of these are not held any more."""
        self._gone_bytes = 0
        self._cuts = Cuts()
        self.awake = False
        """Set while the node looks here without being told again (any thread sets it). It is
        cleared only when nothing waits, so that a busy sender causes no wake for each message.
        """
        self.link: NodeLink | None = None
        self.dial: Dial | None = None
        self.endpoint: Endpoint | None = None
        """The one that the link was dialled at; None when the other end dialled."""
        self.dialled_at = -inf
        """When the last round of dialling began, and when the next is to."""
        self.redial_at = inf
        self.splits = False
        """Its link takes frames in pieces."""
        self.links = 0
        self.peer_links = 0
        self.failures = 0
        self.broken = False
        """Had a link that broke and has none again yet."""
        self.token = 0
        self.peer_token = 0
        self.described = 0
        """The version of our details that the other end was told last."""
        self.posted: list[bytes] = []
        """Frames beside the batches that wait for a link."""
        self.unconfirmed: dict[int, tuple[float, AnyMessage]] = {}
        """What went by parcel for want of a link, and when, until its receipt comes
        (``parcels.py``)."""
        self.promises: dict[int, bool] = {}
        """Open acknowledged sends by number: whether each has left. What waits here and is not in
        it was withdrawn, and never leaves. (Any thread adds; to end one belongs to the node.)"""
        self.lost: list[AnyMessage] = []
        """What ``resume`` gave up."""
        self._unacked_bytes = 0
        self._begin()

    def _begin(self) -> None:
        self._number = 0
        self._unacked: deque[tuple[int, bytes | Split]] = deque()
        self.ledger.frames -= self._unacked_bytes
        self._unacked_bytes = 0
        self._cuts.begin()
        self._part_next = False
        self._acked = 0
        self._event_bytes = 0
        self._peer_taken = 0
        self.received = 0
        self._refused = 0
        self.taken = 0
        self._taken_told = 0
        self._owed_batches = 0
        self._owed_bytes = 0
        self.arriving = Arriving(self._limits.message_bytes)

    @property
    def schemes(self) -> Collection[str]:
        """The schemes this session is restricted to; empty: any."""
        return self.lane.split(",") if self.lane else ()

    # --- out ---------------------------------------------------------------------------------

    def put(self, message: AnyMessage) -> None:
        """Queues a message, from any thread."""
        size = len(message.body)
        if size > LARGE_BODY_BYTES:
            self.large = True  # before the append: the batch that takes it must measure
            self._put_bytes += size
            self.ledger.put(message, size)
        self.waiting.append(message)

    def released(self, message: AnyMessage) -> None:
        """A message that was put is not held any more, or as a part of a frame; in the loop."""
        size = len(message.body)
        if size > LARGE_BODY_BYTES:
            self._gone_bytes += size
            self.ledger.gone(message, size)

    @property
    def held_bytes(self) -> int:
        """What waits here, bodies up to ``LARGE_BODY_BYTES`` not counted, and what is not
        acknowledged (any thread).
        """
        return self._put_bytes - self._gone_bytes + self._unacked_bytes

    @property
    def backlog(self) -> int:
        """Messages that wait here, from any thread."""
        return len(self.waiting) + len(self.stalled) + len(self._cuts)

    @property
    def idle(self) -> bool:
        """Nothing waits and all that was sent is acknowledged."""
        return not (self.backlog or self._unacked or self.unconfirmed)

    @property
    def wanted(self) -> bool:
        """Whether anything needs its link, beside us, who have one to hear when it breaks."""
        return not self.idle or bool(self.posted)

    def next_frame(self) -> bytes | Split | None:
        """The next batch or part, numbered and kept until acknowledged; None when nothing may go.
        In turns, so that neither waits for more than one of the other.
        """
        if self._unacked_bytes >= self._limits.unacked_bytes:
            return None
        frame = self._part() if self._part_next else None
        if frame is not None:
            return frame
        messages = self._collect()
        while messages and not (events_only := set(map(type, messages)) == _EVENT_ONLY):
            if messages := self._leaving(messages):
                break
            messages = self._collect()
        if not messages:
            return self._part()
        self._part_next = True
        self._number += 1
        kind = Events if events_only else Batch
        batch = kind(self._number, self.acks, self.taken, messages)  # type: ignore[arg-type]
        frame = encode_split(batch) if self.large and self.splits else encode_frame(batch)
        if self.large:
            for message in messages:
                if len(message.body) > LARGE_BODY_BYTES:
                    self.released(message)
        return self._sent(frame)

    def _sent(self, frame: bytes | Split) -> bytes | Split:
        size = len(frame)
        self._unacked.append((self._number, frame))
        self._unacked_bytes += size
        self.ledger.frames += size
        self._event_bytes += size
        self._owed_batches = self._owed_bytes = 0
        self._taken_told = self.taken
        return frame

    def _leaving(self, messages: list[AnyMessage]) -> list[AnyMessage]:
        """Notes which acknowledged sends leave; takes out what was withdrawn meanwhile."""
        if AckedEvent not in map(type, messages):
            return messages
        promises, leaving = self.promises, []
        for message in messages:
            if type(message) is AckedEvent:
                if message.id not in promises:
                    self.released(message)
                    continue
                promises[message.id] = True
            leaving.append(message)
        return leaving

    def _part(self) -> bytes | Split | None:
        """The next part; None: none may go."""
        self._part_next = False
        cut = self._cuts.next()
        if cut is None:
            return None
        if not cut.offset and not self._leaving([cut.message]):
            self._cuts.forget(cut)
            return self.next_frame()
        self._number += 1
        part = cut.part(self._number, self.acks, self.taken, near=self.splits)
        frame = encode_split(part) if self.splits else encode_frame(part)
        self._cuts.sent(cut, self._number, len(frame))
        return self._sent(frame)

    def _collect(self) -> list[AnyMessage]:
        """Takes messages for one batch, in order; events only while the receiver gives credit."""
        credit = self._limits.event_window_bytes + self._peer_taken - self._event_bytes
        if credit <= 0 or self._cuts.told is not None:
            return self._collect_exempt()
        if self.stalled:
            return self._measured(self.stalled, credit)
        count = min(len(self.waiting), BATCH_MESSAGES)  # before looking at large: see put
        if self.large:
            return self._measured(self.waiting, credit)
        return list(starmap(self.waiting.popleft, repeat((), count)))  # a loop without bytecode

    def _measured(self, queue: deque[AnyMessage], credit: int) -> list[AnyMessage]:
        messages: list[AnyMessage] = []
        size, bound, whole = 0, BATCH_BYTES, WHOLE_BYTES
        if self.splits:
            bound, whole = min(NEAR_BATCH_BYTES, credit), NEAR_WHOLE_BYTES
        while queue and size < bound and len(messages) < BATCH_MESSAGES:
            length = len(queue[0].body)
            if length > whole:
                told = not is_asked(queue[0])
                if told and messages:
                    break  # these go before it
                self._cuts.add(queue.popleft())
                if told:
                    break
                continue
            if self.splits and messages and size + length > whole:
                break  # together they would be longer than a frame may be
            messages.append(queue.popleft())
            size += length
        return messages

    def _collect_exempt(self) -> list[AnyMessage]:
        """Without credit, or while an event goes in parts: questions and answers pass, events step
        aside and keep their order.
        """
        messages: list[AnyMessage] = []
        waiting, size = self.waiting, 0
        while waiting and size < BATCH_BYTES and len(messages) < BATCH_MESSAGES:
            message = waiting.popleft()
            if not is_asked(message):
                self.stalled.append(message)
            elif len(message.body) > WHOLE_BYTES:
                self._cuts.add(message)
            else:
                messages.append(message)
                size += len(message.body)
        return messages

    def unacked_frames(self) -> list[bytes | Split]:
        """What was sent and not acknowledged, to be sent again on a new link."""
        return [frame if self.splits else bytes(frame) for _, frame in self._unacked]

    def rest(self) -> bool:
        """Called when ``next_frame`` gave None; False when something was put meanwhile."""
        self.awake = False
        if not self.waiting:
            return True
        self.awake = True
        # With too much unacknowledged, an acknowledgement or a new link brings us back.
        return self._unacked_bytes >= self._limits.unacked_bytes

    def withdraw_questions(self) -> list[int]:
        """Takes back what waits for an answer and was never sent; returns the ids."""
        withdrawn: list[AnyMessage] = []
        for queue in (self.stalled, self.waiting):
            kept: list[AnyMessage] = []
            while queue:
                message = queue.popleft()
                (withdrawn if isinstance(message, _ANSWERED) else kept).append(message)
            queue.extendleft(reversed(kept))
        for cut in self._cuts.unbegun:
            if isinstance(cut.message, _ANSWERED):
                withdrawn.append(cut.message)
                self._cuts.forget(cut)
        for message in withdrawn:
            self.released(message)
        ids = [message.id for message in withdrawn if isinstance(message, _ANSWERED)]
        self.rest()
        return ids

    def drop_events(self, count: int) -> list[AnyMessage]:
        """Gives up the ``count`` oldest events that wait and have not begun to be sent."""
        dropped: list[AnyMessage] = []
        for queue in (self.stalled, self.waiting):
            kept: list[AnyMessage] = []
            while queue and len(dropped) < count:
                message = queue.popleft()
                (dropped if type(message) is Event else kept).append(message)
            queue.extendleft(reversed(kept))
        for message in dropped:
            self.released(message)
        return dropped

    def discard(self) -> list[AnyMessage]:
        """Gives up all that is not acknowledged; returns it, in the order of sending."""
        given_up = [message for _, message in self.unconfirmed.values()]
        given_up += self._give_up_sent()
        waiting = [*self._cuts.give_up(begun=False), *self.stalled]
        while self.waiting:  # one by one: any thread may append meanwhile
            waiting.append(self.waiting.popleft())
        for message in waiting:
            self.released(message)
        self.unconfirmed.clear()
        self.stalled.clear()
        self.posted.clear()
        self.awake = False
        return given_up + waiting

    def _give_up_sent(self) -> list[AnyMessage]:
        """Begins anew; returns what was sent, as a whole or in part, and is not acknowledged."""
        ends = self._cuts.ends
        messages: list[AnyMessage] = []
        for number, data in self._unacked:
            if number not in ends:
                frame = decode_any(data)
                assert isinstance(frame, Events | Batch)
                messages += frame.messages
            elif (whole := ends[number]) is not None:
                messages.append(whole)
                self.released(whole)
        for message in self._cuts.give_up(begun=True):
            messages.append(message)
            self.released(message)
        self._begin()
        return messages

    # --- in ----------------------------------------------------------------------------------

    def accept(self, batch: Numbered, size: int) -> bool:
        """Notes a batch or part of ``size`` bytes; True when it is the next in order."""
        self._owed_batches += 1
        self._owed_bytes += size
        if batch.number != self.received + 1:
            return False
        self.received = batch.number
        return True

    def refuse(self) -> None:
        """What came last is not acknowledged, nor what comes after it: its sender keeps it, and
        learns that it was not taken.
        """
        self._refused = self._refused or self.received

    @property
    def acks(self) -> int:
        """The last batch that is acknowledged."""
        return self._refused - 1 if self._refused else self.received

    def acknowledged(self, acked: int, taken: int) -> bool:
        """Notes what the peer received and took; True when that makes room to send more."""
        progress = taken > self._peer_taken or acked > self._acked
        if taken > self._peer_taken:
            self._peer_taken = min(taken, self._event_bytes)
        if acked > self._acked:
            self._acked = acked
            self.failures = 0  # the way there works
            unacked = self._unacked
            while unacked and unacked[0][0] <= acked:
                _, frame = unacked.popleft()
                self._unacked_bytes -= len(frame)
                self.ledger.frames -= len(frame)
            for whole in self._cuts.acknowledged(acked):
                self.released(whole)
        return progress

    def take(self, size: int) -> None:
        """Notes that hooks took ``size`` bytes."""
        self.taken += size

    @property
    def ack_owed(self) -> bool:
        """Something is to be acknowledged or taken and was not told."""
        return self._owed_batches > 0 or self.taken != self._taken_told

    @property
    def ack_urgent(self) -> bool:
        """So much is owed that it should not wait for a batch that goes back."""
        return (
            self._owed_batches >= ACK_BATCHES
            or self._owed_bytes >= (NEAR_ACK_BYTES if self.splits else ACK_BYTES)
            or self.taken - self._taken_told >= self._limits.event_window_bytes // 4
        )

    def ack_frame(self) -> bytes:
        """An acknowledgement by itself."""
        self._owed_batches = self._owed_bytes = 0
        self._taken_told = self.taken
        return encode_frame(Ack(self.acks, self.taken))

    # --- a new link --------------------------------------------------------------------------

    def resume(self, token: int, peer_token: int, received: int) -> bool:
        """Meets the other half, as its hello tells it; False when that is another one.

        A ``token`` other than the one known means that the peer lost its half: what it had not
        acknowledged has an unknown fate, so it is counted as lost, not sent twice.
        """
        same = self.peer_token in (0, token)
        if not same:
            self.lost = self._give_up_sent()
        self.peer_token = token
        self._taken_told = 0  # what we told may have been lost with the link
        if peer_token == self.token:
            self.acknowledged(received, 0)
        return same

    @property
    def unsent_questions(self) -> frozenset[int]:
        """The ids of what waits for an answer and still waits here."""
        unbegun = [cut.message for cut in self._cuts.unbegun]
        return asked_in([*self.stalled, *self.waiting.copy(), *unbegun])


def asked_in(messages: Iterable[AnyMessage]) -> frozenset[int]:
    """The ids of those that wait for an answer."""
    return frozenset([m.id for m in messages if isinstance(m, _ANSWERED)])
