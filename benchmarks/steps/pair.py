"""Two members in one process and one loop, and a cable between them that is moved by hand.

While nothing is awaited nothing else runs in that loop, so each step can be called and timed by
itself, with the objects that do it in every program.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from meshcluster import AsyncCluster, Message, Service

from ..task import BODY_BYTES, UNIX

BODY = bytes(range(BODY_BYTES))
RUNTIME_DIR = "MESHCLUSTER_RUNTIME_DIR"


class Caught:
    """Stands where a link stands, and keeps what is written to it."""

    def __init__(self, link: Any) -> None:
        self.link = link
        self.frames: list[bytes] = []

    def send(self, frames: Sequence[bytes]) -> None:
        """Takes what would be written."""
        self.frames += frames

    def take(self) -> list[bytes]:
        """What was written since."""
        frames, self.frames = self.frames, []
        return frames


@dataclass
class End:
    """One member: its driver, and its end of the link with its session."""

    cluster: AsyncCluster
    driver: Any
    link_end: Any
    service: Service
    """The other member, as this one sees it."""

    @property
    def node_link(self) -> Any:
        """The link as the node sees it."""
        return self.link_end.node_link

    @property
    def session(self) -> Any:
        """What the link carries."""
        return self.link_end.node_link.session

    def receive(self, frames: Sequence[bytes]) -> None:
        """Frames come."""
        if frames:
            self.driver.frames_received(self.link_end, frames)


@dataclass
class Pair:
    """Who tells and asks, and who hears and answers. ``heard`` counts the calls of the hook."""

    near: End
    far: End
    heard: list[int]

    @contextmanager
    def by_hand(self) -> Iterator[tuple[Caught, Caught]]:
        """Nothing is written to sockets meanwhile: what each end writes is there to be taken."""
        near, far = Caught(self.near.link_end.link), Caught(self.far.link_end.link)
        self.near.link_end.link, self.far.link_end.link = near, far
        try:
            yield near, far
        finally:
            self.carry(near, far)
            self.near.link_end.link, self.far.link_end.link = near.link, far.link

    def carry(self, near: Caught, far: Caught) -> None:
        """Takes over to either end what the other one wrote, until neither writes."""
        while near.frames or far.frames:
            self.far.receive(near.take())
            self.near.receive(far.take())


@asynccontextmanager
async def joined(*, protocol: str = UNIX) -> AsyncIterator[Pair]:
    """Two members of a mesh of their own, with a link between them."""
    heard = [0]
    folder = tempfile.mkdtemp(prefix="mcb-", dir="/tmp" if os.name == "posix" else None)
    before = os.environ.get(RUNTIME_DIR)
    os.environ[RUNTIME_DIR] = folder

    def hear(message: Message) -> None:
        if message.data == BODY:
            heard[0] += 1

    near, far = AsyncCluster(), AsyncCluster()
    far.hook("event")(hear)
    near.hook("event")(hear)
    far.hook("query")(lambda question: question.data)
    port = random.randrange(20_000, 29_000)
    try:
        async with (
            near.join(cluster="steps", port=port, protocols=[protocol]),
            far.join(cluster="steps", port=port, protocols=[protocol]),
        ):
            ends = []
            for one in (near, far):
                (other,) = await one.wait_for_services()
                await one.send(BODY, services=(other,), ack=True)
                ends.append(_end(one, other))
            heard[0] = 0
            yield Pair(*ends, heard)
    finally:
        if before is None:
            del os.environ[RUNTIME_DIR]
        else:
            os.environ[RUNTIME_DIR] = before
        shutil.rmtree(folder, ignore_errors=True)


def _end(cluster: AsyncCluster, other: Service) -> End:
    driver: Any = cluster.joined
    (link_end,) = [e for link, e in driver._ends.items() if link.session is not None]
    return End(cluster, driver, link_end, other)
