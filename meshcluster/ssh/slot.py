"""``Slot``: the place of one worker process at a server; and ``Place``, all slots of a server."""

from __future__ import annotations

from enum import Enum
from math import inf
from typing import Any

from .server import Server
from .task import Task

HANDSHAKES = 8
"""So many workers of one host are starting at once. OpenSSH's server drops logins at random when
more than 10 have not said who they are (MaxStartups 10:30:100, sshd_config(5)).
"""
REST_SECONDS = 0.5
REST_SECONDS_MAX = 30.0
AGAIN_SECONDS = 1.0
"""Where nothing else is left, what rests is tried again after so long."""
QUICK_MICROS = 5_000
"""Tasks that take less are sent ahead, so that the next begins when one ends."""
AHEAD_MICROS = 4_000
"""So much work is sent ahead: more than the way there and back takes on most networks."""
MAX_WINDOW = 32


class State(Enum):
    """What there is of a slot's worker."""

    COLD = "cold"
    STARTING = "starting"
    READY = "ready"
    ENDING = "ending"


class Rest:
    """How long something is left alone after it failed: twice as long each time."""

    def __init__(self) -> None:
        self.until = -inf
        self.failed_at = -inf
        self._seconds = 0.0

    def begin(self, now: float) -> None:
        """It failed."""
        self._seconds = min(max(REST_SECONDS, 2 * self._seconds), REST_SECONDS_MAX)
        self.until = now + self._seconds
        self.failed_at = now

    def lasts(self, now: float, *, desperate: bool) -> bool:
        """It is still left alone; for less long where nothing else is left."""
        return now < (min(self.until, self.failed_at + AGAIN_SECONDS) if desperate else self.until)

    def over(self) -> None:
        """It works."""
        self._seconds = 0.0
        self.until = -inf


class Place:
    """A server in use."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.slots = [Slot(self) for _ in range(server.slots)]
        self.rest = Rest()
        self.why = ""
        """Why it could not be reached, the last time; "" when it could."""
        self.leaving = False
        """It gets nothing new, and goes when its workers have."""

    @property
    def live(self) -> int:
        """How many of its slots have a worker, or one that comes or goes."""
        return sum(slot.state is not State.COLD for slot in self.slots)

    @property
    def starting(self) -> int:
        """How many of its workers have yet to say hello."""
        return sum(slot.state is State.STARTING for slot in self.slots)

    def reached(self) -> None:
        """It works."""
        self.why = ""
        self.rest.over()

    def missed(self, why: str, now: float) -> None:
        """It could not be reached."""
        self.why = why
        self.rest.begin(now)


class Slot:
    """The place of one worker."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.rest = Rest()
        self._micros = 0.0
        self.cool()

    def cool(self) -> None:
        """There is no worker."""
        self.state = State.COLD
        self.link: Any = None
        """What carries frames there; the engine's."""
        self.in_hand: dict[int, Task] = {}
        """What was sent and has not ended. The first one runs, the others wait there."""
        self.since = 0.0
        """When its worker began with what it does: to start, to run the head, to have nothing."""
        self.greeted = False
        """The worker has said hello."""
        self.pid = 0
        self.pings = False
        """It answers pings while it works."""
        self.heard_at = 0.0
        self.pinged_at = inf
        """When it was asked whether it is still there, if it has said nothing since."""
        self.kill_at = inf
        """When it is ended, if it has not ended its head as it was told to."""
        self.blame = ""
        """Why we end it; "" while we do not."""
        self.excused = False
        """It did nothing wrong, so it need not rest."""

    @property
    def head(self) -> Task | None:
        """The task that runs."""
        return next(iter(self.in_hand.values()), None)

    @property
    def usable(self) -> bool:
        """It may be sent tasks."""
        return self.state is State.READY and not self.place.leaving

    def release(self, number: int, now: float) -> Task | None:
        """It has that task no longer. If it was the head, the next one begins in this moment."""
        first = next(iter(self.in_hand), None)
        if number == first:
            self.since, self.kill_at = now, inf
        return self.in_hand.pop(number, None)

    def took(self, micros: int) -> None:
        """A task has run for so long."""
        if micros:
            self._micros += (micros - self._micros) / 4 if self._micros else micros

    def window(self, fixed: int | None) -> int:
        """How many tasks it may have in hand. Each of a member's is a call of its own."""
        if self.place.server.service is not None:
            return 1
        if fixed is not None:
            return fixed
        if not 0 < self._micros < QUICK_MICROS:
            return 1
        return min(MAX_WINDOW, 1 + int(AHEAD_MICROS / self._micros))
