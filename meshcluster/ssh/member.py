"""``Member``: a member of the mesh as a worker. It runs what it exposes; tasks are calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Any

from ..errors import (
    NoRoute,
    NotExposed,
    NotJoined,
    OutcomeUnknown,
    QueryTimeout,
    ServiceLost,
)
from ..live import Live
from ..rpc.choice import offers_of
from .engine import Engine, settle
from .slot import Slot
from .task import Task

UNBOUNDED_SECONDS = 7 * 86_400.0
"""A call has a deadline; that of a task without one."""
MARGIN_SECONDS = 5.0
"""The pool ends what takes too long; the call's own deadline is a little later."""


class Member:
    """Stands between the pool and one of the calls that a member has of us at once."""

    def __init__(self, slot: Slot, engine: Engine, live: Live) -> None:
        self._slot = slot
        self._engine = engine
        self._live = live
        self._calls: dict[int, Future[Any]] = {}
        self._gone = asyncio.Event()

    async def begin(self) -> None:
        """There is nothing to start."""
        self._engine.act(lambda pool, now: pool.ready(self._slot, now, pings=False))

    def is_moving(self) -> bool:
        """Never: the mesh sends in its own time."""
        return False

    async def gone(self) -> None:
        """Returns when it was stopped."""
        await self._gone.wait()

    def is_reading(self) -> bool:
        """It has no thread of its own."""
        return False

    def send(self, tasks: list[Task]) -> None:
        """Calls it."""
        for task in tasks:
            self._engine.soon(self._call, task)

    def tell(self, what: str, number: int) -> None:
        """A word about a task."""
        if what == "cancel":
            self._engine.soon(self._cancel, number)

    def stop(self, politely: bool) -> None:
        """No more calls; those that are open are given up."""
        self._engine.soon(self._end)

    # --- in the loop's thread -------------------------------------------------------------------

    def _call(self, task: Task) -> None:
        name, args, named = task.work
        timeout = task.terms.timeout
        seconds = UNBOUNDED_SECONDS if timeout is None else timeout + MARGIN_SECONDS
        try:
            service = self._slot.place.server.service
            assert service is not None
            call = self._live.go(service, name, args, named, seconds)
        except Exception as error:
            call = Future()
            call.set_exception(error)
        self._calls[task.number] = call
        # Not in the cluster's thread: users' callbacks are not to hold up what it says of itself.
        call.add_done_callback(partial(self._engine.soon, self._done, task))

    def _cancel(self, number: int) -> None:
        call = self._calls.get(number)
        if call is not None:
            call.cancel()

    def _end(self) -> None:
        for call in list(self._calls.values()):
            call.cancel()
        self._over(lambda pool, now: pool.ended(self._slot, "stopped", "", now))

    def _over(self, change: Callable[[Any, float], None]) -> None:
        """No more of it: the slot may have another one in the next moment."""
        if not self._gone.is_set():
            self._gone.set()
            self._engine.act(change)

    def _done(self, task: Task, call: Future[Any]) -> None:
        self._calls.pop(task.number, None)
        if self._gone.is_set():
            return  # what it had was given to others
        slot, act = self._slot, self._engine.act
        try:
            value = call.result()
        except (CancelledError, QueryTimeout):
            self._answered(lambda pool, now: pool.cancelled(slot, task.number, now))
        except (OutcomeUnknown, ServiceLost) as error:
            lost = str(error)
            self._over(lambda pool, now: pool.ended(slot, lost, "", now))
        except (NoRoute, NotExposed, NotJoined) as error:
            if isinstance(error, NotExposed) and not self._live.exposes(task.work[0]):
                nobody = f"nobody among the servers exposes it; {slot.place.server.name}: "
                self._raised(task, NotExposed(error.name, nobody + self._why(error)))
                return
            missed = self._why(error)
            self._over(lambda pool, now: pool.unreached(slot, missed, now))
        except Exception as error:
            self._raised(task, error)
        else:
            if self._answered(lambda pool, now: pool.answered(slot, task.number, now, 0)) and act(
                lambda pool, now: pool.finish([(task, value)])
            ):
                task.future.set_result(value)

    def _raised(self, task: Task, error: BaseException) -> None:
        slot, act = self._slot, self._engine.act
        if self._answered(lambda pool, now: pool.answered(slot, task.number, now, 0)):
            act(lambda pool, now: pool.raised(task, error, now))

    def _why(self, error: Exception) -> str:
        """Why it was not called. ``NotExposed`` tells of all members: this is one of them."""
        service = self._slot.place.server.service
        if not isinstance(error, NotExposed) or service is None:
            return str(error)
        there = ", ".join(sorted(offers_of(service))[:8])
        return f"it does not expose {error.name}; there {f'are {there}' if there else 'is nothing'}"

    def _answered(self, change: Callable[[Any, float], Any]) -> bool:
        """Whether somebody waits for it; the next is sent before that is told."""
        with self._engine.lock:
            now = time.monotonic()
            pool = self._engine.pool
            waited = change(pool, now) is not None
            pool.refill(self._slot, now)
            settled = self._engine.perform()
        settle(settled)
        return waited
