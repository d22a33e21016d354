"""A member sees to its own endpoints: what opens is left alone, what does not is renewed."""

import asyncio

import pytest

from meshcluster.model import Endpoint
from meshcluster.node.effects import CheckEndpoint
from meshcluster.runtime.listeners import Listeners

OLD = Endpoint("x", {"port": 1})


class Handler:
    """It dials and listens as the test says."""

    def __init__(self, *, dials=None, listens=None):
        self.dials, self.listens = dials, listens
        self.did = []

    async def dial(self, address, endpoint, accept):
        self.did.append("dial")
        assert accept(object()) is None, "a link to oneself is not wanted"
        await asyncio.sleep(0)
        if self.dials is not None:
            raise self.dials

    async def close(self):
        self.did.append("close")

    async def listen(self, accept):
        self.did.append("listen")
        if self.listens is not None:
            raise self.listens
        return {"port": 2}


async def check(handler, times=1):
    renewed = []
    listeners = Listeners({"x": handler}, lambda *link: None, lambda *ends: renewed.append(ends))
    for _ in range(times):
        listeners.check(CheckEndpoint(OLD))
    while listeners._tasks:
        await asyncio.gather(*listeners._tasks.values())
        await asyncio.sleep(0)
    return renewed


async def test_one_that_opens_is_left_alone():
    handler = Handler()
    assert await check(handler) == []
    assert handler.did == ["dial"]


async def test_one_that_refuses_is_opened_anew_once():
    handler = Handler(dials=ConnectionRefusedError())
    assert await check(handler, times=3) == [(OLD, Endpoint("x", {"port": 2}))]
    assert handler.did == ["dial", "close", "listen"]


@pytest.mark.parametrize("trouble", [OSError("no room"), ZeroDivisionError("third party")])
async def test_one_that_cannot_be_opened_anew_is_reported(trouble, caplog):
    handler = Handler(dials=ConnectionRefusedError(), listens=trouble)
    assert await check(handler) == []
    (record,) = caplog.records
    assert "opened anew" in record.getMessage()


async def test_closing_gives_a_check_up():
    async def for_ever(address, endpoint, accept):
        await asyncio.Event().wait()

    handler = Handler()
    handler.dial = for_ever
    listeners = Listeners({"x": handler}, lambda *link: None, lambda *ends: None)
    listeners.check(CheckEndpoint(OLD))
    await asyncio.sleep(0)
    await listeners.close()
    assert not handler.did
