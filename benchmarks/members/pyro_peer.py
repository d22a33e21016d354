"""Pyro5 at its best: msgpack, UNIX sockets, one-way calls, and batches of them.

Its server runs each one-way call that is not in a batch in a thread of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import Pyro5
from Pyro5.client import BatchProxy, Proxy
from Pyro5.server import Daemon, expose, oneway

from ..task import Task
from .load import Ask, Burst, Flood, Mark, ask_in_batches, ask_in_threads, body, burst_of
from .roles import Take

Pyro5.config.SERIALIZER = "msgpack"
Pyro5.config.THREADPOOL_SIZE = 128  # one for each connection
NAME = "benchmarks"


@expose
class Remote:
    """What is called."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self._taken = 0
        self._changed = threading.Condition()

    @oneway
    def take(self, data: bytes) -> None:
        """A message on its own; they come in threads, in any order."""
        with self._changed:
            self._take(data)
            self._taken += 1
            self._changed.notify()

    def take_in_order(self, data: bytes) -> None:
        """A message of a batch, whose calls are made one after the other in one thread."""
        self._take(data)
        self._taken += 1

    def mark(self, data: bytes, sent: int) -> None:
        """A mark, which counts when as many messages have come before it."""
        with self._changed:
            self._changed.wait_for(lambda: self._taken == sent)
            self._take(data)

    def echo(self, data: bytes) -> bytes:
        """A question."""
        return data


class Pyro:
    """Plays the roles with proxies and daemons; ``batched``: 64 calls at once."""

    def __init__(self, *, batched: bool = False) -> None:
        self._batched = batched

    @contextmanager
    def receive(self, task: Task, take: Take) -> Iterator[None]:
        with serving(task, Remote(take), 0):
            yield

    @contextmanager
    def send(self, task: Task) -> Iterator[tuple[Burst, Mark]]:
        with proxy(task) as remote:
            data, times = body(task), burst_of(task)
            batch = BatchProxy(remote)
            sent = 0

            def burst() -> None:
                nonlocal sent
                for _ in range(times):
                    remote.take(data)
                sent += times

            def burst_in_a_batch() -> None:
                nonlocal sent
                for _ in range(times):
                    batch.take_in_order(data)
                batch(oneway=True)
                sent += times

            def mark(data: bytes) -> None:
                remote.mark(data, sent)

            yield burst_in_a_batch if self._batched else burst, mark

    @contextmanager
    def respond(self, task: Task) -> Iterator[None]:
        with ExitStack() as stack:
            for number in range(task.number, task.number + task.held):
                stack.enter_context(serving(task, Remote(lambda data: None), number))
            yield

    @contextmanager
    def ask(self, task: Task) -> Iterator[Ask]:
        with ExitStack() as stack:
            proxies = [stack.enter_context(proxy(task, number)) for number in range(task.count)]
            # One after the other; a thread for each proxy takes longer.
            yield lambda data: sum(len(each.echo(data)) == len(data) for each in proxies)

    @contextmanager
    def ask_many(self, task: Task) -> Iterator[Flood]:
        if not self._batched:
            yield partial(ask_in_threads, lambda: self.ask(task), task)
            return
        with proxy(task) as remote:
            batch = BatchProxy(remote)

            def question(data: bytes) -> int:
                for _ in range(task.at_once):
                    batch.echo(data)
                return sum(1 for _ in batch())

            yield partial(ask_in_batches, question, task)

    @contextmanager
    def meet(self, task: Task, met: Callable[[], None]) -> Iterator[None]:
        raise NotImplementedError("it discovers nobody")


@contextmanager
def serving(task: Task, remote: Remote, number: int) -> Iterator[None]:
    """A daemon in a thread."""
    daemon = Daemon(unixsocket=path(task, number))
    daemon.register(remote, NAME)
    # It ends with its process: shutting a hundred of them down one by one takes many seconds.
    threading.Thread(target=daemon.requestLoop, daemon=True).start()
    yield


def proxy(task: Task, number: int = 0) -> Proxy:
    """Of the object of that number."""
    return Proxy(f"PYRO:{NAME}@./u:{path(task, number)}")


def path(task: Task, number: int) -> str:
    """Where the daemon of that number listens."""
    return f"{task.folder}/pyro{number}"
