"""``Listening``: which thread reads what the caller sends.

While nothing runs the main thread reads itself, so that a task begins without a change of threads.
While a task runs for longer another thread reads, for the task may have to be cancelled, and the
caller may be gone.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Callable

from .framing import Frame, FramingError, Splitter

READ_BYTES = 1 << 18
WATCH_SECONDS = 0.01
"""A task that runs for longer is watched."""
IDLE_ROUNDS = 20
"""After so many looks at nothing the watching thread sleeps until there is a task."""


class Listening:
    """``take`` is given each frame, by whichever thread has read it; ``running`` says what the main
    thread is doing (0: nothing).
    """

    def __init__(
        self, source: int, take: Callable[[Frame], None], running: Callable[[], int],
        alone: Callable[[], None],
    ) -> None:  # fmt: skip
        self._source = source
        self._take = take
        self._running = running
        self._alone = alone
        self._splitter = Splitter()
        self._reads = threading.Lock()
        """Who holds it reads."""
        self._news = threading.Event()
        self._task = threading.Event()
        self._asleep = False
        self.over = False
        """The caller is gone, or has said something that means nothing."""
        threading.Thread(target=self._watch, name="meshcluster-worker", daemon=True).start()

    def wait(self) -> None:
        """By the main thread: returns when something has come, or it is over."""
        if self._reads.acquire(blocking=False):
            try:
                self._read()
            finally:
                self._reads.release()
        else:
            self._news.wait()
            self._news.clear()

    def begin(self) -> None:
        """By the main thread: a task begins."""
        if self._asleep:
            self._task.set()

    def _read(self) -> None:
        try:
            data = os.read(self._source, READ_BYTES)
            for each in self._splitter.feed(data):
                self._take(each)
            self.over = self.over or not data
        except (OSError, FramingError) as error:
            os.write(2, f"meshcluster worker: {error}\n".encode())
            self.over = True

    def _watch(self) -> None:
        before, idle = 0, 0
        while not self.over:
            time.sleep(WATCH_SECONDS)
            now = self._running()
            if now and now == before and self._reads.acquire(blocking=False):
                self._read_for_it()
            idle = 0 if now else idle + 1
            before = now
            if idle == IDLE_ROUNDS:
                idle = 0
                self._sleep()

    def _read_for_it(self) -> None:
        """Reads until it has read while the main thread had nothing to do: then that reads again,
        and must be told, for it may wait for us.
        """
        try:
            while True:
                self._read()
                self._news.set()
                if self.over and self._running():
                    self._alone()
                if self.over or not self._running():
                    return
        finally:
            self._reads.release()
            self._news.set()

    def _sleep(self) -> None:
        self._asleep = True
        if not self._running():  # it may have begun before it could see that we sleep
            self._task.wait()
        self._task.clear()
        self._asleep = False
