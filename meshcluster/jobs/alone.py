"""``run_alone``: a coroutine in an event loop of its own, for who has none."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar

from ..errors import ConfigError

T = TypeVar("T")
PATIENT = 2
"""Ctrl-C is pressed so often without harm: what is being ended is ended all the same. The next one
breaks off whatever it meets.
"""


def run_alone(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs it in a loop of its own. Ctrl-C, in the main thread, cancels it.

    Raises:
        ConfigError: a loop runs in this thread: ``AsyncShell``.
        KeyboardInterrupt: Ctrl-C; it has come to its end, unless that was pressed a third time.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        coroutine.close()
        raise ConfigError("an event loop runs in this thread: use AsyncShell and AsyncJobs there")
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not ours:
        with asyncio.Runner() as runner:
            return runner.run(coroutine)
    pressing = _Pressing()
    signal.signal(signal.SIGINT, pressing)
    try:
        with asyncio.Runner() as runner:
            return runner.run(pressing.around(coroutine))
    except asyncio.CancelledError:
        if not pressing.times:
            raise
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class _Pressing:
    """Counts Ctrl-C. asyncio's own handler raises KeyboardInterrupt in the middle of whatever runs
    at the second one, and processes that are being ended would be left.
    """

    def __init__(self) -> None:
        self.times = 0
        self._task: asyncio.Task[Any] | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.times += 1
        if self.times > PATIENT:
            raise KeyboardInterrupt
        if self.times == 1 and self._task is not None:
            self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    async def around(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Awaits it.

        Raises:
            CancelledError: Ctrl-C was pressed, though it may have come to its end.
        """
        self._task = asyncio.current_task()
        if self.times:
            coroutine.close()
            raise asyncio.CancelledError
        result = await coroutine
        if self.times:
            raise asyncio.CancelledError
        return result
