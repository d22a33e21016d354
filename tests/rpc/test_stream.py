"""What called generators yield: in order, as asked for, to the end, a failure or a loss."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from meshcluster import (
    ArgumentError,
    AsyncStream,
    DecodeError,
    OutcomeUnknown,
    QueryTimeout,
    RemoteError,
    current_call,
)
from meshcluster.rpc.letters import ITEMS, MAILBOX
from meshcluster.rpc.streaming import STREAM_ITEMS
from tests.waiting import eventually


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


@dataclass
class Point:
    x: int


class Source:
    """Generators that note what becomes of them."""

    def __init__(self):
        self.made = []
        self.closed = []

    def plain(self, count: int, fail: bool = False) -> Iterator[int]:
        try:
            for number in range(count):
                self.made.append(number)
                yield number
            if fail:
                raise ValueError("half-way")
        finally:
            self.closed.append(threading.current_thread().name)

    async def later(self, count: int, fail: bool = False) -> AsyncIterator[int]:
        try:
            for number in range(count):
                await asyncio.sleep(0)
                self.made.append(number)
                yield number
            if fail:
                raise ValueError("half-way")
        finally:
            self.closed.append(threading.current_thread().name)


@pytest.fixture(params=["plain", "later"])
async def source(two, request):
    made = Source()
    await two.expose(getattr(made, request.param), "count")
    return made


async def take(awaited, got):
    async for item in await awaited:
        got.append(item)


async def items_of(awaited):
    return [item async for item in await awaited]


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 5000])
async def test_all_items_come_in_order(two, source, count):
    assert await soon(items_of(two.caller.call("count", count))) == list(range(count))
    assert source.made == list(range(count))
    assert len(source.closed) == 1
    assert two.load == [0]


async def test_many_streams_at_once_each_have_their_own(two, source):
    found = await soon(asyncio.gather(*[items_of(two.caller.go("count", n)) for n in range(40)]))
    assert found == [list(range(n)) for n in range(40)]


async def test_a_stream_knows_its_member_and_says_so(two, source):
    stream = await two.caller.call("count", 3)
    assert type(stream) is AsyncStream
    assert (stream.service, stream.name) == (two.caller.services[0], "count")
    assert repr(stream) == "<AsyncStream of count by server>"
    stream.close()


async def test_its_arguments_are_checked_as_those_of_a_call(two, source):
    with pytest.raises(ArgumentError):
        await two.caller.call("count", "x")
    assert source.made == []


async def test_it_is_made_only_as_it_is_asked_for(two, source):
    stream = await two.caller.call("count", 1_000_000)
    items = aiter(stream)
    for number in range(10):
        assert await soon(anext(items)) == number
    await asyncio.sleep(0.1)
    # Besides those taken: the rest of an answer, the next answer (asked for as this one began),
    # and what is made ahead. The first answers may be of one item each.
    assert len(source.made) <= 10 + 3 * STREAM_ITEMS
    stream.close()
    await items.aclose()
    await eventually(lambda: source.closed)


async def test_what_it_raises_comes_after_what_it_gave(two, source):
    got = []
    with pytest.raises(RemoteError, match="server raised ValueError: half-way") as caught:
        await soon(take(two.caller.call("count", 100, fail=True), got))
    assert got == list(range(100))
    assert "in plain" in caught.value.traceback or "in later" in caught.value.traceback


async def test_closed_half_way_it_is_closed_where_it_runs(two, source):
    async with await two.caller.call("count", 1_000_000) as stream:
        async for item in stream:
            if item == 100:
                break
    await eventually(lambda: source.closed)
    assert len(source.made) < 1000
    stream.close()
    assert [item async for item in stream] == []


async def test_closed_before_it_began_it_is_closed_where_it_runs(two, source):
    stream = await two.caller.call("count", 1_000_000)
    stream.close()
    await eventually(lambda: source.closed)
    assert [item async for item in stream] == []


async def test_abandoned_in_a_loop_it_is_closed(two, source):
    async for item in await two.caller.call("count", 1_000_000):
        if item == 10:
            break
    await eventually(lambda: source.closed)


async def test_what_nobody_asks_for_any_more_is_ended(two, source, monkeypatch):
    monkeypatch.setattr("meshcluster.rpc.serving.STREAM_IDLE_SECONDS", 0.1)
    stream = await two.caller.call("count", 1_000_000)
    await eventually(lambda: source.closed)
    with pytest.raises(RemoteError, match="this stream has ended"):
        await soon(items_of(asyncio.sleep(0, stream)))


async def test_a_lost_caller_ends_it(two, source):
    stream = await two.caller.call("count", 1_000_000)
    assert await anext(aiter(stream)) == 0
    await two.caller.leave(timeout=0)
    await eventually(lambda: source.closed)


async def test_a_lost_member_is_told_after_what_it_gave(two, source):
    stream = await two.caller.call("count", 1_000_000)
    await two.server.leave(timeout=0)
    await eventually(lambda: not two.caller.services)
    assert source.closed
    got = []
    with pytest.raises(OutcomeUnknown) as caught:
        await take(asyncio.sleep(0, stream), got)
    assert caught.value.service == stream.service
    assert got == list(range(len(got)))
    assert got


async def test_the_limit_counts_a_stream_until_its_end(two):
    source = Source()
    await two.expose(source.later, "count", limit=1)
    first = await two.caller.call("count", 1_000_000)
    second = two.caller.go("count", 3)
    await asyncio.sleep(0.05)
    assert not second.done()
    first.close()
    assert await soon(items_of(second)) == [0, 1, 2]


@pytest.mark.parametrize("kind", ["plain", "later"])
async def test_a_stream_may_take_longer_than_its_timeout_if_something_comes_in_that(two, kind):
    remaining = []

    def plain():
        for number in range(4):
            time.sleep(0.15)
            remaining.append(current_call().remaining)
            yield number

    async def later():
        for number in range(4):
            await asyncio.sleep(0.15)
            remaining.append(current_call().remaining)
            yield number

    await two.expose(locals()[kind], "slow")
    got = await soon(items_of(two.caller.call("slow", timeout=0.4)))
    assert got == [0, 1, 2, 3]
    assert all(0 < seconds < 0.4 for seconds in remaining)


@pytest.mark.parametrize("kind", ["plain", "later"])
async def test_nothing_for_its_timeout_ends_it_at_both_ends(two, kind):
    closed, go = [], threading.Event()

    def plain():
        try:
            yield 1
            time.sleep(0.01)
            while not go.wait(0.005) and not current_call().cancelled:
                pass
            yield 2
        finally:
            closed.append(1)

    async def later():
        try:
            yield 1
            await asyncio.sleep(0.01)
            await asyncio.sleep(30)
        finally:
            closed.append(1)

    await two.expose(locals()[kind], "hangs")
    got = []
    with pytest.raises(QueryTimeout):
        await take(two.caller.call("hangs", timeout=0.2), got)
    await eventually(lambda: closed)
    assert got in ([], [1])


async def test_an_exception_of_any_kind_in_a_result_ends_the_iteration(two):
    class Bad:
        def __init__(self, x: int):
            raise KeyError(x)

    two.caller.register(Bad, vars, lambda plain: Bad(plain))
    two.server.register(Bad, lambda bad: 1, lambda plain: None)

    def items():
        yield 1
        yield object.__new__(Bad)

    await two.expose(items)
    with pytest.raises(DecodeError):
        await soon(items_of(two.caller.call("items")))


@pytest.mark.parametrize("kind", ["plain", "later"])
async def test_the_first_item_does_not_wait_for_the_second(two, kind):
    go = threading.Event()

    def plain():
        yield "begun"
        go.wait(10)
        yield "ended"

    async def later():
        yield "begun"
        await asyncio.to_thread(go.wait, 10)
        yield "ended"

    await two.expose(locals()[kind], "slow")
    call = two.caller.go("slow")
    await asyncio.wait([call], timeout=0.3)
    in_time = call.done()
    go.set()
    assert [item async for item in await call] == ["begun", "ended"]
    assert in_time


async def test_a_coroutine_cancelled_while_it_waits_for_an_item_ends_it(two):
    closed = []

    async def hangs():
        try:
            yield 1
            await asyncio.sleep(30)
        finally:
            closed.append(1)

    await two.expose(hangs)
    task = asyncio.ensure_future(items_of(two.caller.go("hangs")))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: closed)


# --- items -----------------------------------------------------------------------------------


async def test_items_are_what_the_annotation_says(two):
    def points() -> Iterator[Point]:
        yield Point(1)
        yield {"x": 2}

    def numbers() -> Iterator[int]:
        yield 1
        yield "two"

    def things():
        yield object()

    await two.expose(points)
    await two.expose(numbers)
    await two.expose(things)
    assert await items_of(two.caller.call("points")) == [{"x": 1}, {"x": 2}]
    found = await items_of(two.caller.call("points", returns=Point))
    assert found == [Point(1), Point(2)]
    with pytest.raises(RemoteError, match="TypeError: numbers: its result"):
        await items_of(two.caller.call("numbers"))
    with pytest.raises(RemoteError, match="cannot be sent"):
        await items_of(two.caller.call("things"))
    with pytest.raises(DecodeError):
        await items_of(two.caller.call("points", returns=int))


async def test_types_of_ones_own_are_made_anew(two):
    class Angle(int): ...

    def angles():
        yield from (Angle(n) for n in range(3))

    for cluster in (two.server, two.caller):
        cluster.register(Angle, int, Angle, name="Angle")
    await two.expose(angles)
    assert {type(each) for each in await items_of(two.caller.call("angles"))} == {Angle}


@pytest.mark.parametrize(
    "answer",
    [None, 5, [], [ITEMS], [ITEMS, False, 5, True, None], [0, 1], [ITEMS, False, [], False, 7]],
    ids=repr,
)
async def test_items_that_are_none_are_an_error(two, answer):
    answers = [[ITEMS, False, [1], True, None], answer]
    two.server.mailbox(MAILBOX, lambda letter: answers.pop(0), offer={"f": ["()", "stream"]})
    await two.caller.wait_for_exposed("f")
    got = []
    with pytest.raises(DecodeError):
        await take(two.caller.call("f"), got)
    assert got == [1]
