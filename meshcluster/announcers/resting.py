"""Sockets that rest: more comes by them than is looked at, so the rest of it is left to the system,
which drops it for nothing, and the links of the member get their turn.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

REST_SECONDS, LONGEST_SECONDS = 0.005, 0.1
REST_TIMES = 39
"""After a turn of reading in which some of what came was too much: so many times as long as the
turn took, so that junk has a fortieth of the loop's time by one socket, however slow the machine.
"""


class Resting:
    """Stops to watch sockets for a moment. ``watch`` begins to watch one again."""

    def __init__(self, watch: Callable[[socket.socket], None]) -> None:
        self._watch = watch
        self._timers: dict[socket.socket, asyncio.TimerHandle] = {}

    def begin(self, loop: asyncio.AbstractEventLoop, source: socket.socket, since: float) -> None:
        """Leaves a socket alone for a moment; it was read ``since`` then."""
        now = loop.time()
        rest = min(max(REST_SECONDS, REST_TIMES * (now - since)), LONGEST_SECONDS)
        loop.remove_reader(source)
        self._timers[source] = loop.call_at(now + rest, self._end, source)

    def _end(self, source: socket.socket) -> None:
        del self._timers[source]
        self._watch(source)

    def forget(self, source: socket.socket) -> None:
        """A socket is closed."""
        timer = self._timers.pop(source, None)
        if timer is not None:
            timer.cancel()

    def __contains__(self, source: socket.socket) -> bool:
        return source in self._timers
