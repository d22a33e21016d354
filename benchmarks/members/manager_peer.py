"""The queue of a manager of multiprocessing, which is a third process, by UNIX sockets."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.managers import BaseManager
from pathlib import Path
from queue import Queue
from typing import Any

from ..task import Task
from .load import Burst, Mark, body, burst_of
from .roles import Take

BOUND = 1024
KEY = b"benchmarks"


class Manager:
    """Plays who puts and who takes; the first who takes runs the manager."""

    @contextmanager
    def receive(self, task: Task, take: Take) -> Iterator[None]:
        with ExitStack() as stack:
            if task.number == 0:
                stack.enter_context(managing(task))
            queue = connected(task)

            def taking() -> None:
                get = queue.get
                with suppress(EOFError, OSError):  # the manager's end
                    while True:
                        take(get())

            threading.Thread(target=taking, daemon=True).start()
            yield

    @contextmanager
    def send(self, task: Task) -> Iterator[tuple[Burst, Mark]]:
        put, data, times = connected(task).put, body(task), burst_of(task)

        def burst() -> None:
            for _ in range(times):
                put(data)

        yield burst, put


def managing(task: Task) -> BaseManager:
    """A manager with one queue; in ``with`` it runs."""

    class Serving(BaseManager):
        pass

    queue = Queue[bytes](BOUND)
    Serving.register("items", callable=lambda: queue)
    # Another way of starting would import the program again, which plays its role once more.
    return Serving(address(task), KEY, ctx=multiprocessing.get_context("fork"))


def connected(task: Task) -> Any:
    """The queue's proxy."""

    class Asking(BaseManager):
        pass

    Asking.register("items")
    manager = Asking(address(task), KEY)
    manager.connect()
    return manager.items()  # type: ignore[attr-defined]


def address(task: Task) -> str:
    """Where the manager listens."""
    return str(Path(task.folder) / "manager")
