"""Dials under way: one task each; what becomes of them."""

import asyncio

import pytest

from meshcluster.errors import ConfigError
from meshcluster.model import Endpoint
from meshcluster.node.effects import CancelDial, DialEndpoint
from meshcluster.node.links import REFUSED
from meshcluster.runtime.dials import Dials


class Handler:
    """Its dials end as the test says, by the endpoint's ``end``."""

    def __init__(self):
        self.cancelled = []
        self.was_cancelled = asyncio.Event()

    async def dial(self, address, endpoint, accept):
        try:
            await endpoint.props["end"](accept)
        except asyncio.CancelledError:
            self.cancelled.append(address)
            self.was_cancelled.set()
            raise


class Seen:
    """What the driver would be told."""

    def __init__(self):
        self.accepted, self.failed = [], asyncio.Queue()

    def accept(self, scheme, number, link):
        self.accepted.append((scheme, number, link))

    def fail(self, number, reason):
        self.failed.put_nowait((number, reason))


@pytest.fixture
async def seen():
    return Seen()


@pytest.fixture
async def handler():
    return Handler()


@pytest.fixture
async def dials(seen, handler):
    made = Dials({"x": handler}, seen.accept, seen.fail)
    yield made
    await made.close()


def effect(number, end):
    return DialEndpoint(number, f"address-{number}", Endpoint("x", {"end": end}))


def raising(error):
    async def end(accept):
        raise error

    return end


async def for_ever(accept):
    await asyncio.Event().wait()


async def test_a_link_is_accepted_with_the_scheme_and_the_number_of_its_dial(dials, seen):
    opened = asyncio.Event()

    async def end(accept):
        accept("link")
        opened.set()

    dials.begin(effect(7, end))
    await opened.wait()
    assert seen.accepted == [("x", 7, "link")]
    assert seen.failed.empty()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError("nobody"), REFUSED),
        (ConnectionResetError("it ends"), REFUSED),
        (OSError("no route"), "no route"),
        (ConfigError("x=1: too few"), "x=1: too few"),
        (ZeroDivisionError("third party"), "ZeroDivisionError('third party')"),
    ],
)
async def test_why_a_dial_failed(dials, seen, error, reason):
    dials.begin(effect(1, raising(error)))
    assert await seen.failed.get() == (1, reason)


async def test_a_cancelled_dial_says_nothing_and_one_that_is_over_is_ignored(dials, seen, handler):
    dials.begin(effect(1, for_ever))
    dials.begin(effect(2, raising(OSError("over"))))
    assert await seen.failed.get() == (2, "over")
    dials.cancel(CancelDial(1))
    dials.cancel(CancelDial(2))
    await handler.was_cancelled.wait()
    assert handler.cancelled == ["address-1"]
    assert seen.failed.empty()


async def test_closing_gives_all_up(dials, handler):
    for number in (1, 2, 3):
        dials.begin(effect(number, for_ever))
    await asyncio.sleep(0)
    await dials.close()
    assert sorted(handler.cancelled) == ["address-1", "address-2", "address-3"]


async def by_address(dials, seen, ends):
    """Dials a member that has these addresses; each one's dial ends so."""
    first, *others = ends

    class Handler:
        async def dial(self, address, endpoint, accept):
            await ends[address](accept)

    dials._handlers["y"] = Handler()
    dials.begin(DialEndpoint(1, first, Endpoint("y", {}), tuple(others)))


async def test_an_address_that_does_not_answer_is_joined_by_the_next_and_the_first_wins(
    dials, seen
):
    opened = asyncio.Event()

    async def end(accept):
        accept("link")
        opened.set()

    await by_address(dials, seen, {"dead": for_ever, "alive": end, "too late": raising(OSError())})
    async with asyncio.timeout(5):
        await opened.wait()
    assert seen.accepted == [("y", 1, "link")]
    assert seen.failed.empty()


async def test_only_when_all_refuse_it_is_a_refusal(dials, seen):
    refuse = raising(ConnectionRefusedError())
    await by_address(dials, seen, {"one": refuse, "other": refuse})
    assert await seen.failed.get() == (1, REFUSED)
    await by_address(dials, seen, {"one": refuse, "other": raising(OSError("no route"))})
    assert await seen.failed.get() == (1, "no route")
