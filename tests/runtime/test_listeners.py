"""A member sees to its own endpoints: what opens is left alone, what does not is renewed."""

import asyncio

import pytest

from meshcluster.model import Endpoint
from meshcluster.node.effects import CheckEndpoint
from meshcluster.protocols import Context
from meshcluster.protocols.tcp import TcpHandler
from meshcluster.runtime.listeners import Listeners

OLD = Endpoint("x", {"port": 1})


class Handler:
    """It dials and listens as the test says."""

    local_only = False

    def __init__(self, *, dials=None, listens=None):
        self.dials, self.listens = dials, listens
        self.did = []
        self.dialled = []

    async def dial(self, address, endpoint, accept):
        if "dial" not in self.did:
            self.did.append("dial")
        self.dialled.append(address)
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


def made(handler, renewed=lambda *ends: None):
    return Listeners({"x": handler}, lambda *link: None, renewed, lambda: ["10.0.0.5", "::1"])


async def check(handler, times=1):
    renewed = []
    listeners = made(handler, lambda *ends: renewed.append(ends))
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


async def test_one_that_opens_at_another_address_of_ours_alone_is_left_alone():
    """As with `host=`: it was bound to that one."""

    class Bound(Handler):
        async def dial(self, address, endpoint, accept):
            self.dials = None if address == "10.0.0.5" else ConnectionRefusedError()
            await super().dial(address, endpoint, accept)

    handler = Bound()
    assert await check(handler) == []
    assert handler.dialled == ["127.0.0.1", "::1", "10.0.0.5"]


async def test_one_that_cannot_leave_this_machine_is_dialled_once():
    handler = Handler(dials=ConnectionRefusedError())
    handler.local_only = True
    await check(handler)
    assert handler.dialled == ["127.0.0.1"]


@pytest.mark.parametrize("host", ["127.0.0.2", "::1"])
async def test_a_listener_bound_to_one_address_is_seen_to_open(tmp_path, host):
    handler = TcpHandler(Context("default", bytes(16), False, tmp_path, {"host": host}))
    before = await handler.listen(lambda link: None)
    renewed = []
    addresses = ["127.0.0.1", "127.0.0.2"]
    listeners = Listeners(
        {"tcp": handler}, lambda *link: None, lambda *ends: renewed.append(ends), lambda: addresses
    )
    listeners.check(CheckEndpoint(Endpoint("tcp", before)))
    await asyncio.gather(*listeners._tasks.values())
    assert renewed == []
    await handler.close()


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
    listeners = made(handler)
    listeners.check(CheckEndpoint(OLD))
    await asyncio.sleep(0)
    await listeners.close()
    assert not handler.did
