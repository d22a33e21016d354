"""A session: all that travels between two runs of two members, in order, above any link.

Each half numbers its batches, keeps what is not acknowledged and takes only the next in order, so
a link may break, be replaced or be dialled twice without a message lost, doubled or overtaken.

Credit: a receiver tells how many bytes of batches its hooks have taken; events (and notes) beyond
the window wait at their sender. Questions, requests and answers pass: they are bounded by who
asks, and holding them back could deadlock two members that query each other from a hook.

``put`` may be called from any thread (a deque's append is atomic). All else belongs to the node.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from math import inf
from typing import TYPE_CHECKING

from ..config import Limits
from ..model import Endpoint
from ..wire.codec import decode_frame, encode_frame
from ..wire.frames import (
    Ack,
    AckedEvent,
    AnyMessage,
    Batch,
    Event,
    Events,
    Note,
    Question,
    Request,
)  # fmt: skip

if TYPE_CHECKING:
    from .dialling import Dial
    from .links import NodeLink
    from .membership import Peer

BATCH_MESSAGES = 256
BATCH_BYTES = 64 * 1024
"""A batch ends at either bound. Larger ones gain nothing and make the first message wait."""

LARGE_BODY_BYTES = 1024
"""Sessions that carried a larger body measure their batches; others only count them."""

ACK_BATCHES = 16
ACK_BYTES = 256 * 1024
"""Acknowledge at once from here; below, the acknowledgement waits for a batch that goes back."""

_EVENT_ONLY = {Event}
_WITH_CREDIT = Event | Note | AckedEvent
_ASKED = Question | Request | AckedEvent


class Session:
    """One half of the traffic with one run of a peer. ``lane`` is "" or the schemes asked for."""

    __slots__ = (
        "_acked",
        "_event_bytes",
        "_limits",
        "_number",
        "_owed_batches",
        "_owed_bytes",
        "_peer_taken",
        "_refused",
        "_taken_told",
        "_unacked",
        "_unacked_bytes",
        "awake",
        "broken",
        "described",
        "dial",
        "dialled_at",
        "endpoint",
        "failures",
        "lane",
        "large",
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
        self._begin()

    def _begin(self) -> None:
        self._number = 0
        self._unacked: deque[tuple[int, bytes]] = deque()
        self._unacked_bytes = 0
        self._acked = 0
        self._event_bytes = 0
        self._peer_taken = 0
        self.received = 0
        self._refused = 0
        self.taken = 0
        self._taken_told = 0
        self._owed_batches = 0
        self._owed_bytes = 0

    @property
    def schemes(self) -> Collection[str]:
        """The schemes this session is restricted to; empty: any."""
        return self.lane.split(",") if self.lane else ()

    # --- out ---------------------------------------------------------------------------------

    def put(self, message: AnyMessage) -> None:
        """Queues a message, from any thread."""
        if len(message.body) > LARGE_BODY_BYTES:
            self.large = True  # before the append: the batch that takes it must measure
        self.waiting.append(message)

    @property
    def backlog(self) -> int:
        """Messages that wait here, from any thread."""
        return len(self.waiting) + len(self.stalled)

    @property
    def idle(self) -> bool:
        """Nothing waits and all that was sent is acknowledged."""
        return not (self.waiting or self.stalled or self._unacked or self.unconfirmed)

    @property
    def wanted(self) -> bool:
        """Whether anything needs its link, beside us, who have one to hear when it breaks."""
        return not self.idle or bool(self.posted)

    def next_frame(self) -> bytes | None:
        """The next batch, numbered and kept until acknowledged; None when nothing may go."""
        if self._unacked_bytes >= self._limits.unacked_bytes:
            return None
        messages = self._collect()
        while messages and not (events_only := set(map(type, messages)) == _EVENT_ONLY):
            if messages := self._leaving(messages):
                break
            messages = self._collect()
        if not messages:
            return None
        self._number += 1
        kind = Events if events_only else Batch
        batch = kind(self._number, self.acks, self.taken, messages)  # type: ignore[arg-type]
        frame = encode_frame(batch)
        self._unacked.append((self._number, frame))
        self._unacked_bytes += len(frame)
        self._event_bytes += len(frame)
        self._owed_batches = self._owed_bytes = 0
        self._taken_told = self.taken
        return frame

    def _leaving(self, messages: list[AnyMessage]) -> list[AnyMessage]:
        """Notes which acknowledged sends leave; takes out what was withdrawn meanwhile."""
        promises, leaving = self.promises, []
        for message in messages:
            if type(message) is AckedEvent:
                if message.id not in promises:
                    continue
                promises[message.id] = True
            leaving.append(message)
        return leaving

    def _collect(self) -> list[AnyMessage]:
        """Takes messages for one batch, in order; events only while the receiver gives credit."""
        if self._event_bytes - self._peer_taken >= self._limits.event_window_bytes:
            return self._collect_exempt()
        if self.stalled:
            return _measured(self.stalled)
        count = min(len(self.waiting), BATCH_MESSAGES)  # before looking at large: see put
        if self.large:
            return _measured(self.waiting)
        pop = self.waiting.popleft
        return [pop() for _ in range(count)]

    def _collect_exempt(self) -> list[AnyMessage]:
        """Without credit: questions and answers pass, events step aside and keep their order."""
        messages: list[AnyMessage] = []
        waiting = self.waiting
        while waiting and len(messages) < BATCH_MESSAGES:
            message = waiting.popleft()
            if isinstance(message, _WITH_CREDIT):
                self.stalled.append(message)
            else:
                messages.append(message)
                if len(message.body) > LARGE_BODY_BYTES:
                    break
        return messages

    def unacked_frames(self) -> list[bytes]:
        """What was sent and not acknowledged, to be sent again on a new link."""
        return [frame for _, frame in self._unacked]

    def rest(self) -> bool:
        """Called when ``next_frame`` gave None; False when something was put meanwhile."""
        if self._unacked_bytes >= self._limits.unacked_bytes:
            return True  # an acknowledgement or a new link brings us back
        self.awake = False
        if not self.waiting:
            return True
        self.awake = True
        return False

    def withdraw_questions(self) -> list[int]:
        """Takes back what waits for an answer and was never sent; returns the ids."""
        ids = []
        for queue in (self.stalled, self.waiting):
            kept = []
            while queue:
                message = queue.popleft()
                if isinstance(message, _ASKED):
                    ids.append(message.id)
                else:
                    kept.append(message)
            queue.extendleft(reversed(kept))
        self.rest()
        return ids

    def discard(self) -> list[AnyMessage]:
        """Gives up all that is not acknowledged; returns it, in the order of sending."""
        given_up = [message for _, message in self.unconfirmed.values()]
        given_up += [*self._unacked_messages(), *self.stalled]
        while self.waiting:  # one by one: any thread may append meanwhile
            given_up.append(self.waiting.popleft())
        self.unconfirmed.clear()
        self.stalled.clear()
        self.posted.clear()
        self.awake = False
        self._begin()
        return given_up

    def _unacked_messages(self) -> list[AnyMessage]:
        messages: list[AnyMessage] = []
        for _, data in self._unacked:
            frame = decode_frame(data)
            assert isinstance(frame, Events | Batch)
            messages += frame.messages
        return messages

    # --- in ----------------------------------------------------------------------------------

    def accept(self, batch: Events | Batch, size: int) -> bool:
        """Notes a batch of ``size`` bytes; True when it is the next in order."""
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
            or self._owed_bytes >= ACK_BYTES
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
            self.lost = self._unacked_messages()
            self._begin()
        self.peer_token = token
        self._taken_told = 0  # what we told may have been lost with the link
        if peer_token == self.token:
            self.acknowledged(received, 0)
        return same

    @property
    def unsent_questions(self) -> frozenset[int]:
        """The ids of what waits for an answer and still waits here."""
        waiting = [*self.stalled, *self.waiting.copy()]
        return frozenset([m.id for m in waiting if isinstance(m, _ASKED)])


def _measured(queue: deque[AnyMessage]) -> list[AnyMessage]:
    messages: list[AnyMessage] = []
    size = 0
    while queue and size < BATCH_BYTES and len(messages) < BATCH_MESSAGES:
        message = queue.popleft()
        messages.append(message)
        size += len(message.body)
    return messages
