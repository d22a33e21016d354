"""One queue at a member that takes items from it: what is in hand, from whom, and what is done.

Letters are handled in the member's loop; items are taken and acknowledged in the threads of the
user. What these share is only appended to or popped from, which needs no lock.
"""

from __future__ import annotations

import logging
import time
from asyncio import TimerHandle, get_running_loop
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ..errors import DecodeError, QueueMismatch
from ..model import Service
from .letters import ACK, ATTACH, BACK, DETACH, HOLD, RESULTS
from .settings import MAX_BATCH

if TYPE_CHECKING:
    from .producing import Ask
    from .settings import Settings

logger = logging.getLogger("meshcluster.queues")

MOST_CREDIT = 512
MOST_IN_HAND = 1 << 16
"""A producer that gives more than this, which nobody asks for, is refused."""

IN_HAND_SECONDS = 0.02
"""Where no ``prefetch`` is asked for, so much work is kept in hand: one item where each takes
longer, hundreds where they take microseconds."""

RETURN_SECONDS = 10.0
"""A producer that was lost without closing is waited for so long."""

LEAST_LEASE, MOST_LEASE = 0.1, 1e6

ACK_SHARE = 4
"""Acknowledgements leave when there are so many: the part of the credit that is one in so many."""


class Source:
    """One producer, as a consumer sees it."""

    def __init__(self, service: Service, credit: int) -> None:
        self.service = service
        self.credit = credit
        self.lease = 0.0
        """Seconds; 0: it has not answered yet, and would take nothing that we say for ours."""
        self.done: deque[tuple[int, bytes | None]] = deque()
        """What is not acknowledged yet, and what came of each."""
        self.began = time.monotonic()
        """Since when it works on what is not acknowledged."""
        self.rests = True
        """Somebody waits for items."""
        self.ended = False
        """It has closed, or was lost for too long."""
        self.lost_at: float | None = None
        self.in_hand: set[int] = set()
        """What came and is neither done nor given back."""
        self.run: object = None
        """Which of its queues of this name, one after the other, we take from."""
        self.asked = False
        """It is asked whether we may take from it, and has not answered."""

    @property
    def lives(self) -> bool:
        """There may be more of it."""
        return not self.ended and self.lost_at is None


class Delivery(Struct, eq=False):
    """One item that a consumer has in hand."""

    source: Source
    number: int
    data: bytes
    deliveries: int
    settled: bool = False


class Consuming:
    """The items of one queue that this member has in hand."""

    def __init__(
        self, name: str, settings: Settings, ask: Ask,
        arrived: Callable[[Sequence[Delivery]], None], changed: Callable[[], None],
    ) -> None:  # fmt: skip
        self.name = name
        self.settings = settings
        self.sources: dict[bytes, Source] = {}
        self.lost_producers: list[Service] = []
        self.failure: Exception | None = None
        self.closed = False
        self._ask = ask
        self._arrived = arrived
        self._changed = changed
        self._timer: TimerHandle | None = None

    # --- producers, in the loop ----------------------------------------------------------------

    def found(self, service: Service, *, ended: bool = False) -> None:
        """A member puts items into this queue, or did so until it ``ended``, as was last heard:
        one that we do not know is asked.
        """
        source = self.sources.get(service.key)
        if self.closed or (source is not None and (ended or source.lives)):
            return
        source = self.sources[service.key] = Source(service, self.settings.prefetch or 1)
        self._attach(source)

    def _attach(self, source: Source) -> None:
        """Asks whether we may take from it: once, for who asks again gives up what it had."""
        if source.asked:
            return
        source.asked = True
        settings = self.settings
        words = [ATTACH, self.name, settings.mode, settings.kind_text, source.credit]
        self._ask(source.service, words, lambda value, error: self._attached(source, value, error))

    def _attached(self, source: Source, value: Any, error: Exception | None) -> None:
        source.asked = False
        if self.sources.get(source.service.key) is not source:
            return
        if error is not None:
            self.lost(source.service)
        elif source.ended or self.closed:  # too late: nobody would take what it gives
            self._ask(source.service, [DETACH, self.name], _nothing)
        elif type(value) is list and len(value) == 4 and value[0] is True:
            source.run, source.ended = value[2], value[3] is True
            known = type(value[1]) in (int, float) and 0 < value[1] < MOST_LEASE
            source.lease = max(float(value[1]), LEAST_LEASE) if known else LEAST_LEASE
            source.lost_at = None
            self._look_later()
        elif self.sources.get(source.service.key) is source:
            del self.sources[source.service.key]
            if value is not False:  # that is: it has closed it meanwhile
                text = value[1] if type(value) is list and len(value) == 2 else "no answer"
                self.failure = QueueMismatch(self.name, source.service, f"{text!s:.500}")
                logger.warning("%s", self.failure)
        self._changed()

    def lost(self, service: Service) -> None:
        """A producer is gone; it may come back."""
        source = self.sources.get(service.key)
        if source is None or source.ended or source.lost_at is not None:
            return
        source.lost_at = time.monotonic()
        self._look_later()
        self._changed()

    def end(self, service: Service, run: int) -> None:
        """A producer has closed, and all that it put is done. (It may have opened it again.)"""
        source = self.sources.get(service.key)
        if source is not None and source.run == run:
            source.ended = True
            self._changed()

    @property
    def over(self) -> bool:
        """No producer has anything more, or will."""
        if self.closed:
            return True
        sources = tuple(self.sources.values())
        if not sources:
            return self.failure is not None
        return all(each.ended for each in sources)

    # --- items -----------------------------------------------------------------------------------

    def items(self, service: Service, first: int, deliveries: int, data: Sequence[bytes]) -> bool:
        """Items came. False: we do not take from there."""
        source = self.sources.get(service.key)
        if source is None or source.ended or self.closed:
            return False
        if len(source.in_hand) + len(data) > MOST_IN_HAND:
            raise DecodeError("more items than were asked for")
        if source.rests:
            source.rests = False
            source.began = time.monotonic()  # waiting for items is no work on them
        source.in_hand.update(range(first, first + len(data)))
        self._arrived([
            Delivery(source, number, each, deliveries) for number, each in enumerate(data, first)
        ])  # fmt: skip
        return True

    def done(self, delivery: Delivery, result: bytes | None, *, more: bool) -> None:
        """An item is done (any thread). ``more``: another is in hand already."""
        if delivery.settled:
            return
        delivery.settled = True
        source = delivery.source
        source.in_hand.discard(delivery.number)
        source.done.append((delivery.number, result))
        source.rests = not more
        if not more or len(source.done) * ACK_SHARE >= source.credit:
            self.flush(source)

    def flush(self, source: Source) -> None:
        """Acknowledges what is done (any thread)."""
        while source.done:
            self._flush_some(source)

    def _flush_some(self, source: Source) -> None:
        done, size, word = source.done, 0, ACK
        numbers: list[int] = []
        results: list[bytes | None] = []
        while done and len(numbers) < MAX_BATCH:
            try:
                number, result = done.popleft()
            except IndexError:  # another thread was faster
                break
            if result is not None:
                size += len(result)
                if numbers and size > self.settings.batch_bytes:
                    done.appendleft((number, result))
                    break
                word = RESULTS
            numbers.append(number)
            results.append(result)
        if not numbers:
            return
        self._adapt(source, len(numbers))
        told = [numbers, results] if word == RESULTS else numbers
        self._tell(source, [word, self.name, source.credit, *told])

    def want(self, count: int) -> None:
        """So many wait for items, and nothing is there (any thread): acknowledges all that is done,
        and wants more in hand than is being worked on.
        """
        for source in tuple(self.sources.values()):
            self.flush(source)
            source.rests = True
            needed = len(source.in_hand) + count
            if self.settings.prefetch is None and needed > source.credit:
                source.credit = needed
                self._tell(source, [ACK, self.name, needed])

    def flush_all(self) -> None:
        """Acknowledges all that is done (any thread)."""
        for source in tuple(self.sources.values()):
            self.flush(source)

    def back(self, deliveries: Sequence[Delivery], *, failed: bool) -> None:
        """Gives items back (any thread)."""
        by_source: dict[Source, list[int]] = {}
        for delivery in deliveries:
            if not delivery.settled:
                delivery.settled = True
                delivery.source.in_hand.discard(delivery.number)
                by_source.setdefault(delivery.source, []).append(delivery.number)
        for source, numbers in by_source.items():
            self._tell(source, [BACK, self.name, failed, *numbers])

    def _adapt(self, source: Source, count: int) -> None:
        """Wants about as many in hand as are done in ``IN_HAND_SECONDS``."""
        if self.settings.prefetch is not None:
            return
        now = time.monotonic()
        each = (now - source.began) / count
        source.began = now
        wanted = int(IN_HAND_SECONDS / each) if each > 0 else MOST_CREDIT
        least = len(source.in_hand) + 1  # several may be at work
        source.credit = max(least, min(wanted, source.credit * 2, MOST_CREDIT))

    def _tell(self, source: Source, words: list[Any]) -> None:
        if source.lives:
            self._ask(
                source.service, words, lambda value, error: self._told(source, value, error)
            )  # fmt: skip

    def _told(self, source: Source, value: Any, error: Exception | None) -> None:
        key = source.service.key
        if self.closed or source.ended or self.sources.get(key) is not source:
            return
        if error is not None:
            self.lost(source.service)
            self._attach(source)  # one that lives had lost us
        elif value is False and source.lease:
            # It gave us up: what we have of it others get. We come again, with nothing in hand.
            self.sources[key] = Source(source.service, self.settings.prefetch or 1)
            self._attach(self.sources[key])

    def is_ours(self, delivery: Delivery) -> bool:
        """Whether its producer still takes it for ours to do (any thread)."""
        source = delivery.source
        return self.sources.get(source.service.key) is source

    # --- time ------------------------------------------------------------------------------------

    def _look_later(self) -> None:
        if self._timer is None and not self.closed:
            leases = [each.lease for each in self.sources.values() if each.lease]
            seconds = min([*leases, RETURN_SECONDS]) / 3
            for each in self.sources.values():
                if each.lost_at is not None and not each.ended:
                    left = each.lost_at + RETURN_SECONDS - time.monotonic()
                    seconds = max(0.0, min(seconds, left))
            self._timer = get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        """Says that we are here, and notices who does not come back. Also with nothing in hand:
        who was taken for lost meanwhile hears of that in no other way, and would get nothing more.
        """
        self._timer = None
        now = time.monotonic()
        for source in tuple(self.sources.values()):
            if source.lost_at is not None and not source.ended:
                self._attach(source)
            elif source.lease:
                self._tell(source, [HOLD, self.name])
            gone = source.lost_at is not None and now - source.lost_at >= RETURN_SECONDS
            if gone and not source.ended:
                source.ended = True
                self.lost_producers.append(source.service)
                logger.warning(
                    "queue %s: %s was lost before it closed; what it had is lost with it",
                    self.name, source.service.name,
                )  # fmt: skip
                self._changed()
        if any(not source.ended for source in self.sources.values()):
            self._look_later()

    def stop(self) -> None:
        """Nobody can be told anything any more."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """Takes no more; what is in hand goes back."""
        if self.closed:
            return
        self.flush_all()
        self.stop()
        for source in self.sources.values():
            if source.lives:
                self._ask(source.service, [DETACH, self.name], _nothing)
        self._changed()


def _nothing(value: Any, error: Exception | None) -> None:
    pass
