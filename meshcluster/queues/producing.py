"""One queue at a member that puts items into it: holds each until it is done.

Everything here runs in the member's loop, but ``put``, which only appends.
"""

from __future__ import annotations

import itertools
import logging
import time
from asyncio import TimerHandle, get_running_loop
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import DeadLetter, DecodeError, Undelivered
from ..model import Service
from .letters import END, ITEMS, KEY, ONE
from .outlets import Item, Outlet, Outlets

if TYPE_CHECKING:
    from .settings import Settings

logger = logging.getLogger("meshcluster.queues")

Tell = Callable[[Any, Exception | None], None]
"""Takes what came of an item, in the loop."""

Ask = Callable[[Service, list[Any], Callable[[Any, Exception | None], None]], None]
"""Sends a letter to the mailbox of the same name, and hears what comes of that."""

LOOKS_A_LEASE = 4
REFUSED = 64
DEAD_LETTERS = 10_000


class Producing:
    """The items of one queue that this member holds."""

    def __init__(
        self, name: str, settings: Settings, ask: Ask, soon: Callable[[Callable[[], None]], None],
        changed: Callable[[], None], offer: Callable[[], None], first: int = 1,
    ) -> None:  # fmt: skip
        self.name = name
        self.run = first
        """Another number than that of the same queue before it was opened again."""
        self.settings = settings
        self.outlets = Outlets(settings.mode, settings.policy, settings.batch_bytes, first)
        self.closed = False
        self.dead: deque[Item] = deque(maxlen=DEAD_LETTERS)
        """What nobody managed: the last dead letters."""
        self.lost = 0
        """Delivered at most once, and nobody said that it was done."""
        self.duplicates = 0
        """Acknowledged again, after it was given to another."""
        self.refused: deque[tuple[Service, str]] = deque(maxlen=REFUSED)
        """The last consumers that mean another queue, and why."""
        self.settled = 0
        self._pumped = 0
        self._plain = settings.mode == ONE
        """An item has one place, and no key."""
        self._numbers = itertools.count(1)
        self._ask = ask
        self._soon = soon
        self._changed = changed
        self._offer = offer
        """Tells all members what we put into, anew."""
        self._put: deque[Item] = deque()
        self._told: dict[int, Tell] = {}
        self._awake = False
        self._ended = False
        self._timer: TimerHandle | None = None

    # --- what is put ---------------------------------------------------------------------------

    def put(self, data: bytes, key: Any = None, tell: Tell | None = None) -> int:
        """Takes an item (any thread); returns its number."""
        number = next(self._numbers)
        if tell is not None:
            self._told[number] = tell
        self._put.append(Item(number, data, key))
        if not self._awake:
            self._awake = True
            self._soon(self.pump)
        return number

    @property
    def open(self) -> int:
        """How many items are not done."""
        settled, waiting = self.settled, len(self._put)  # in an order that never says too few
        return self._pumped + waiting - settled

    @property
    def drained(self) -> bool:
        """All that was put is done, or was given up."""
        return self.open <= 0

    # --- consumers -----------------------------------------------------------------------------

    def attach(self, service: Service, credit: int) -> None:
        """A consumer came, or came again."""
        if self._ended:
            return
        if service.key in self.outlets.all:
            self._gone(service.key, failed=True)  # it had lost us; what it has may be done
        self.outlets.add(service, credit, time.monotonic())
        self._changed()
        self.pump()

    def detach(self, service: Service) -> None:
        """A consumer takes no more; what it has not done goes to others."""
        self._gone(service.key, failed=False)
        self.pump()

    def consumer_lost(self, service: Service) -> None:
        """A consumer is gone."""
        if service.key in self.outlets.all:
            self._gone(service.key, failed=True)
            self.pump()

    def _gone(self, key: bytes, *, failed: bool) -> None:
        held, gone = self.outlets.remove(key)
        for item in gone:
            self._settle(item, None, None)
        self._return(held, failed=failed)
        self._changed()

    def _return(self, items: Sequence[Item], *, failed: bool) -> None:
        """Takes back what a consumer has not done."""
        if self.settings.at_most_once:
            self.lost += len(items)
            for item in items:
                self._settle(item, None, Undelivered(self.name, self._values([item])))
            return
        untouched = []
        for item in items:
            if not failed and item.deliveries == 0:
                untouched.append(item)
                continue
            item.deliveries += failed
            if item.deliveries >= self.settings.max_deliveries:
                self._bury(item)
            else:
                self.outlets.returned.append(item)
        self.outlets.queued.extendleft(reversed(untouched))

    def _bury(self, item: Item) -> None:
        logger.warning(
            "queue %s: %d consumers failed with an item; it is among the dead letters",
            self.name, item.deliveries,
        )  # fmt: skip
        whole = item.whole or item
        if whole not in self.dead:  # by ``all`` each consumer may fail with it
            self.dead.append(whole)
        (value,) = self._values([item])
        self._settle(item, None, DeadLetter(self.name, value, item.deliveries))

    def refuse(self, service: Service, why: str) -> None:
        """A consumer means another queue. One that asks again before it has heard is told once."""
        if (service, why) in self.refused:
            return
        logger.warning("queue %s: %s is refused: %s", self.name, service.name, why)
        self.refused.append((service, why))
        self._changed()

    # --- what comes of them ----------------------------------------------------------------------

    def acknowledged(
        self, service: Service, credit: int, numbers: Sequence[int], results: Sequence[Any] = ()
    ) -> bool:
        """A consumer is done with some, and wants so many in hand. False: it is none of ours."""
        outlet = self.outlets.all.get(service.key)
        if outlet is None:
            self.duplicates += len(numbers)
            return False
        outlet.heard_at = time.monotonic()
        outlet.credit = credit
        keyed = self.settings.mode == KEY
        if self._plain and not self._told:
            done = len(outlet.release_all(numbers))
            self.settled += done
            self.duplicates += len(numbers) - done
            numbers = ()
        for index, number in enumerate(numbers):
            item = outlet.release(number)
            if item is None:
                self.duplicates += 1
            else:
                if keyed:
                    self.outlets.left(item)
                self._settle(item, results[index] if results else None, None)
        self.pump()
        return True

    def back(self, service: Service, numbers: Sequence[int], *, failed: bool) -> None:
        """A consumer gives some back."""
        outlet = self.outlets.all.get(service.key)
        if outlet is None:
            return
        outlet.heard_at = time.monotonic()
        items = outlet.release_all(numbers)
        for item in items:
            self.outlets.left(item)
        self._return(items, failed=failed)
        self.pump()

    def held_on(self, service: Service) -> bool:
        """A consumer is still at work. False: it is none of ours."""
        outlet = self.outlets.all.get(service.key)
        if outlet is not None:
            outlet.heard_at = time.monotonic()
        return outlet is not None

    def _settle(self, item: Item, value: Any, error: Exception | None) -> None:
        """A consumer is done with an item, or nobody will be."""
        if item.whole is None:
            self.settled += 1
        else:
            item = item.whole
            item.places -= 1
            if item.places and error is None:
                return
            self.settled += not item.places
        if self._told:
            tell = self._told.pop(item.number, None)
            if tell is not None:
                tell(value, error)

    # --- giving ----------------------------------------------------------------------------------

    def pump(self) -> None:
        """Gives what there is to who has room."""
        self._awake = False
        put, queued = self._put, self.outlets.queued
        count = len(put)
        self._pumped += count
        for _ in range(count):
            queued.append(put.popleft())
        dealt = self.outlets.deal()
        for each in dealt:
            self._give(*each)
        if dealt and self._timer is None and not self.settings.at_most_once:
            self._look_later()
        self._changed()
        if self._ended and count:  # put by a thread while another one closed
            self.give_up()
        elif self.closed and self.drained:
            self._end()

    def _give(self, outlet: Outlet, first: int, items: list[Item]) -> None:
        deliveries, service = items[0].deliveries, outlet.service
        if len(outlet.held) == len(items):  # it had nothing that it could have told us of
            outlet.heard_at = time.monotonic()

        def told(value: Any, error: Exception | None) -> None:
            if self.outlets.all.get(service.key) is not outlet:
                return
            if error is not None:
                self.consumer_lost(service)
            elif value is not True:
                self.detach(service)

        self._ask(
            service, [ITEMS, self.name, first, deliveries, *[item.data for item in items]], told
        )

    def _look_later(self) -> None:
        seconds = self.settings.lease / LOOKS_A_LEASE
        self._timer = get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        """Takes back what is in the hands of who has said nothing for too long."""
        self._timer = None
        before = time.monotonic() - self.settings.lease
        busy = False
        for key, outlet in tuple(self.outlets.all.items()):
            if outlet.held and outlet.heard_at < before:
                logger.warning(
                    "queue %s: %s has said nothing for %g s; what it has goes to others",
                    self.name, outlet.service.name, self.settings.lease,
                )  # fmt: skip
                self._gone(key, failed=True)
                busy = True
            busy = busy or bool(outlet.held)
        if busy:
            self._look_later()
            self.pump()

    # --- the end

    def close(self) -> None:
        """Nothing more is put."""
        self.closed = True
        self.pump()

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._ended:
            return
        self._ended = True
        self._offer()  # before: who hears the end looks whether it was opened again
        for outlet in self.outlets.all.values():
            self._ask(outlet.service, [END, self.name, self.run], _nothing)
        self._changed()

    @property
    def ended(self) -> bool:
        """Closed, and all consumers were told that it is done."""
        return self._ended

    def undone(self) -> list[Any]:
        """The values of all that is not done, oldest first."""
        items = self._undone()
        return self._values([items[number] for number in sorted(items)])

    def _values(self, items: Sequence[Item]) -> list[Any]:
        """What was put; its bytes where our codecs can only encode."""
        values: list[Any] = []
        for item in items:
            try:
                values.append(self.settings.load(item.data))
            except DecodeError:
                values.append(item.data)
        return values

    @property
    def dead_letters(self) -> list[Any]:
        """The values of the dead letters (any thread)."""
        return self._values(tuple(self.dead))

    def _undone(self) -> dict[int, Item]:
        outlets = self.outlets
        held = [
            item for each in outlets.all.values() for item in (*each.held.values(), *each.backlog)
        ]
        return {
            item.number: item for item in (*outlets.queued, *outlets.returned, *held, *self._put)
        }

    def abandon(self) -> None:
        """The cluster was left: nobody can be told anything."""
        self._ended = True
        if not self.drained:
            logger.warning("queue %s: left with %d items that are not done", self.name, self.open)
        self.give_up()

    def give_up(self) -> None:
        """What is not done never will be."""
        items = self._undone() if self._told else {}
        for number in sorted(self._told):  # of one that is just put there is no item yet
            values = self._values([items[number]]) if number in items else []
            self._told.pop(number)(None, Undelivered(self.name, values))
        outlets = self.outlets
        outlets.queued.clear()
        outlets.returned.clear()
        self._put.clear()
        for outlet in outlets.all.values():
            outlet.held.clear()
            outlet.backlog.clear()
        self.settled = self._pumped
        self.closed = True
        self._end()


def _nothing(value: Any, error: Exception | None) -> None:
    pass
