"""Our calls, by both faces: a function that another member exposes, instead of its hook."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

from meshcluster import AsyncCluster, Cluster

from ..task import ASYNC_DEF, IN_LOOP, Task
from . import awaited, blocking
from .load import Ask, AwaitedAsk, Flood, ask_many

NAME = "echo"


def echo(data: bytes) -> bytes:
    """A question."""
    return data


async def echo_awaited(data: bytes) -> bytes:
    """The same as a coroutine."""
    return data


def expose(cluster: AsyncCluster | Cluster, function: str) -> None:
    """Exposes one of the two as it is wished."""
    if function == ASYNC_DEF:
        cluster.expose(echo_awaited, name=NAME)
    else:
        cluster.expose(echo, name=NAME, in_loop=function == IN_LOOP)


class AwaitedCalls(awaited.Awaited):
    """Plays who is asked, and who asks, by ``AsyncCluster.call``."""

    def __init__(self, *, function: str) -> None:
        self._function = function

    @asynccontextmanager
    async def respond(self, task: Task) -> AsyncIterator[None]:
        cluster = AsyncCluster()
        expose(cluster, self._function)
        async with awaited.join(cluster, task):
            yield

    @asynccontextmanager
    async def ask(self, task: Task) -> AsyncIterator[AwaitedAsk]:
        async with awaited.join(AsyncCluster(), task) as cluster:
            await cluster.wait_for_exposed(NAME)

            async def question(data: bytes) -> int:
                return len(await cluster.call(NAME, data)) == len(data)

            yield question


class BlockingCalls(blocking.Blocking):
    """Plays who is asked, and who asks, by ``Cluster.call`` and ``Cluster.go``."""

    def __init__(self, *, function: str) -> None:
        super().__init__()
        self._function = function

    @contextmanager
    def respond(self, task: Task) -> Iterator[None]:
        cluster = Cluster()
        expose(cluster, self._function)
        with blocking.join(cluster, task):
            yield

    @contextmanager
    def ask(self, task: Task) -> Iterator[Ask]:
        with self._calling(task) as cluster:
            yield lambda data: len(cluster.call(NAME, data)) == len(data)

    @contextmanager
    def ask_many(self, task: Task) -> Iterator[Flood]:
        with self._calling(task) as cluster:

            def begin(data: bytes) -> Callable[[], object]:
                return cluster.go(NAME, data).result

            yield partial(ask_many, begin, task)

    @contextmanager
    def _calling(self, task: Task) -> Iterator[Cluster]:
        with blocking.join(Cluster(), task) as cluster:
            cluster.wait_for_exposed(NAME)
            yield cluster
