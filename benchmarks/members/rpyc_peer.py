"""rpyc at its best: UNIX sockets (by TCP it sets no TCP_NODELAY), nothing compressed, calls that
are async.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial

import rpyc
from rpyc.core.channel import Channel
from rpyc.utils.factory import unix_connect
from rpyc.utils.server import ThreadedServer

from ..task import Task
from .load import Ask, Burst, Flood, Mark, ask_many, body, burst_of
from .roles import Take

Channel.COMPRESSION_THRESHOLD = 1 << 62  # zlib takes longer than the way
OUTSTANDING = 256
"""Calls nobody has waited for; the oldest is waited for then."""


class Remote(rpyc.Service):  # type: ignore[misc]
    """What is called."""

    def __init__(self, take: Take) -> None:
        self._take = take

    def exposed_take(self, data: bytes) -> None:
        """A message."""
        self._take(data)

    def exposed_echo(self, data: bytes) -> bytes:
        """A question."""
        return data


class Rpyc:
    """Plays the roles with services and connections."""

    @contextmanager
    def receive(self, task: Task, take: Take) -> Iterator[None]:
        with serving(task, Remote(take), 0):
            yield

    @contextmanager
    def send(self, task: Task) -> Iterator[tuple[Burst, Mark]]:
        with closing(connect(task)) as connection:
            call, data, times = rpyc.async_(connection.root.take), body(task), burst_of(task)
            results = deque[rpyc.AsyncResult]()

            def mark(data: bytes) -> None:
                results.append(call(data))
                if len(results) > OUTSTANDING:
                    results.popleft().wait()

            def burst() -> None:
                for _ in range(times):
                    mark(data)

            yield burst, mark
            while results:
                results.popleft().wait()

    @contextmanager
    def respond(self, task: Task) -> Iterator[None]:
        with ExitStack() as stack:
            for number in range(task.number, task.number + task.held):
                stack.enter_context(serving(task, Remote(lambda data: None), number))
            yield

    @contextmanager
    def ask(self, task: Task) -> Iterator[Ask]:
        with ExitStack() as stack:
            numbers = range(task.count)
            ends = [stack.enter_context(closing(connect(task, number))) for number in numbers]
            if task.count == 1:
                echo = ends[0].root.echo
                yield lambda data: len(echo(data)) == len(data)
            else:
                calls = [rpyc.async_(end.root.echo) for end in ends]

                def question(data: bytes) -> int:
                    results = [call(data) for call in calls]
                    return sum(len(result.value) == len(data) for result in results)

                yield question

    @contextmanager
    def ask_many(self, task: Task) -> Iterator[Flood]:
        with closing(connect(task)) as connection:
            call = rpyc.async_(connection.root.echo)
            yield partial(ask_many, lambda data: call(data).wait, task)

    @contextmanager
    def meet(self, task: Task, met: Callable[[], None]) -> Iterator[None]:
        raise NotImplementedError("its registry is a server")


@contextmanager
def serving(task: Task, remote: Remote, number: int) -> Iterator[None]:
    """A server in a thread."""
    server = ThreadedServer(remote, socket_path=path(task, number))
    server.listener.listen(server.backlog)  # its thread may begin later than somebody connects
    # It ends with its process: a server that is closed prints what its threads make of that.
    threading.Thread(target=server.start, daemon=True).start()
    yield


def connect(task: Task, number: int = 0) -> rpyc.Connection:
    """To the server of that number."""
    return unix_connect(path(task, number))


def path(task: Task, number: int) -> str:
    """Where the server of that number listens."""
    return f"{task.folder}/rpyc{number}"
