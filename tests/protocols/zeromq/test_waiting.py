"""Listening before libzmq does: the first to connect is noticed once, and nobody is lost."""

import asyncio
import socket

import pytest

from meshcluster.protocols.zeromq.waiting import Waiting

from .conftest import soon


@pytest.fixture
def bound():
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        yield one, other


async def test_the_first_to_connect_is_noticed_and_no_other(bound):
    calls = asyncio.Queue()
    waiting = Waiting(bound[:1], bound[1:], lambda: calls.put_nowait("called"))
    with socket.create_connection(bound[1].getsockname()):
        await soon(calls.get())
        with socket.create_connection(bound[0].getsockname()):
            for _ in range(10):
                await asyncio.sleep(0)
            assert calls.empty()
            assert waiting.take() == (bound[:1], bound[1:])
            connected, _ = bound[0].accept()
            connected.close()
    assert waiting.descriptors() == []
    waiting.close()
    assert bound[0].fileno() >= 0, "what was taken is not closed"


async def test_closing_closes_what_nobody_took(bound):
    waiting = Waiting(bound[:1], bound[1:], lambda: pytest.fail("nobody called"))
    assert waiting.descriptors() == [each.fileno() for each in bound]
    waiting.close()
    assert [each.fileno() for each in bound] == [-1, -1]
