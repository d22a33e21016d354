"""``AsyncMapping`` and ``Mapping``: one function called for many items, so many at a time."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Sized
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from ..errors import ConfigError
from ..waits import take
from .call import AsyncCall

IN_FLIGHT = 64
AHEAD = 16
"""Of results in order, so many times what is in flight may wait for an earlier one."""

Progress = Callable[[int, int | None], object]
"""Told how many items are done, of how many (None: not known)."""


class Window:
    """The calls that are under way, and those that have ended and were not given out."""

    def __init__(
        self, start: Callable[[Any], Any], items: Iterable[Any], in_flight: int, *,
        ordered: bool, progress: Progress | None,
    ) -> None:  # fmt: skip
        if type(in_flight) is not int or in_flight < 1:
            raise ConfigError(f"in_flight={in_flight!r}: a number of 1 or more")
        self._start = start
        self._total = len(items) if isinstance(items, Sized) else None
        self._items = iter(items)
        self._in_flight = in_flight
        self._ordered = ordered
        self._progress = progress
        self._calls: deque[Any] = deque()
        """In order: all that were begun and not given out."""
        self._ended: deque[Any] = deque()
        self._open = 0
        self._done = 0

    def fill(self, told: Callable[[Any], object]) -> None:
        """Begins as many calls as may be under way; ``told`` hears of the end of each."""
        while self._open < self._in_flight and len(self._calls) < AHEAD * self._in_flight:
            try:
                item = next(self._items)
            except StopIteration:
                return
            call = self._start(item)
            self._open += 1
            self._calls.append(call)
            call.add_done_callback(told)

    def end(self, call: Any) -> None:
        """One has ended."""
        self._open -= 1
        self._done += 1
        self._ended.append(call)
        if self._progress is not None:
            self._progress(self._done, self._total)

    def ready(self) -> Iterator[Any]:
        """The calls whose results are given out next."""
        if self._ordered:
            self._ended.clear()
            while self._calls and self._calls[0].done():
                yield self._calls.popleft()
        else:
            while self._ended:
                call = self._ended.popleft()
                self._calls.remove(call)
                yield call

    @property
    def over(self) -> bool:
        """Nothing is under way, and of all that ended was told."""
        return not self._calls and not self._open

    def cancel(self) -> None:
        """Gives up the rest."""
        for call in self._calls:
            call.cancel()
        self._calls.clear()


class AsyncMapping:
    """``async for result in cluster.map(...)``, or ``await`` it for a list. Once."""

    def __init__(self, window: Window) -> None:
        self._window = window

    async def __aiter__(self) -> AsyncIterator[Any]:
        window, changed = self._window, asyncio.Event()
        ended: deque[AsyncCall] = deque()

        def told(call: AsyncCall) -> None:
            if not call.cancelled():
                call.exception()  # seen: the first is raised, the others are not complained of
            ended.append(call)
            changed.set()

        try:
            while True:
                window.fill(told)
                for call in window.ready():
                    yield call.result()
                    window.fill(told)
                if window.over:
                    return
                await changed.wait()
                changed.clear()
                while ended:
                    window.end(ended.popleft())
        finally:
            window.cancel()

    def __await__(self) -> Generator[Any, None, list[Any]]:
        return self._gathered().__await__()

    async def _gathered(self) -> list[Any]:
        return [result async for result in self]


class Mapping:
    """The results of ``map(...)``: an iterator. ``close()`` gives up the rest."""

    def __init__(
        self, window: Window, check_outside: Callable[[], None], timeout: float | None = None
    ) -> None:
        check_outside()
        self._ended: SimpleQueue[Any] = SimpleQueue()
        self._window = window
        deadline = None if timeout is None else time.monotonic() + timeout
        following = partial(_following, self._ended, deadline, check_outside)
        self._results = self._run(window, self._ended, following)

    def begun(self) -> Mapping:
        """Itself, with the first calls under way before anybody asks for a result."""
        try:
            self._window.fill(self._ended.put)
        except BaseException:
            self._window.cancel()
            raise
        return self

    @staticmethod  # it must not hold us: when we go it ends, and gives up the rest
    def _run(
        window: Window, ended: SimpleQueue[Any], following: Callable[[], Any]
    ) -> Iterator[Any]:
        try:
            while True:
                window.fill(ended.put)
                for call in window.ready():
                    yield call.result()
                    window.fill(ended.put)
                if window.over:
                    return
                window.end(following())
                while not ended.empty():
                    window.end(ended.get())
        finally:
            window.cancel()

    def __iter__(self) -> Iterator[Any]:
        return self._results

    def __next__(self) -> Any:
        return next(self._results)

    def close(self) -> None:
        """Gives up the rest."""
        self._results.close()  # type: ignore[attr-defined]
        self._window.cancel()  # which it does itself unless it has not begun


def _following(
    ended: SimpleQueue[Any], deadline: float | None, check_outside: Callable[[], None]
) -> Any:
    """The next call that ends."""
    check_outside()  # who iterates may be another than who began
    try:
        return take(ended, None if deadline is None else deadline - time.monotonic())
    except Empty:
        raise TimeoutError("not all results were there in time") from None
