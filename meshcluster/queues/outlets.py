"""The consumers that a producer has, what each holds, and who gets what.

By mode ``one`` an item goes to one of them: by policy ``ready`` to who has room for it, by
``round_robin`` to each in turn, however long that one takes. By ``all`` it goes to each, by ``key``
to the one that the key's hash and theirs choose (rendezvous hashing: when one comes or goes, only
its keys move; Thaler and Ravishankar, 1998), but a key stays where an item of it is not done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from msgspec import Struct

from ..model import Service
from .letters import ALL, KEY, ONE, READY
from .settings import BATCH_BYTES, MAX_BATCH

HELD_BYTES = 8 * 1024 * 1024
"""A consumer that has so much in hand gets nothing more."""


class Item(Struct, eq=False):
    """One item that is not done."""

    number: int
    data: bytes
    key: str | bytes | None = None
    deliveries: int = 0
    """How often a consumer that had it failed."""
    places: int = 0
    """By ``all``: how many consumers are still to be done with it."""
    whole: Item | None = None
    """By ``all``: what this is one consumer's place of."""
    meant: bytes = b""
    """By ``all``: whose place it is."""


class Outlet:
    """One consumer."""

    def __init__(self, service: Service, credit: int, now: float, first: int) -> None:
        self.service = service
        self.credit = credit
        """How many items it wants to have in hand."""
        self.held: dict[int, Item] = {}
        """What it has in hand, by its numbers."""
        self.held_bytes = 0
        self.backlog: deque[Item] = deque()
        """What is meant for it alone and was not sent yet."""
        self.alone = False
        """It has an item that others failed with, and gets no other beside it."""
        self.following = first
        """The number of the next item."""
        self.heard_at = now

    @property
    def free(self) -> int:
        """How many more it may get."""
        if self.alone or self.held_bytes >= HELD_BYTES:
            return 0
        return self.credit - len(self.held)

    def take(self, items: Sequence[Item]) -> int:
        """Gives it items; returns the number of the first."""
        first = self.following
        self.following += len(items)
        self.held.update(zip(range(first, self.following), items, strict=True))
        self.held_bytes += sum([len(item.data) for item in items])
        return first

    def release(self, number: int) -> Item | None:
        """It has one in hand no more; None: it had not, or not any more."""
        item = self.held.pop(number, None)
        if item is not None:
            self.held_bytes -= len(item.data)
            self.alone = self.alone and bool(self.held)
        return item

    def release_all(self, numbers: Iterable[int]) -> list[Item]:
        """It has some in hand no more; those that it had."""
        pop = self.held.pop
        items = [item for number in numbers if (item := pop(number, None)) is not None]
        self.held_bytes -= sum([len(item.data) for item in items])
        self.alone = self.alone and bool(self.held)
        return items


Dealt = tuple[Outlet, int, list[Item]]
"""Who gets what, and the number of the first."""


class Outlets:
    """All consumers of one queue at one producer, in the order in which they came."""

    def __init__(
        self, mode: str, policy: str, batch_bytes: int = BATCH_BYTES, first: int = 1
    ) -> None:
        self._mode = mode
        self._policy = policy
        self._batch_bytes = batch_bytes
        self._shares = mode == ONE and policy == READY
        self._turn = 0
        self._first = first
        """No number is given twice: what a consumer says of items that were taken from it means no
        other, when it has come again."""
        self._places: dict[str | bytes | None, tuple[bytes, int]] = {}
        """By ``key``: who has items of a key, and how many."""
        self.all: dict[bytes, Outlet] = {}
        self.queued: deque[Item] = deque()
        """What is meant for nobody yet."""
        self.returned: deque[Item] = deque()
        """What a consumer failed with; such an item is given alone, so that it is known what fails
        when the next one does."""

    def add(self, service: Service, credit: int, now: float) -> Outlet:
        """A consumer came."""
        outlet = self.all[service.key] = Outlet(service, credit, now, self._first)
        return outlet

    @property
    def next_number(self) -> int:
        """One that no consumer was given an item with."""
        return max([self._first, *(each.following for each in self.all.values())])

    def reset_turn(self) -> None:
        """The next item by ``round_robin`` goes to the first."""
        self._turn = 0

    def remove(self, key: bytes) -> tuple[list[Item], list[Item]]:
        """A consumer is gone; what it had in hand, and what comes to an end with it. What was meant
        for it is meant for others.
        """
        outlet = self.all.pop(key, None)
        if outlet is None:
            return [], []
        self._first = max(self._first, outlet.following)
        held = list(outlet.held.values())
        if self._mode == ALL:
            gone = [*held, *outlet.backlog, *(each for each in self.returned if each.meant == key)]
            self.returned = deque(each for each in self.returned if each.meant != key)
            return [], gone
        for item in (*held, *outlet.backlog):
            self.left(item)
        self.queued.extendleft(reversed(outlet.backlog))
        return held, []

    def left(self, item: Item) -> None:
        """A consumer that had an item, or was to get it, has not any more."""
        if self._mode == KEY:
            key, count = self._places.pop(item.key)
            if count > 1:
                self._places[item.key] = key, count - 1

    def _place(self, item: Item) -> Outlet:
        """By ``key``: who gets an item."""
        place = self._places.get(item.key)
        return (
            chosen_for(item.key, list(self.all.values())) if place is None else self.all[place[0]]
        )

    def _placed(self, item: Item, outlet: Outlet) -> None:
        if self._mode == KEY:
            _, count = self._places.get(item.key, (b"", 0))
            self._places[item.key] = outlet.service.key, count + 1

    def deal(self) -> list[Dealt]:
        """Who gets what now."""
        dealt: list[Dealt] = []
        outlets = list(self.all.values())
        if not outlets:
            return dealt
        draining = self._deal_returned(outlets, dealt) if self.returned else set()
        if self._shares:
            self._share([each for each in outlets if each not in draining], dealt)
            return dealt
        self._assign(outlets)
        for outlet in outlets:
            while outlet.backlog and outlet not in draining and outlet.free > 0:
                self._give(outlet, outlet.backlog, MAX_BATCH, dealt)
        return dealt

    def _deal_returned(self, outlets: list[Outlet], dealt: list[Dealt]) -> set[Outlet]:
        """Gives them to who has nothing in hand; half of the others get nothing new until then."""
        draining: set[Outlet] = set()
        returned, self.returned = self.returned, deque()
        outlets = sorted(outlets, key=lambda outlet: len(outlet.held))
        outlets = outlets[: (len(outlets) + 1) // 2]
        for item in returned:
            able = [self._place(item)] if self._mode == KEY else outlets
            if self._mode == ALL:
                able = [self.all[item.meant]]
            for outlet in able:
                if not outlet.held:
                    self._placed(item, outlet)
                    outlet.alone = True
                    dealt.append((outlet, outlet.take([item]), [item]))
                    break
            else:
                draining.update(able)
                self.returned.append(item)
        return draining

    def _share(self, outlets: list[Outlet], dealt: list[Dealt]) -> None:
        """What is queued goes to who has room, as evenly as there is room."""
        queued = self.queued
        while queued:
            free = [outlet for outlet in outlets if outlet.free > 0]
            if not free:
                return
            free.sort(key=lambda outlet: len(outlet.held))
            count = min(max(1, len(queued) // len(free)), MAX_BATCH)
            for outlet in free[: len(queued)]:
                self._give(outlet, queued, count, dealt)

    def _give(self, outlet: Outlet, items: deque[Item], count: int, dealt: list[Dealt]) -> None:
        """Gives a consumer the first of some items, as many as it may have."""
        given: list[Item] = []
        count, size = min(count, outlet.free, len(items)), 0
        for _ in range(count):
            size += len(items[0].data)
            if size > self._batch_bytes and given:
                break
            given.append(items.popleft())
        dealt.append((outlet, outlet.take(given), given))

    def _assign(self, outlets: list[Outlet]) -> None:
        """What is queued is meant for somebody now."""
        while self.queued:
            item = self.queued.popleft()
            if self._mode == ALL:
                item.places = len(outlets)
                for key, outlet in self.all.items():
                    outlet.backlog.append(Item(item.number, item.data, whole=item, meant=key))
            elif self._mode == KEY:
                outlet = self._place(item)
                self._placed(item, outlet)
                outlet.backlog.append(item)
            else:
                outlets[self._turn % len(outlets)].backlog.append(item)
                self._turn += 1


def chosen_for(key: str | bytes | None, outlets: list[Outlet]) -> Outlet:
    """The consumer that all producers choose for a key."""
    word = key if isinstance(key, bytes) else str(key).encode(errors="surrogatepass")
    return max(
        outlets, key=lambda outlet: blake2b(word, key=outlet.service.key[:64]).digest()
    )  # fmt: skip
