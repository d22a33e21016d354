"""Threads for users' functions on the blocking cluster: started when needed, bounded, daemonic.

Daemonic because a hook that never returns must not keep its program from ending.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from . import forking

logger = logging.getLogger("meshcluster.hooks")

Job = tuple[Callable[..., None], tuple[Any, ...]]


class Workers:
    """Up to ``count`` threads that run jobs in the order in which they were put.

    With one thread they also end in that order.
    """

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._count = count
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._free = 0
        """Threads that wait for a job, less the jobs that wait for a thread."""
        self._lock = threading.Lock()
        forking.watch(self)

    def put(self, function: Callable[..., None], *arguments: Any) -> None:
        """Runs ``function(*arguments)`` on a thread; what it raises is logged."""
        self._jobs.put((function, arguments))
        with self._lock:
            if self._free <= 0 and len(self._threads) < self._count:
                self._start()
            else:
                self._free -= 1

    @property
    def empty(self) -> bool:
        """No job waits (one may be running)."""
        return self._jobs.empty()

    @property
    def inside(self) -> bool:
        """Whether the caller runs in one of these threads."""
        return threading.current_thread() in self._threads

    def close(self, timeout_seconds: float) -> None:
        """Ends the threads after the jobs that wait; called from one of them, that one goes on."""
        threads, self._threads = self._threads, []
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(timeout_seconds)

    def forked(self) -> None:
        """In a forked child the jobs are the parent's. A job that forked ends its thread there."""
        self._lock = threading.Lock()
        self._threads = []
        self._jobs = SimpleQueue()
        self._jobs.put(None)

    def _start(self) -> None:
        name = f"{self._name}-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            function, arguments = job
            try:
                function(*arguments)
            except BaseException:  # such as sys.exit() in a hook: it ends no thread of ours
                logger.exception("%s raised", function)
            del job, function, arguments  # or an idle thread keeps the last message alive
            with self._lock:
                self._free += 1
