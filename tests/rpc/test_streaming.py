"""The member whose generators are called: how far ahead it makes items, and when one has ended."""

import asyncio
import threading

from meshcluster.rpc.streaming import STREAM_BYTES, STREAM_ITEMS, room_for
from tests.rpc.test_stream import items_of, soon
from tests.waiting import eventually


def test_the_larger_items_are_the_fewer_are_made_ahead():
    assert room_for(1) == room_for("x" * 1000) == STREAM_ITEMS
    assert room_for(bytes(STREAM_BYTES // 4)) == 3
    assert room_for({"a": [bytes(STREAM_BYTES * 2)]}) == 1


async def test_a_stream_that_is_cancelled_keeps_its_place_until_its_thread_is_out_of_it(two):
    inside, go, most = [], threading.Event(), []

    def items():
        inside.append(1)
        try:
            most.append(len(inside))
            yield "begun"
            go.wait(10)
        finally:
            inside.pop()

    await two.expose(items, limit=1)
    async with await two.caller.call("items"):
        pass  # cancelled, while its thread makes the second item
    second = two.caller.go("items")
    await eventually(lambda: two.load == [1])
    assert not second.done()
    go.set()
    assert await soon(items_of(second)) == ["begun"]
    assert most == [1, 1]


async def test_large_items_are_not_too_large_together(two):
    def chunks(n):
        for _ in range(n):
            yield bytes(1024 * 1024)

    await two.expose(chunks)
    async with await two.caller.call("chunks", 80) as stream:
        await asyncio.sleep(0.2)  # as many are made as may be, while nobody takes any
        assert [len(item) async for item in stream] == [1024 * 1024] * 80
