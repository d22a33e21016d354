"""How the loop hears that something was put: once for all, and from its own hooks not at all."""

import asyncio
import threading
from contextlib import ExitStack, contextmanager

import pytest

import meshcluster

THREADS, SENDS = 8, 250


@pytest.fixture
def three(beacon_port):
    with ExitStack() as stack:
        members = [stack.enter_context(meshcluster.join([tag], port=beacon_port)) for tag in "123"]
        for other in "23":
            members[0].wait_for_services(resolve=other)
        yield members


@contextmanager
def held(cluster):
    """The loop of a blocking member is busy meanwhile."""
    busy, go_on = threading.Event(), threading.Event()

    def hold():
        busy.set()
        assert go_on.wait(20)

    holder = threading.Thread(target=lambda: cluster._loop.run(hold))
    holder.start()
    assert busy.wait(20)
    try:
        yield
    finally:
        go_on.set()
        holder.join()


def counted(driver):
    """Notes each time that the loop was woken to look at what was put."""
    wakes, drain = [], driver._waking.look

    def look():
        wakes.append(1)
        drain()

    driver._waking.look = look
    return wakes


def test_what_many_threads_send_to_many_wakes_the_loop_once_at_most(three):
    one, *others = three
    heard, done = [], threading.Event()

    def hear(message):
        heard.append(message.data)
        if len(heard) == 2 * THREADS * SENDS:
            done.set()

    for other in others:
        other.hook("event")(lambda message: message.data == "hello" or hear(message))
    one.broadcast("hello", ack=True)  # there are links

    def send():
        for number in range(SENDS):
            one.send(number, resolve="2")
            one.send(number, resolve="3")

    with held(one):
        wakes = counted(one._driver)
        threads = [threading.Thread(target=send) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wakes == []
    assert done.wait(20)
    assert len(wakes) <= 1  # none where it was to look in any case, for what came before


async def test_an_answer_leaves_in_the_turn_in_which_its_question_came(join):
    one, other = await join("one"), await join("other")
    await one.wait_for_services()
    other.hook("query")(lambda question: question.data)
    await one.query("first", resolve="other")
    wakes = counted(other.joined)
    assert list((await one.query("second", resolve="other")).values()) == ["second"]
    assert wakes == []


async def test_what_a_hook_sends_leaves_in_the_turn_in_which_it_was_called(join):
    one, other = await join("one"), await join("other")
    await one.wait_for_services()
    (asker,) = await other.wait_for_services()
    heard = asyncio.Queue()
    one.hook("event")(lambda message: heard.put_nowait(message.data))
    await other.send("warm", services=[asker], ack=True)
    other.hook("event")(lambda message: other.joined.tell(message.data, None, (asker,), 0))
    wakes = counted(other.joined)
    await one.send("there and back", resolve="other")
    while await asyncio.wait_for(heard.get(), 10) != "there and back":
        pass
    assert wakes == []


async def test_a_hook_that_ends_the_program_silences_nobody(join):
    """Whatever it raises, what hooks before it put goes to its receivers."""
    one, other = await join("one"), await join("other")
    await one.wait_for_services()
    (asker,) = await other.wait_for_services()
    heard = asyncio.Queue()
    one.hook("event")(lambda message: heard.put_nowait(message.data))
    await other.send("warm", services=[asker], ack=True)
    driver = other.joined

    def put_and_break():
        driver.tell("still sent", None, (asker,), 0)
        raise SystemExit

    driver._work, work = put_and_break, driver._work
    with pytest.raises(SystemExit):
        driver.step()
    driver._work = work
    while await asyncio.wait_for(heard.get(), 10) != "still sent":
        pass
