"""Hooks placed after joining miss nothing: members are told again, messages are held."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial

import pytest

from meshcluster import AsyncCluster, NoResponder
from meshcluster.config import ClusterConfig, Limits


@pytest.fixture
async def join(beacon_port, monkeypatch):
    """Joins members, with limits of their own if need be; all leave at the end."""
    async with AsyncExitStack() as stack:

        async def join(*tags, **limits):
            with monkeypatch.context() as patch:
                config = partial(ClusterConfig, limits=Limits(**limits))
                patch.setattr("meshcluster.cluster.ClusterConfig", config)
                joining = AsyncCluster().join(tags, port=beacon_port)
            return await stack.enter_async_context(joining)

        yield join


@pytest.fixture
async def sender(join):
    return await join("sender")


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


async def arrived(sender):
    """Waits until all that was sent was received, hooks or not."""
    for _ in range(5000):
        if sender.joined.node.idle:
            return
        await asyncio.sleep(0.002)
    pytest.fail("not acknowledged in ten seconds")


async def test_a_late_hook_is_told_each_known_member_once_in_the_order_of_discovery(join):
    late = await join("late")
    for tag in "abc":
        await join(tag)
    known = await late.wait_for_services(3)
    told = []
    late.hook("service.discovered")(told.append)
    await join("d")
    await late.wait_for_services(4)
    assert told[:3] == list(known)
    assert [service.tags for service in told] == [("a",), ("b",), ("c",), ("d",)]


async def test_a_second_late_hook_is_told_too_and_the_first_not_again(join):
    late = await join("late")
    await join("a")
    await late.wait_for_services()
    first, second = [], []
    late.hook("service.discovered")(first.append)
    late.hook("service.discovered")(second.append)
    assert len(first) == len(second) == 1


async def test_events_wait_for_the_first_event_hook(join, sender):
    late = await join("late", settle_seconds=60)
    await sender.wait_for_services()
    for number in range(10):
        await sender.send(number, resolve="late")
    await arrived(sender)
    heard = []
    late.hook("event")(lambda message: heard.append(message.data))
    assert heard == list(range(10))


async def test_events_before_and_after_the_first_hook_keep_their_order(join, sender):
    late = await join("late", settle_seconds=60)
    await sender.wait_for_services()
    heard, last = [], asyncio.Event()

    def hear(message):
        heard.append(message.data)
        if message.data == 999:
            last.set()

    for number in range(1000):
        await sender.send(number, resolve="late")
        if number == 500:
            await arrived(sender)
            late.hook("event")(hear)
    await soon(last.wait())
    assert heard == list(range(1000))


async def test_questions_wait_for_the_first_query_hook(join, sender):
    late = await join("late", settle_seconds=60)
    await sender.wait_for_services()
    queries = [sender.query(number) for number in range(3)]
    await arrived(sender)
    late.hook("query")(lambda question: question.data * 10)
    answers = [list((await soon(query.wait())).values()) for query in queries]
    assert answers == [[0], [10], [20]]


async def test_a_hook_of_another_point_releases_nothing(join, sender):
    late = await join("late", settle_seconds=60)
    await sender.wait_for_services()
    await sender.send("held", resolve="late")
    await arrived(sender)
    late.hook("query")(lambda question: None)
    late.hook("service.lost")(lambda service: None)
    heard = []
    late.hook("event")(lambda message: heard.append(message.data))
    assert heard == ["held"]


async def test_once_settled_nothing_is_held_any_more(join, sender):
    late = await join("late", settle_seconds=0.05)
    await sender.wait_for_services()
    await sender.send("too early", resolve="late")
    query = sender.query("too early")
    await soon(query.wait())
    assert [type(error) for error in query.errors.values()] == [NoResponder]
    heard = asyncio.Queue()
    late.hook("event")(heard.put_nowait)
    await sender.send("in time", resolve="late")
    assert (await soon(heard.get())).data == "in time"
    assert heard.empty()


async def test_questions_beyond_the_limit_get_no_responder_at_once(join, sender):
    late = await join("late", settle_seconds=60, held_questions=2)
    await sender.wait_for_services()
    queries = [sender.query(number) for number in range(3)]
    await soon(queries[2].wait())
    assert [type(error) for error in queries[2].errors.values()] == [NoResponder]
    late.hook("query")(lambda question: "late")
    assert [len(await soon(query.wait())) for query in queries[:2]] == [1, 1]


async def test_leaving_hands_out_what_is_held(join, sender):
    late = await join("late", settle_seconds=60)
    await sender.wait_for_services()
    query = sender.query("anybody?")
    await arrived(sender)
    await late.leave()
    await soon(query.wait())
    assert len(query.errors) == 1
