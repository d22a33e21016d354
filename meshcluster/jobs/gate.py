"""``Gate``: which lane goes on next where no more than so many pairs may run."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from typing import TypeAlias

from .outcomes import Pair
from .stages import Lane

Entry: TypeAlias = tuple[int, int, Lane]
"""A lane that waits, by the place of its next pair in the plan: the job's position, the lane's
number. So no lane is far ahead of one that has not begun."""


class Gate:
    """Lanes that wait for room, and how much of it there is.

    A lane waits in one place: in ``_ready``, or, when its turn came while its host was full, with
    that host. Of a host with room for n pairs at least n lanes, if it has them, are in ``_ready``.

    Args:
        max_parallel: so many pairs run at a time; None: any number.
        per_host: so many on one host; None: any number.
        host_of: the host of a site; asked once for each.
    """

    def __init__(
        self, max_parallel: int | None, per_host: int | None, host_of: Callable[[str], str]
    ) -> None:
        self._max_parallel = max_parallel
        self._per_host = per_host
        self._host_of = cache(host_of)  # what began on a host has to end there
        self._running = 0
        self._on_host: defaultdict[str, int] = defaultdict(int)
        self._ready: list[Entry] = []
        self._full: defaultdict[str, list[Entry]] = defaultdict(list)

    @property
    def has_room(self) -> bool:
        """One more pair may run, wherever its host has room."""
        return self._max_parallel is None or self._running < self._max_parallel

    def push(self, lane: Lane) -> None:
        """The lane waits for its next pair, if there is one."""
        if lane.next is not None:
            heapq.heappush(self._ready, (lane.next.position, lane.number, lane))

    def front(self) -> tuple[Lane, Pair] | None:
        """The lane that goes next, and the pair that would begin, on a host that has room; None:
        there is none.
        """
        while self._ready:
            lane = self._ready[0][2]
            pair = lane.next
            assert pair is not None  # such a lane does not wait
            if self._per_host is None:
                return lane, pair
            host = self._host_of(pair.site)
            if self._on_host[host] < self._per_host:
                return lane, pair
            heapq.heappush(self._full[host], heapq.heappop(self._ready))
        return None

    def begin(self) -> Pair:
        """The pair in front runs from here on; its lane waits no more."""
        pair = heapq.heappop(self._ready)[2].take()
        self._running += 1
        if self._per_host is not None:
            self._on_host[self._host_of(pair.site)] += 1
        return pair

    def drop(self) -> Pair:
        """The pair in front does not run; its lane waits for the next."""
        lane = heapq.heappop(self._ready)[2]
        pair = lane.take()
        self.push(lane)
        self._wake(pair.site)
        return pair

    def ended(self, pair: Pair) -> None:
        """It runs no more."""
        self._running -= 1
        if self._per_host is not None:
            self._on_host[self._host_of(pair.site)] -= 1
            self._wake(pair.site)

    def clear(self) -> None:
        """Nothing waits any more."""
        self._ready.clear()
        self._full.clear()

    def _wake(self, site: str) -> None:
        """There may be room on the site's host for one more."""
        if self._per_host is not None:
            waiting = self._full[self._host_of(site)]
            if waiting:
                heapq.heappush(self._ready, heapq.heappop(waiting))
