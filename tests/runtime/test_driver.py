"""A joined member at work: from any thread, under load, with broken neighbours, when leaving."""

import asyncio
import threading
from contextlib import ExitStack

import pytest

import meshcluster
from meshcluster import NotJoined
from tests.waiting import eventually


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


def test_many_threads_send_at_once_and_each_ones_order_is_kept(beacon_port):
    heard, done = [], threading.Event()

    def hear(message):
        heard.append(message.data)
        if len(heard) == 8 * 500:
            done.set()

    with ExitStack() as stack:
        one, other = (
            stack.enter_context(meshcluster.join([tag], port=beacon_port)) for tag in ("1", "2")
        )
        other.hook("event")(hear)
        one.wait_for_services()

        def send(thread):
            for number in range(500):
                one.send([thread, number], resolve="2")

        threads = [threading.Thread(target=send, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert done.wait(20)
    for thread in range(8):
        assert [n for t, n in heard if t == thread] == list(range(500))


async def test_twenty_megabytes_arrive_whole(pair):
    one, other = pair
    heard = asyncio.Queue()
    other.hook("event")(heard.put_nowait)
    body = bytes(range(256)) * 80_000
    await one.send(body, resolve="other")
    assert (await asyncio.wait_for(heard.get(), 30)).data == body


async def test_it_goes_on_announcing_itself(join):
    one = await join(heartbeat_seconds=0.05, expire_seconds=1)
    await eventually(lambda: one.dropped.get("datagrams: own copies", 0) > 8)


async def test_a_broken_receive_hook_drops_counts_and_reports_once(pair, caplog):
    one, other = pair
    heard = asyncio.Queue()
    other.hook("event")(heard.put_nowait)

    @other.hook("receive")
    def broken(message):
        if message.data == "poison":
            raise ValueError("inside")

    for text in ("poison", "poison", "fine"):
        await one.send(text, resolve="other")
    assert (await soon(heard.get())).data == "fine"
    assert other.dropped["receive: HookFailed"] == 2
    assert caplog.text.count("raised ValueError('inside')") == 1


async def test_a_protocol_that_breaks_while_dialling_gives_way_to_the_next(pair, monkeypatch):
    one, other = pair
    heard = asyncio.Queue()
    other.hook("event")(heard.put_nowait)

    async def broken(address, endpoint, accept):
        raise ZeroDivisionError

    monkeypatch.setattr(one.joined._handlers["unix"], "dial", broken)
    await one.send("x", resolve="other")
    assert (await soon(heard.get())).protocol == "tcp"


async def test_leaving_delivers_what_is_under_way(pair):
    one, other = pair
    heard = asyncio.Queue()
    other.hook("event")(heard.put_nowait)
    for number in range(3000):
        await one.send(number, resolve="other")
    await one.leave()
    assert [(await soon(heard.get())).data for _ in range(3000)] == list(range(3000))


async def test_leaving_waits_no_longer_than_told_for_who_does_not_answer(join, caplog, monkeypatch):
    one = await join(limits={"leave_seconds": 0.05})
    other = await join("other")
    await one.wait_for_services()

    async def silent(address, endpoint, accept):
        await asyncio.Event().wait()

    for scheme in ("unix", "tcp"):
        monkeypatch.setattr(one.joined._handlers[scheme], "dial", silent)
    await one.send("nobody hears", resolve="other")
    await soon(one.leave())
    assert "messages that nobody acknowledged" in caplog.text
    await eventually(lambda: other.services == ())


async def test_queries_end_when_the_cluster_is_left(pair):
    one, other = pair
    asked = asyncio.Event()

    @other.hook("query")
    async def never(question):
        asked.set()
        await asyncio.Event().wait()

    query = one.query("x")
    await soon(asked.wait())
    await one.leave()
    with pytest.raises(NotJoined, match="left"):
        await soon(query.wait())


async def test_after_leaving_everything_says_so(pair):
    one, _ = pair
    await one.leave()
    for use in (
        lambda: one.services,
        lambda: one.dropped,
        lambda: one.resolve("x"),
        lambda: len(one.tags),
        lambda: one.query("x"),
    ):
        with pytest.raises(NotJoined, match="not joined"):
            use()
    for call in (one.send("x", resolve="y"), one.broadcast("x"), one.wait_for_services()):
        with pytest.raises(NotJoined, match="not joined"):
            await call
