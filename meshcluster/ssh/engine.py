"""``Engine``: performs what the pool wants; its thread starts workers, and sees to the time."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from math import inf
from typing import Any, Protocol, TypeVar

from ..errors import ClusterError, DispatchError
from .effects import Send, Settle, Start, Stop, Tell
from .pool import Pool
from .slot import Slot, State
from .task import Task

TICK_SECONDS = 0.05
"""How often time is looked at while something is under way."""
T = TypeVar("T")
_LOG = logging.getLogger("meshcluster.ssh")


class Link(Protocol):
    """The way to one worker. All but ``begin`` is called under the lock, by any thread."""

    async def begin(self) -> None:
        """Starts it; what it says and its end are told to the pool."""

    def send(self, tasks: list[Task]) -> None:
        """Has it run these, after those that it has."""

    def tell(self, what: str, number: int) -> None:
        """ "cancel" or "recall" a task, or "ping"."""

    def stop(self, politely: bool) -> None:
        """Has it end. Must come to an end itself."""

    def is_moving(self) -> bool:
        """Whether it is being sent more than goes at once, and takes it."""

    async def gone(self) -> None:
        """Returns when nothing of it is left."""

    def is_reading(self) -> bool:
        """Whether this is a thread of its own that hears it."""


class Engine:
    """Owns the pool, and the lock that all calls of it are made under."""

    def __init__(self, pool: Pool, make_link: Callable[[Slot, Engine], Link]) -> None:
        self.pool = pool
        self.lock = threading.RLock()
        self._make_link = make_link
        self._owner = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ticking = False
        self._alarm: asyncio.TimerHandle | None = None
        """The next tick, where there is none before something is due."""
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Of the thread; it is started when it is first needed."""
        if self._loop is None:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(
                target=self._run, args=(loop,), name="meshcluster-dispatcher", daemon=True
            )
            thread.start()  # this may fail, at the end of the interpreter
            self._loop, self._thread = loop, thread
        return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    def is_inside(self) -> bool:
        """Whether this is its thread, or one that hears a worker: it must not wait for itself."""
        if threading.current_thread() is self._thread:
            return True
        return any(link.is_reading() for link in tuple(self._links))

    @property
    def inherited(self) -> bool:
        """This is a forked child: the thread, and whoever has the lock, are the parent's."""
        return os.getpid() != self._owner

    def _check_own(self) -> None:
        if self.inherited:
            raise DispatchError("made before os.fork(): make a new Dispatcher in the child")

    def act(self, change: Callable[[Pool, float], T]) -> T:
        """Changes the pool, and performs what follows. From any thread.

        Where this thread is changing it already, a little later, and None is returned: garbage is
        collected in the middle of anything, and what goes may cancel tasks, as a map does.

        Raises:
            DispatchError: in a forked child.
        """
        self._check_own()
        if self.lock._is_owned():  # type: ignore[attr-defined]
            self.soon(self.act, change)
            return None  # type: ignore[return-value]
        try:
            with self.lock:
                result = change(self.pool, time.monotonic())
                settled = self.perform()
                self._tick_soon()
            settle(settled)
        except KeyboardInterrupt:
            self._interrupted()
            raise
        return result

    def submit(self, task: Task) -> bool:
        """``act`` for the commonest case. False: nothing is taken any more."""
        self._check_own()
        if self.lock._is_owned():  # type: ignore[attr-defined]
            self.soon(self.submit, task)
            return True
        try:
            with self.lock:
                pool = self.pool
                if pool.closed:
                    return False
                pool.submit(task, time.monotonic())
                if pool.effects:
                    self.perform()  # none is told of an end by that
                if not self._ticking:
                    self._tick_soon()
        except BaseException:
            self._interrupted()
            raise
        return True

    def _interrupted(self) -> None:
        """Ctrl-C came in the middle of a change: this cannot go on, and must not hang for ever."""
        why = "it was interrupted (Ctrl-C) in the middle of a change: make a new Dispatcher"
        self.soon(self.act, lambda pool, now: pool.abort(why))

    def perform(self) -> list[Settle]:
        """Does what the pool wants, under the lock; what futures are to be told is returned, for
        after it: they run users' code.
        """
        effects, settled = self.pool.effects, list[Settle]()
        if len(effects) == 1 and isinstance(only := effects[0], Send):  # the commonest case
            effects.clear()
            only.slot.link.send([only.task])
            return settled
        at = 0
        while at < len(effects):
            effect = effects[at]
            at += 1
            if isinstance(effect, Send):
                tasks = [effect.task]
                while at < len(effects):  # what follows goes in the same breath
                    other = effects[at]
                    if not (isinstance(other, Send) and other.slot is effect.slot):
                        break
                    tasks.append(other.task)
                    at += 1
                effect.slot.link.send(tasks)
            elif isinstance(effect, Settle):
                settled.append(effect)
            elif isinstance(effect, Tell):
                effect.slot.link.tell(effect.what, effect.number)
            elif isinstance(effect, Start):
                self._begin(effect.slot)
            elif isinstance(effect, Stop):
                effect.slot.link.stop(effect.politely)
        effects.clear()
        return settled

    def _begin(self, slot: Slot) -> None:
        link = slot.link = self._make_link(slot, self)
        self._links.add(link)
        self.spawn(self._live(link))

    async def _live(self, link: Link) -> None:
        try:
            await link.begin()
            await link.gone()
        finally:
            self._links.discard(link)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs a coroutine in the loop; from any thread."""

        def begin() -> None:
            task = self.loop.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._ended)

        self.soon(begin)

    def soon(self, function: Callable[..., object], *args: Any) -> None:
        """Calls it in the loop's thread; not at all when that has ended."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(function, *args)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _LOG.error("a worker's end failed", exc_info=task.exception())

    # --- time ---------------------------------------------------------------------------------

    def _tick_soon(self) -> None:
        if self._ticking or (self._loop is None and not self.pool.busy):
            return
        if self.pool.busy or self.pool.closed or self.pool.due() < inf:
            self._ticking = True
            self.soon(self._tick)

    def _tick(self) -> None:
        with self.lock:
            now = time.monotonic()
            for slot in self.pool.slots:
                if slot.in_hand and slot.link.is_moving():
                    self.pool.heard(slot, now)
            self.pool.tick(now)
            settled = self.perform()
            if self._alarm is not None:
                self._alarm.cancel()
                self._alarm = None
            self._ticking = self.pool.busy or self.pool.closed
            if self._over:
                self.loop.stop()
            elif self._ticking:
                self.loop.call_later(TICK_SECONDS, self._tick)
            elif self.pool.due() < inf:
                seconds = max(TICK_SECONDS, self.pool.due() - now)
                self._alarm = self.loop.call_later(seconds, self._wake)
        settle(settled)

    def _wake(self) -> None:
        with self.lock:
            self._tick_soon()

    # --- the end ------------------------------------------------------------------------------

    def join(self, timeout: float | None = None) -> bool:
        """Waits, once the pool is closed, until no worker and no process is left. False: that takes
        longer.

        Raises:
            ClusterError: this is the thread itself.
        """
        if self.is_inside():
            raise ClusterError("a future's callback must not wait for the dispatcher to close")
        with self.lock:
            thread = self._thread
        if thread is None:
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def abandon(self) -> None:
        """Ends everything soon. Waits for nothing, not for the lock either: garbage is collected in
        the middle of anything, also where this thread has it.
        """
        if self._loop is None:
            self.pool.closed = True
        else:
            self.soon(self.act, lambda pool, now: pool.close(drain=False))

    @property
    def _over(self) -> bool:
        """The pool is closed, and nothing is left of any worker."""
        if not self.pool.closed or self.pool.busy or self._links or self._tasks:
            return False
        return all(slot.state is State.COLD for slot in self.pool.slots)


def settle(settled: Iterable[Settle]) -> None:
    """Tells futures of their ends."""
    for effect in settled:
        effect.task.future.settle(effect.error)
