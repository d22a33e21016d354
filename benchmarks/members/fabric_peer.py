"""Fabric at its best: connections that stay open, and that wait neither for acknowledgements nor by
the clock.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue

from fabric import Config, Connection
from fabric.runners import Remote

from ..task import Task
from .hosts import aliases, command, config, numbers

THREADS = 4
"""For each connection, where there are several of both; more do no more."""


class Prompt(Remote):  # type: ignore[misc]
    """Looks ten times as often whether a command has ended, which halves the time of one."""

    input_sleep = 0.001


class Fabric:
    """Plays who has work."""

    @contextmanager
    def work(self, task: Task) -> Iterator[Iterator[float]]:
        settings = Config(runtime_ssh_path=config(task))
        if task.count == 1:  # many threads are kept by that from their work
            settings.runners.remote = Prompt
        with ExitStack() as stack:
            opened = [stack.enter_context(connected(alias, settings)) for alias in aliases(task)]
            if task.count == 1:
                yield (run(opened[0], number) for number in numbers())
            else:
                yield stack.enter_context(in_threads(opened))


@contextmanager
def connected(alias: str, settings: Config) -> Iterator[Connection]:
    """An open connection."""
    with Connection(alias, config=settings) as connection:
        connection.open()
        # paramiko leaves that out: each command then waits 40 ms for an acknowledgement.
        connection.transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


def run(connection: Connection, number: int) -> float:
    """One command, and what it printed."""
    return float(connection.run(command(number), hide=True, in_stream=False).stdout)


@contextmanager
def in_threads(connections: list[Connection]) -> Iterator[Iterator[float]]:
    """Results as they come."""
    results, items, ended = SimpleQueue[float](), numbers(), threading.Event()

    def loop(connection: Connection) -> None:
        while not ended.is_set():
            results.put(run(connection, next(items)))

    threads = [
        threading.Thread(target=loop, args=[connection])
        for connection in connections
        for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield iter(results.get, None)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
