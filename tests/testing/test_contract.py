"""The contract finds what is wrong with a handler."""

import asyncio

import pytest

from meshcluster.protocols import StreamLink
from meshcluster.protocols.tcp import TcpHandler
from meshcluster.testing.contract import End, ProtocolContract, linked


class Backwards(StreamLink):
    """Sends in the wrong order."""

    def send(self, frames):
        super().send(list(reversed(frames)))


class WrongHandler(TcpHandler):
    async def dial(self, address, endpoint, accept):
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: Backwards(accept), address, endpoint.props["port"])


@pytest.fixture
async def handlers(runtime_dir):
    from meshcluster.protocols import Context

    made = [WrongHandler(Context("c", bytes([n] * 16), True, runtime_dir)) for n in (1, 2)]
    yield made
    for handler in made:
        await handler.close()


async def test_a_wrong_order_is_found(handlers):
    ends: list[End] = []

    async def connect():
        ends.extend(await linked(*handlers))
        return ends

    with pytest.raises(AssertionError):
        await ProtocolContract().test_a_thousand_frames_keep_their_order(connect)
    for end in ends:
        end.link.abort()
        await end.wait_lost()
