"""What the tests of ZeroMQ share: handlers that listen, links between two of them."""

import asyncio

import pytest

from meshcluster import Endpoint
from meshcluster.protocols import Context
from meshcluster.protocols.zeromq import ZeromqHandler
from meshcluster.protocols.zeromq.link import FRAMES
from meshcluster.wire.splitter import HEADER


def message(*frames):
    """What a link sends them as."""
    return FRAMES + b"".join(HEADER.pack(len(frame)) + frame for frame in frames)


class Receiver:
    """Keeps what a link pushes into it."""

    def __init__(self, link, limit_bytes=1_000_000):
        self.link = link
        self.limit_bytes = limit_bytes
        self.frames = asyncio.Queue()
        self.paused, self.resumed, self.lost = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.reason, self.fault = "", False

    def frames_received(self, frames):
        for frame in frames:
            self.frames.put_nowait(bytes(frame))

    def pause_sending(self):
        self.paused.set()

    def resume_sending(self):
        self.resumed.set()

    def link_lost(self, reason, *, fault=False):
        assert not self.lost.is_set()
        self.reason, self.fault = reason, fault
        self.lost.set()


class Accepting:
    """A handler that listens, what it advertises, and the links that it accepted."""

    def __init__(self, handler):
        self.handler = handler
        self.props = {}
        self.links = asyncio.Queue()

    def accept(self, link):
        receiver = Receiver(link)
        self.links.put_nowait(receiver)
        return receiver

    @property
    def by_tcp(self):
        """Its endpoint without the UNIX socket, as other hosts see it."""
        return Endpoint("zeromq", {"port": self.props["port"]})

    @property
    def endpoint(self):
        return Endpoint("zeromq", self.props)


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


@pytest.fixture
async def make(runtime_dir):
    """Makes handlers; all are closed at the end."""
    made = []

    def make(number=1, *, host_only=True, ask=None, frame_bytes=1_000_000, **options):
        member_id = number.to_bytes(8, "big") + bytes(8)
        context = Context(
            "default", member_id, host_only, runtime_dir, options, frame_bytes=frame_bytes, ask=ask
        )
        made.append(ZeromqHandler(context))
        return made[-1]

    yield make
    for handler in made:
        await handler.close()
    for _ in range(2000):  # a router ends with its last link
        if not any(router.is_open for handler in made for router in handler._routers):
            break
        await asyncio.sleep(0.005)
    await asyncio.sleep(0)


@pytest.fixture
def listen(make):
    async def listen(number=1, **settings):
        accepting = Accepting(make(number, **settings))
        accepting.props = await accepting.handler.listen(accepting.accept)
        return accepting

    return listen


@pytest.fixture
async def connect(make, listen):
    """Opens a link, by TCP unless asked otherwise; gives its dialled and its accepted end."""
    ends = []

    async def connect(accepting=None, *, unix=False):
        accepting = accepting or await listen(1)
        dialled = []

        def accept(link):
            dialled.append(Receiver(link))
            return dialled[0]

        endpoint = accepting.endpoint if unix else accepting.by_tcp
        await make(2).dial("127.0.0.1", endpoint, accept)
        ends.extend([dialled[0], await soon(accepting.links.get())])
        return ends[-2:]

    yield connect
    for end in ends:
        end.link.abort()
    for end in ends:
        await soon(end.lost.wait())
