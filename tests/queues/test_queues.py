"""The queues of a member: opened once each, found by their offers, and what strangers may say."""

import asyncio
import dataclasses
from contextlib import AsyncExitStack

import pytest

from meshcluster import AsyncCluster
from meshcluster.errors import (
    ConfigError,
    DecodeError,
    NotJoined,
    QueueClosed,
    QueueMismatch,
    RemoteError,
    Undelivered,
)
from meshcluster.queues import queues as module
from meshcluster.queues.letters import ACK, ATTACH, BACK, DETACH, END, HOLD, ITEMS, MAILBOX, RESULTS
from meshcluster.queues.queues import queues_of
from tests.waiting import eventually


@dataclasses.dataclass
class Point:
    x: int


@pytest.fixture
async def join(beacon_port):
    async with AsyncExitStack() as stack:

        async def join(name, cluster=None):
            joining = (cluster or AsyncCluster()).join(name=name, port=beacon_port)
            return await stack.enter_async_context(joining)

        yield join


@pytest.fixture
async def pair(join):
    one, other = await join("one"), await join("other")
    await one.wait_for_services()
    await other.wait_for_services()
    return one, other


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


async def all_of(queue):
    return [item async for item in queue]


async def test_a_name_is_open_once_at_a_member_until_it_was_closed_and_is_done(pair):
    one, _ = pair
    queue = one.queue("q")
    with pytest.raises(ConfigError, match="open here already"):
        one.queue("q")
    await queue.put(1)
    with pytest.raises(ConfigError, match="open here already"):
        one.queue("q")
    await queue.close()
    with pytest.raises(ConfigError, match="open here already"):
        one.queue("q")
    for name in ("", "x" * 500, 5):
        with pytest.raises(ConfigError):
            one.queue(name)


async def test_a_queue_that_was_closed_without_use_may_be_opened_again(pair):
    one, _ = pair
    queue = one.queue("q")
    await queue.close()
    await queue.join()
    assert await queue.get() is None
    assert await all_of(queue) == []
    with pytest.raises(QueueClosed):
        await queue.put(1)
    assert one.queue("q") is not queue


async def test_a_queue_may_be_opened_again_after_it_ended(pair):
    one, other = pair
    for items in ([1, 2], [3], [4, 5, 6]):
        queue = one.queue("q")
        for item in items:
            await queue.put(item)
        taking = asyncio.create_task(all_of(other.queue("q")))
        await queue.close(10)
        assert await soon(taking) == items


async def test_a_consumer_that_has_ended_takes_nothing_from_who_comes_later(pair):
    one, other = pair
    first = one.queue("q")
    await first.put(1)
    taking = other.queue("q")
    assert await soon(asyncio.gather(first.close(10), all_of(taking))) == [None, [1]]
    again = one.queue("q")
    await again.put(2)
    assert again.consumers == ()  # nobody takes it, until somebody begins to
    assert await soon(asyncio.gather(again.close(10), all_of(other.queue("q")))) == [None, [2]]


async def test_numbers_go_on_when_a_queue_is_opened_again(pair):
    one, other = pair
    numbers = []
    for expected in (1, 2, 3):
        queue, mine = one.queue("q"), other.queue("q")
        result = await queue.submit("item")
        taken = await mine.get(10)
        numbers.append(taken._delivery.number)
        taken.done(expected)
        assert await soon(result) == expected
        await mine.close()
        await queue.close(10)
    assert sorted(set(numbers)) == numbers  # so no late word is about another item


async def test_one_that_serves_and_is_cancelled_gives_its_item_to_another(pair):
    one, other = pair
    queue, mine = one.queue("q", max_deliveries=9), other.queue("q")
    begun = asyncio.Event()

    async def hang(item):
        begun.set()
        await asyncio.sleep(60)

    serving = asyncio.create_task(mine.serve(hang))
    result = await queue.submit("x")
    await soon(begun.wait())
    serving.cancel()
    await asyncio.wait([serving])
    assert mine._readers == 0
    helping = asyncio.create_task(mine.serve(str.upper))
    assert await soon(result) == "X"
    await queue.close(10)
    await soon(helping)


async def test_who_comes_when_all_is_done_ends_at_once(pair):
    one, other = pair
    queue = one.queue("q")
    await queue.put(1)
    assert await soon(asyncio.gather(queue.close(10), all_of(other.queue("q")))) == [None, [1]]
    assert await soon(all_of(other.queue("q"))) == []
    nothing = one.queue("nothing is put")
    with pytest.raises(TimeoutError):
        await nothing.wait_ready(timeout=0.01)
    await nothing.close()
    assert await soon(all_of(other.queue("nothing is put"))) == []


async def test_of_queues_that_ended_the_last_are_remembered(pair, monkeypatch):
    monkeypatch.setattr(module, "MOST_ENDED", 3)
    one, other = pair
    for number in range(8):
        queue = one.queue(f"q{number}")
        queue._producer()
        await queue.close()
    offered = {"q4", "q5", "q6", "q7"}
    await eventually(lambda: set(queues_of(other.services[0])) == offered)


async def test_who_means_another_queue_is_told_so_and_others_are_not_disturbed(pair, join):
    one, other = pair
    third = await join("third")
    queue = one.queue("q", type=Point)
    await queue.put(Point(1))
    for given in ({"type": int}, {"mode": "all"}, {"type": Point, "mode": "key"}):
        wrong = other.queue("q", **given)
        with pytest.raises(QueueMismatch, match="one refuses"):
            await wrong.get(10)
        with pytest.raises(QueueMismatch):
            await soon(all_of(wrong))
        await wrong.close()
    assert [service.name for service, _ in queue.refused] == ["other"] * len(queue.refused)
    assert "items are Point(x: int) here, int there" in [why for _, why in queue.refused]
    assert queue.consumers == ()
    right = third.queue("q", type=Point)
    taken = await right.get(10)
    assert taken.item == Point(1)
    taken.done()
    await soon(queue.join())


async def test_who_has_no_type_takes_any(pair):
    one, other = pair
    queue = one.queue("q", type=int)
    await queue.put(1)
    assert (await other.queue("q").get(10)).item == 1


async def test_a_member_that_left_has_no_queues_and_may_open_them_when_it_joins_again(
    pair, beacon_port
):
    one, _ = pair
    again = AsyncCluster()
    for _ in range(2):
        async with again.join(name="again", port=beacon_port):
            queue = again.queue("q")
            future = await queue.submit(1)
        with pytest.raises(Undelivered):
            await soon(future)
        with pytest.raises((NotJoined, QueueClosed)):
            await queue.put(2)
        assert queue.over
    async with again.join(name="again", port=beacon_port):
        await eventually(lambda: one.services and one.services[-1].name == "again")
        taking = asyncio.create_task(one.queue("q").get(10))
        queue = again.queue("q")
        await queue.put(3)
        assert (await taking).item == 3


async def test_who_waits_for_items_when_it_leaves_gets_none(pair):
    one, _ = pair
    waiting = asyncio.create_task(one.queue("q").get())
    serving = asyncio.create_task(all_of(one.queue("r")))
    await asyncio.sleep(0)
    await one.leave()
    assert await soon(waiting) is None
    assert await soon(serving) == []
    with pytest.raises(NotJoined):
        await AsyncCluster().queue("q").put(1)


# --- strangers ---


@pytest.fixture
async def stranger(pair, join):
    """A member that says what it likes; the queue of another that has two items in its hands."""
    one, _ = pair
    queue = one.queue("q", prefetch=2, bound=5)
    await queue.put(1)
    await queue.put(2)
    other = await join("stranger")
    box = other.mailbox(MAILBOX, lambda letter: True)
    await box.wait_for_services()
    (service,) = box.services

    async def say(*words):
        return await soon(box.request(service, list(words)))

    say.raw = lambda data: soon(box.request(service, data))
    return say, queue


@pytest.mark.parametrize("attached", [False, True])
async def test_letters_that_are_none_are_refused_and_the_queue_goes_on(pair, stranger, attached):
    say, queue = stranger
    if attached:
        assert (await say(ATTACH, "q", "one", "", 2))[0] is True
    for data in (None, 5, "text", [], ["attach"], [ACK, 5], [[], "q"], {"a": 1}):
        with pytest.raises(RemoteError, match=DecodeError.__name__):
            await say.raw(data)
    bad = [[], {}, None, "1", 1.0, True, b"1", float("inf"), float("nan")]
    letters = [[ACK, "q"], [RESULTS, "q"], [BACK, "q"], [ATTACH, "q"], ["what", "q"], [[], "q"]]
    letters += [[HOLD, "q", 1], [DETACH, "q", 1], [RESULTS, "q", 1, [1], []]]
    for each in bad:
        letters += [[ACK, "q", each], [ACK, "q", 1, 1, each], [RESULTS, "q", 1, [each], [b""]]]
        letters += [[RESULTS, "q", 1, each, [b""]], [ATTACH, "q", "one", "", each]]
        letters += [[BACK, "q", True, 1, each], [ATTACH, "q", each if each != "1" else 1, "", 1]]
        if each is not None:
            letters += [[RESULTS, "q", 1, [1], [each]]] if each != b"1" else []
        letters += [[BACK, "q", each]] if each is not True else []
        letters += [[RESULTS, "q", 1, [1], each], [RESULTS, "q", 1, b"1", each]]
    for letter in letters:
        with pytest.raises(RemoteError, match=DecodeError.__name__):
            await say(*letter)
    assert queue.pending == 2
    if attached:
        assert await say(DETACH, "q") is True
    assert await say(HOLD, "q") is False
    _, other = pair
    taking = asyncio.create_task(all_of(other.queue("q")))
    await queue.close(10)
    assert await soon(taking) == [1, 2]


async def test_numbers_that_nobody_gave_are_counted_and_no_more(stranger):
    say, queue = stranger
    assert await say(ACK, "q", 1, 1, 2) is False
    assert await say(ATTACH, "q", "one", "", -5) == [True, 30.0, 1, False]
    assert await say(ACK, "q", -(1 << 70), -1, 0, 99, 1 << 80) is True
    assert await say(BACK, "q", True, 77, -1, 1 << 80) is True
    assert (queue.pending, queue.duplicates) == (2, 6)
    assert await say(ACK, "q", 1 << 80, 1) is True
    assert await say(ACK, "q", 1 << 80, 2) is True
    assert (queue.pending, queue.consumers[0].name) == (0, "stranger")
    (outlet,) = queue._producing.outlets.all.values()
    assert outlet.credit == module.MOST_HELD


async def test_queues_that_are_not_here_are_said_to_be_not_here(stranger):
    say, _ = stranger
    for words in ([ATTACH, "other", "one", "", 1], [ACK, "other"], [ITEMS, "q", 1, 0, b"x"]):
        assert await say(*words) is False
    assert await say(END, "other", 1) is True
    with pytest.raises(RemoteError):
        await say(END, "other")


async def test_a_long_type_that_is_refused_is_told_shortly(stranger):
    say, queue = stranger
    taken, why = await say(ATTACH, "q", "x" * 100_000, "", 1)
    assert (taken, len(why) < 200) == (False, True)
    assert len(queue.refused) == 1


async def test_items_that_are_none_are_refused_and_the_consumer_goes_on(pair, join):
    one, other = pair
    queue = other.queue("q", type=int)
    getting = asyncio.create_task(queue.get(10))
    say = one.mailbox(MAILBOX, lambda letter: [True, 30.0, 1, False], offer={"q": ["one", "int"]})
    await eventually(lambda: queue.producers)
    (service,) = [s for s in one.services if s.name == "other"]

    async def ask(*words):
        return await soon(say.request(service, list(words)))

    bad = [[], None, "1", 1.0, True, b"1"]
    letters = [[ITEMS, "q"], [ITEMS, "q", 1], [ITEMS, "q", 1, 0], [ITEMS, "q", 1, 0, "text"]]
    letters += [[ITEMS, "q", each, 0, b""] for each in bad]
    letters += [[ITEMS, "q", 1, each, b""] for each in bad]
    for letter in letters:
        with pytest.raises(RemoteError, match=DecodeError.__name__):
            await ask(*letter)
    assert await ask(ITEMS, "q", -7, 1 << 70, b"no item") is True
    with pytest.raises(DecodeError, match="is no item"):
        await getting
    third = (await join("third")).queue("q", type=int)
    await third.put(5)
    assert (await queue.get(10)).item == 5
    assert await ask(END, "q", 1) is True
    await queue.close()
    assert await ask(ITEMS, "q", 1, 0, b"late") is False


async def test_offers_that_are_none_are_not_looked_at(pair):
    one, other = pair
    queue = other.queue("q")
    getting = asyncio.create_task(queue.get(10))
    box = one.mailbox(MAILBOX, lambda letter: {}["no"], offer=5)
    for offer in ("q", ["q"], {"q": 1}, {"q": [1, 2]}, {"q": "one"}, {}, None):
        box.offer(offer)
        await eventually(lambda offer=offer: other.services[0].offers.get(MAILBOX) == offer)
        assert queues_of(other.services[0]) == {}
        assert queue.producers == ()
    box.offer({"q": ["one", ""]})
    await eventually(lambda: queue._consuming.sources)
    await eventually(lambda: all(each.lost_at for each in queue._consuming.sources.values()))
    getting.cancel()
    await asyncio.gather(getting, return_exceptions=True)
    await queue.close()
