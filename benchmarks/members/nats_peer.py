"""nats-py with a real nats-server, which is a third process. Who is there first starts it.

At its best: uvloop where that may be used, callbacks, and limits that let it drop nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from ..programs import running
from ..task import Task
from .load import AwaitedAsk, AwaitedBurst, AwaitedMark, body, burst_of
from .roles import Take

SUBJECT = "benchmarks"
UNLIMITED = {"pending_msgs_limit": -1, "pending_bytes_limit": -1}
CONFIG = """
max_pending: 4GB  # else the server throws out who is slower than the sender
write_deadline: "30s"
"""
ANSWER_SECONDS = 30.0


class Nats:
    """Plays the roles with its only, async, client."""

    @asynccontextmanager
    async def receive(self, task: Task, take: Take) -> AsyncIterator[None]:
        async def taken(message: Msg) -> None:
            take(message.data)

        with serving(task):
            async with connected(task) as client:
                await client.subscribe(SUBJECT, cb=taken, **UNLIMITED)
                await client.flush()
                yield

    @asynccontextmanager
    async def send(self, task: Task) -> AsyncIterator[tuple[AwaitedBurst, AwaitedMark]]:
        async with connected(task) as client:
            own, times = body(task), burst_of(task)

            async def burst() -> None:
                for _ in range(times):
                    await client.publish(SUBJECT, own)

            async def mark(data: bytes) -> None:
                await client.publish(SUBJECT, data)
                await client.flush()

            yield burst, mark

    @asynccontextmanager
    async def respond(self, task: Task) -> AsyncIterator[None]:
        async def asked(message: Msg) -> None:
            await message.respond(message.data)

        async with AsyncExitStack() as stack:
            stack.enter_context(serving(task))
            for _ in range(task.held):
                client = await stack.enter_async_context(connected(task))
                await client.subscribe(SUBJECT, cb=asked)
                await client.flush()
            yield

    @asynccontextmanager
    async def ask(self, task: Task) -> AsyncIterator[AwaitedAsk]:
        async with connected(task) as client:
            if task.count == 1:

                async def one(data: bytes) -> int:
                    await client.request(SUBJECT, data, timeout=ANSWER_SECONDS)
                    return 1

                yield one
            else:
                yield await Gathering(client, task.count).open()

    @asynccontextmanager
    async def meet(self, task: Task, met: Callable[[], None]) -> AsyncIterator[None]:
        raise NotImplementedError("its clients discover nobody")
        yield


class Gathering:
    """Many answers to one question, by an inbox that stays."""

    def __init__(self, client: Client, count: int) -> None:
        self._client = client
        self._count = count
        self._inbox = client.new_inbox()
        self._came = 0
        self._complete = asyncio.get_running_loop().create_future()

    async def open(self) -> AwaitedAsk:
        """Listens for answers; gives what asks."""
        await self._client.subscribe(self._inbox, cb=self._answered)
        await self._client.flush()
        return self._ask

    async def _answered(self, message: Msg) -> None:
        self._came += 1
        if self._came == self._count:
            self._complete.set_result(None)

    async def _ask(self, data: bytes) -> int:
        self._came, self._complete = 0, asyncio.get_running_loop().create_future()
        await self._client.publish(SUBJECT, data, reply=self._inbox)
        await self._complete
        return self._came


async def unheard(error: Exception) -> None:
    """The server may end before its clients; other errors end in calls that raise."""


@asynccontextmanager
async def connected(task: Task) -> AsyncIterator[Client]:
    """A client that leaves without waiting for anything."""
    url = f"nats://127.0.0.1:{task.port}"
    client = await nats.connect(url, allow_reconnect=False, error_cb=unheard)
    try:
        yield client
    finally:
        await client.close()


@contextmanager
def serving(task: Task, more: str = "") -> Iterator[None]:
    """A server of the measurement's own; ``more``: for its configuration."""
    config = Path(task.folder) / "nats.conf"
    config.write_text(CONFIG + more, encoding="utf-8")
    arguments = ["-a", "127.0.0.1", "-p", str(task.port), "-c", str(config)]
    with running("nats-server", *arguments, port=task.port):
        yield
