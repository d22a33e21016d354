"""Threads for the functions that are called: as few as keep calls from waiting.

One thread takes what is there as long as there is something. When a job has waited for a
millisecond, which is when the threads that run have been held up, another one begins. So a thousand
short functions run on one thread, without a switch between them, and eight that block on eight.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any

logger = logging.getLogger("meshcluster.rpc")

Job = Callable[[], object]

PATIENCE_SECONDS = 0.001
THREADS = min(32, (os.cpu_count() or 1) + 4)
"""As many as the standard library's thread pools have."""


class Workers:
    """Up to ``count`` daemon threads; jobs are put in the event loop."""

    def __init__(self, name: str, count: int = THREADS) -> None:
        self._name = name
        self._count = count
        self._jobs: deque[Job] = deque()
        self._calls: SimpleQueue[Job | None] = SimpleQueue()
        """None for each thread that is to look for jobs; a function: call it, and end."""
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._lock = threading.Lock()
        """Of ``_idle`` and of who looks last: taken when a thread begins and ends to work."""
        self._timer: asyncio.TimerHandle | None = None
        self._pid = os.getpid()

    def put(self, job: Job) -> None:
        """Runs a job on a thread, in the order of arrival."""
        self._jobs.append(job)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._look)
        with self._lock:
            if self._idle == len(self._threads):
                self._rouse()

    def _look(self) -> None:
        """Calls another thread while jobs wait."""
        self._timer = None
        if self._jobs:
            with self._lock:
                self._rouse()
            self._timer = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._look)

    def _rouse(self) -> None:
        if self._idle:
            self._idle -= 1
            self._calls.put(None)
        elif len(self._threads) < self._count:
            self._calls.put(None)
            name = f"{self._name}-{len(self._threads) + 1}"
            thread = threading.Thread(target=self._run, args=(self._calls,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, calls: SimpleQueue[Job | None]) -> None:
        jobs = self._jobs
        while (end := calls.get()) is None:
            while True:
                try:
                    job = jobs.popleft()
                except IndexError:
                    with self._lock:
                        if calls is not self._calls:  # closed, and perhaps begun anew
                            break
                        if not jobs:
                            self._idle += 1
                            break
                    continue
                try:
                    job()
                except BaseException:  # such as sys.exit(): it ends no thread of ours
                    logger.exception("a job raised")
                del job  # or an idle thread keeps the last call alive
                if os.getpid() != self._pid:
                    return  # a function forked: the thread and its jobs are the parent's
        with suppress(RuntimeError):  # who closed did not wait so long
            end()

    async def close(self, timeout: float) -> None:
        """Ends the threads after the job that each runs; those that go on after ``timeout`` seconds
        are left alone.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._jobs.clear()
        self._jobs = deque()  # a thread that goes on has the old one
        with self._lock:
            threads, self._threads, self._idle = self._threads, [], 0
            calls, self._calls = self._calls, SimpleQueue()
        loop, ended = asyncio.get_running_loop(), asyncio.Semaphore(0)
        for _ in threads:
            calls.put(partial(loop.call_soon_threadsafe, ended.release))
        try:
            async with asyncio.timeout(timeout):
                for _ in threads:
                    await ended.acquire()
        except TimeoutError:
            return
        for thread in threads:
            thread.join()


def soon(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: Any) -> None:
    """In the loop, if there is one any more."""
    try:
        loop.call_soon_threadsafe(function, *arguments)
    except RuntimeError:
        pass
