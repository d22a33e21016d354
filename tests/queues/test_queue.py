"""``AsyncQueue``: every item is done once by somebody, and the queue ends by itself."""

import asyncio
import dataclasses
import zlib
from collections import Counter
from contextlib import AsyncExitStack
from functools import partial

import pytest

from meshcluster import AsyncCluster
from meshcluster.config import ClusterConfig, Limits
from meshcluster.errors import (
    ConfigError,
    DeadLetter,
    DecodeError,
    EncodeError,
    MessageTooLarge,
    QueueClosed,
    QueueFull,
    Undelivered,
)
from meshcluster.queues import consuming
from tests.waiting import eventually


@dataclasses.dataclass
class Point:
    x: int


@pytest.fixture
async def join(beacon_port, monkeypatch):
    async with AsyncExitStack() as stack:

        async def join(name, **limits):
            with monkeypatch.context() as patch:
                config = partial(ClusterConfig, limits=Limits(**limits))
                patch.setattr("meshcluster.cluster.ClusterConfig", config)
                joining = AsyncCluster().join(name=name, port=beacon_port)
            return await stack.enter_async_context(joining)

        yield join


@pytest.fixture
async def three(join):
    members = [await join(name) for name in ("one", "two", "three")]
    for member in members:
        await member.wait_for_services(2)
    return members


def soon(awaitable):
    return asyncio.wait_for(awaitable, 20)


async def taken_by(queue):
    return [item async for item in queue]


def begin(*awaitables):
    return asyncio.gather(*awaitables)


# --- putting and taking ---


async def test_each_item_goes_to_one_of_several_and_the_queue_ends_by_itself(three):
    one, *others = three
    queue = one.queue("q")
    takers = begin(*[taken_by(other.queue("q")) for other in others])
    await queue.wait_ready(2)
    assert sorted(service.name for service in queue.consumers) == ["three", "two"]
    for number in range(500):
        await queue.put(number)
    await queue.close(20)
    got = await soon(takers)
    assert sorted(got[0] + got[1]) == list(range(500))
    assert all(each == sorted(each) and each for each in got)
    assert (queue.pending, queue.duplicates, queue.lost, queue.dead_letters) == (0, 0, 0, [])
    assert queue.over
    assert repr(queue) == "<AsyncQueue q: 0 of ours are not done>"


async def test_round_robin_gives_to_each_in_turn(three):
    one, *others = three
    queue = one.queue("q", policy="round_robin")
    queues = [other.queue("q", policy="round_robin") for other in others]
    first = asyncio.create_task(taken_by(queues[0]))
    await queue.wait_ready()
    other = asyncio.create_task(taken_by(queues[1]))
    await queue.wait_ready(2)
    for number in range(40):
        await queue.put(number)
    await queue.close(20)
    assert await soon(first) == list(range(0, 40, 2))
    assert await soon(other) == list(range(1, 40, 2))


async def test_all_get_all_that_is_put_when_they_are_there(three):
    one, *others = three
    queue = one.queue("q", mode="all")
    takers = begin(*[taken_by(other.queue("q", mode="all")) for other in others])
    await queue.wait_ready(2)
    for number in range(20):
        await queue.put(number)
    await queue.close(20)
    assert await soon(takers) == [list(range(20))] * 2


async def test_items_of_a_key_stay_in_order_at_one_consumer(three):
    one, *others = three
    queue = one.queue("q", mode="key")
    takers = begin(*[taken_by(other.queue("q", mode="key")) for other in others])
    await queue.wait_ready(2)
    for number in range(20):
        for key in "abcdefgh":
            await queue.put((key, number), key=key)
    await queue.close(20)
    got = await soon(takers)
    where = [{key for key, _ in each} for each in got]
    assert where[0] & where[1] == set()
    for each in got:
        for key in "abcdefgh":
            assert [n for k, n in each if k == key] in ([], list(range(20)))


async def test_several_producers_are_taken_from_until_the_last_one_has_closed(three):
    one, two, three = three
    taker = asyncio.create_task(taken_by(three.queue("q")))
    queues = [one.queue("q"), two.queue("q")]
    for queue in queues:
        await queue.wait_ready()
        await queue.put(queue is queues[0])
    await queues[0].close(20)
    for _ in range(10):
        await queues[1].put("more")
    await queues[1].close(20)
    assert Counter(await soon(taker)) == {True: 1, False: 1, "more": 10}


async def test_an_item_is_as_it_was_when_it_was_put(three):
    one, two, _ = three
    queue, item = one.queue("q"), [1, {"a": [2]}]
    await queue.put(item)
    item[1]["a"].append(3)
    assert (await two.queue("q").get(10)).item == [1, {"a": [2]}]


async def test_what_cannot_be_put_is_refused_where_it_is_put_and_nobody_else_sees_it(join):
    one, two = await join("one", message_bytes=20_000), await join("two", message_bytes=20_000)
    queue = one.queue("q", type=list[bytes])
    with pytest.raises(TypeError):
        await queue.put("no list")
    with pytest.raises(MessageTooLarge):
        await queue.put([bytes(20_000)])
    other = one.queue("other")
    with pytest.raises(EncodeError):
        await other.put(object())
    assert (queue.pending, other.pending) == (0, 0)
    for size in (1, 1, 15_890, 5000, 15_890):
        await queue.put([bytes(size)])
    taker = asyncio.create_task(taken_by(two.queue("q", type=list[bytes])))
    await queue.close(20)
    assert [len(item) for (item,) in await soon(taker)] == [1, 1, 15_890, 5000, 15_890]
    assert queue.dead_letters == []


async def test_there_is_room_for_so_many_items_that_are_not_done(three):
    one, two, _ = three
    queue = one.queue("q", bound=3)
    for number in range(3):
        await queue.put(number)
    with pytest.raises(QueueFull, match=r"3 items are not done after 0\.02 s, .*; 0 consumers"):
        await queue.put(3, timeout=0.02)
    with pytest.raises(ConfigError):
        await queue.put(3, timeout=-1)
    waiting = asyncio.create_task(queue.put(3))
    taking = two.queue("q")
    (await taking.get(10)).done()
    await taking.get(10)
    await soon(waiting)
    assert queue.pending == 3
    waiting = asyncio.create_task(queue.put(4))
    await asyncio.sleep(0)
    await queue.close()
    with pytest.raises(QueueClosed):
        await soon(waiting)


# --- codecs and types ---


async def test_codecs_are_the_same_at_both_ends_or_the_consumer_is_told(three):
    one, two, three = three
    flip = (lambda data: data[::-1],) * 2
    codecs = [(zlib.compress, zlib.decompress), flip]
    queue = one.queue("q", codecs=codecs, max_deliveries=5)
    await queue.put("x" * 1000)
    wrong = two.queue("q", codecs=codecs[::-1])
    with pytest.raises(DecodeError, match="a codec refuses"):
        await wrong.get(10)
    await wrong.close()
    taken = await three.queue("q", codecs=codecs).get(10)
    assert (taken.item, taken.redelivered) == ("x" * 1000, True)


async def test_dataclasses_come_as_such_where_the_type_says_so(three):
    one, two, _ = three
    queue = one.queue("q", type=Point)
    await queue.put(Point(5))
    assert (await two.queue("q", type=Point).get(10)).item == Point(5)


# --- done, or not ---


async def test_what_a_consumer_rejects_goes_to_another_and_says_so(three):
    one, two, three = three
    queue = one.queue("q")
    await queue.put("x")
    mine = two.queue("q", prefetch=1)
    taken = await mine.get(10)
    assert (taken.item, taken.deliveries, taken.redelivered) == ("x", 0, False)
    assert (taken.service.name, repr(taken)) == ("one", "<Taken 'x' of q>")
    taken.reject()
    taken.done("nothing happens")
    await mine.close()
    again = await three.queue("q").get(10)
    assert (again.item, again.deliveries, again.redelivered) == ("x", 1, True)
    assert queue.pending == 1
    again.done()
    again.done()
    await soon(three.queue("none").join())
    await eventually(lambda: queue.pending == 0 or three.queues.consuming["q"].flush_all())
    assert queue.duplicates == 0


@pytest.mark.parametrize("how", ["break", "raise", "cancel"])
async def test_a_loop_that_is_left_gives_back_what_it_had(three, how):
    one, two, three = three
    queue = one.queue("q")
    for number in range(4):
        await queue.put(number)
    holding = asyncio.Event()

    async def leave():
        async for _ in two.queue("q", prefetch=3):
            if how == "break":
                break
            if how == "raise":
                raise ValueError("in the body")
            holding.set()
            await asyncio.Event().wait()

    leaving = asyncio.create_task(leave())
    if how == "cancel":
        await soon(holding.wait())
        leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await eventually(lambda: queue.consumers == ())
    taker = asyncio.create_task(taken_by(three.queue("q")))
    await queue.close(20)
    assert sorted(await soon(taker)) == [0, 1, 2, 3]


async def test_an_item_that_so_many_reject_is_a_dead_letter(three):
    one, two, _ = three
    queue, calls = one.queue("q", max_deliveries=3), []

    def work(item):
        calls.append(item)
        if item == "bad":
            raise ValueError("I never can")
        return item.upper()

    serving = asyncio.create_task(two.queue("q").serve(work))
    futures = [await queue.submit(item) for item in ("a", "bad", "b")]
    a, bad, b = await soon(asyncio.gather(*futures, return_exceptions=True))
    assert (a, b, type(bad)) == ("A", "B", DeadLetter)
    assert (bad.item, bad.deliveries) == ("bad", 3)
    assert Counter(calls) == {"a": 1, "b": 1, "bad": 3}
    assert queue.dead_letters == ["bad"]
    await queue.close(10)
    await soon(serving)


async def test_a_result_that_cannot_be_sent_is_a_failure_of_that_item_alone(three):
    one, two, _ = three
    queue = one.queue("q", max_deliveries=2)
    serving = asyncio.create_task(two.queue("q").serve(lambda item: item or object()))
    bad, good = [await queue.submit(item) for item in (0, 1)]
    assert await soon(good) == 1
    with pytest.raises(DeadLetter):
        await soon(bad)
    await queue.close(10)
    await soon(serving)


async def test_items_of_a_member_that_left_go_to_others(three):
    one, two, three = three
    queue = one.queue("q")
    for number in range(6):
        await queue.put(number)
    mine = two.queue("q", prefetch=4)
    assert [(await mine.get(10)).item for _ in range(4)] == [0, 1, 2, 3]
    await two.leave()
    assert await soon(mine.get()) is None
    flags = {}
    closing = asyncio.create_task(queue.close(20))
    async for taken in three.queue("q").deliveries():
        flags[taken.item] = taken.redelivered
        taken.done()
    await closing
    assert flags == {0: True, 1: True, 2: True, 3: True, 4: False, 5: False}


async def test_at_most_once_what_a_lost_consumer_had_is_counted_and_not_given_again(three):
    one, two, three = three
    queue = one.queue("q", at_most_once=True)
    for number in range(6):
        await queue.put(number)
    mine = two.queue("q", prefetch=4)
    assert [(await mine.get(10)).item for _ in range(4)] == [0, 1, 2, 3]
    await two.leave()
    taker = asyncio.create_task(taken_by(three.queue("q")))
    await queue.close(20)
    assert await soon(taker) == [4, 5]
    assert queue.lost == 4


async def test_who_is_at_work_holds_on_and_who_says_nothing_is_given_up(three, monkeypatch):
    one, two, three = three
    queue = one.queue("q", lease=1.0)
    await queue.put("long work")
    taken = await two.queue("q").get(10)
    (outlet,) = queue._producing.outlets.all.values()
    since = outlet.heard_at
    await eventually(lambda: outlet.heard_at > since + 0.4)
    assert [service.name for service in queue.consumers] == ["two"]
    monkeypatch.setattr(consuming.Consuming, "_look", lambda self: None)  # it says nothing more
    await eventually(lambda: queue.consumers == ())
    again = await three.queue("q").get(10)
    assert (again.item, again.deliveries) == ("long work", 1)
    taken.done("too late")
    two.queues.consuming["q"].flush_all()
    await eventually(lambda: queue.duplicates == 1)
    assert queue.pending == 1


# --- results ---


@pytest.mark.parametrize(
    "result", [None, 0, "text", b"\0", [1, (2, {3})], {1: None}, 1.5, 1 << 90, [None]]
)
async def test_results_of_any_type_come_back(three, result):
    one, two, _ = three
    queue = one.queue("q")
    future = await queue.submit("x")
    (await two.queue("q").get(10)).done(result)
    await two.queue("other").close()
    two.queues.consuming["q"].flush_all()
    assert await soon(future) == result


async def test_map_gives_what_came_of_each_item_in_order(three):
    one, *others = three
    queue, seen = one.queue("q", bound=8), []

    async def work(item):
        await asyncio.sleep(0)
        return item * 2

    serving = begin(*[other.queue("q").serve(work) for other in others])
    mapping = queue.map(range(100), progress=lambda done, of: seen.append((done, of)))
    assert await soon(mapping) == [2 * n for n in range(100)]
    assert seen == [(n, 100) for n in range(1, 101)]
    assert await soon(queue.map(iter([]))) == []
    as_they_come = [result async for result in queue.map(iter(range(20)), ordered=False)]
    assert sorted(as_they_come) == [2 * n for n in range(20)]
    await queue.close(10)
    await soon(serving)
    with pytest.raises(QueueClosed):
        queue.map([1])


async def test_as_they_come_a_slow_item_holds_up_no_other(three):
    one, *others = three
    queue, go = one.queue("q"), asyncio.Event()

    async def work(item):
        if item == 0:
            await go.wait()
        return item

    serving = begin(*[other.queue("q", prefetch=1).serve(work) for other in others])
    await queue.wait_ready(2)
    got = []
    async for result in queue.map(range(10), ordered=False):
        got.append(result)
        if len(got) == 9:
            go.set()
    assert got[-1] == 0
    assert sorted(got) == list(range(10))
    await queue.close(10)
    await soon(serving)


async def test_a_dataclass_comes_back_as_the_dict_of_its_fields(three):
    one, two, _ = three
    queue = one.queue("q", type=Point)
    serving = asyncio.create_task(two.queue("q", type=Point).serve(lambda point: point))
    assert await soon(await queue.submit(Point(3))) == {"x": 3}
    await queue.close(10)
    await soon(serving)


async def test_a_future_that_is_cancelled_changes_nothing_for_the_item(three):
    one, two, _ = three
    queue = one.queue("q")
    future = await queue.submit("x")
    future.cancel()
    taker = asyncio.create_task(taken_by(two.queue("q")))
    await queue.close(10)
    assert await soon(taker) == ["x"]


async def test_a_mapping_that_is_left_lets_go(three):
    one, two, _ = three
    queue = one.queue("q", bound=4)
    serving = asyncio.create_task(two.queue("q").serve(lambda item: item))
    results = queue.map(range(1000)).__aiter__()
    assert await soon(anext(results)) == 0
    await results.aclose()
    await queue.close(10)
    await soon(serving)
    assert queue.pending == 0


# --- waiting, and the end ---


async def test_those_who_take_are_waited_for(three):
    one, two, _ = three
    queue = one.queue("q")
    with pytest.raises(TimeoutError, match=r"0 of 1 consumers of 'q' after 0\.02 s"):
        await queue.wait_ready(timeout=0.02)
    await queue.wait_ready(0)
    getting = asyncio.create_task(two.queue("q").get(10))
    await queue.wait_ready()
    await queue.put(1)
    assert (await getting).item == 1


async def test_nothing_that_comes_is_waited_for_as_long_as_is_said(three):
    queue = three[0].queue("q")
    with pytest.raises(TimeoutError, match=r"queue 'q': nothing came for 0\.02 s"):
        await queue.get(0.02)


async def test_join_waits_until_all_is_done_or_names_what_is_not(three):
    one, two, _ = three
    queue = one.queue("q")
    await queue.join()
    await queue.put("a")
    await queue.put("b")
    with pytest.raises(Undelivered, match="2 items are not done") as caught:
        await queue.join(0.02)
    assert (caught.value.name, caught.value.items) == ("q", ("a", "b"))
    joining = asyncio.create_task(queue.join())
    taking = two.queue("q", prefetch=5)
    (await taking.get(10)).done()
    assert not joining.done()
    (await taking.get(10)).done()
    await soon(joining)
    await queue.put("still open")


async def test_close_gives_up_what_is_not_done_in_time_and_names_it(three):
    one, two, _ = three
    queue = one.queue("q")
    futures = [await queue.submit(number) for number in range(3)]
    taken = await two.queue("q").get(10)
    with pytest.raises(Undelivered) as caught:
        await queue.close(0.02)
    assert caught.value.items == (0, 1, 2)
    assert [type(future.exception()) for future in futures] == [Undelivered] * 3
    assert (queue.pending, queue.over) == (0, True)
    await queue.close(1)
    taken.done("too late")
    assert await soon(two.queues.opened["q"].get()) is None


async def test_closed_with_items_it_waits_for_who_comes(three):
    one, two, _ = three
    queue = one.queue("q")
    await queue.put(1)
    await queue.close()
    await queue.close()
    with pytest.raises(QueueClosed, match="'q' is closed: nothing more is put"):
        await queue.put(2)
    with pytest.raises(QueueClosed):
        await queue.submit(2)
    assert (queue.over, queue.pending) == (False, 1)
    assert await soon(taken_by(two.queue("q"))) == [1]
    await soon(queue.join())
    assert queue.over


async def test_with_closes_and_waits_unless_something_was_raised(three):
    one, two, _ = three
    taker = asyncio.create_task(taken_by(two.queue("q")))
    async with one.queue("q") as queue:
        await queue.put(1)
    assert (queue.pending, await soon(taker)) == (0, [1])

    async def fail():
        async with one.queue("r") as queue:
            await queue.put(1)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await fail()
    async with two.queue("unused") as unused:
        pass
    assert unused.over


async def test_a_consumer_that_closes_takes_nothing_more_and_others_get_it(three):
    one, two, three = three
    queue = one.queue("q")
    for number in range(5):
        await queue.put(number)
    taking = two.queue("q", prefetch=3)
    (await taking.get(10)).done()
    await taking.get(10)
    await taking.close()
    assert await taking.get() is None
    taker = asyncio.create_task(taken_by(three.queue("q")))
    await queue.close(20)
    assert sorted(await soon(taker)) == [1, 2, 3, 4]


async def test_a_producer_that_left_is_missed_by_name(three, monkeypatch, caplog):
    monkeypatch.setattr(consuming, "RETURN_SECONDS", 0.2)
    one, two, _ = three
    queue = one.queue("q")
    await queue.put(1)
    future = await queue.submit(2)
    taking = two.queue("q")
    (await taking.get(10)).done()
    await one.leave()
    with pytest.raises(Undelivered):
        await soon(future)
    await soon(taken_by(taking))
    assert [service.name for service in taking.lost_producers] == ["one"]
    assert taking.producers == ()
    assert "one was lost before it closed" in caplog.text
