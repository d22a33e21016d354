"""``current_call()``: what the function that is called knows of its call."""

import asyncio
import contextvars
import threading

import pytest

from meshcluster import ClusterError, current_call
from tests.waiting import eventually


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


def who():
    call = current_call()
    return [call.name, call.service.name, call.remaining, call.cancelled]


async def who_later():
    await asyncio.sleep(0)
    return who()


def who_yields():
    yield who()
    yield who()


async def who_yields_later():
    yield who()
    await asyncio.sleep(0)
    yield who()


def test_outside_there_is_none():
    with pytest.raises(ClusterError, match="only in a function that is called"):
        current_call()


@pytest.mark.parametrize(
    ("function", "options"),
    [(who, {}), (who, {"in_loop": True}), (who_later, {}), (who, {"limit": 1})],
)
async def test_it_tells_who_calls_by_which_name_and_how_long_it_may_take(two, function, options):
    await two.expose(function, "f", **options)
    name, caller, remaining, cancelled = await two.caller.call("f", timeout=5)
    assert (name, caller, cancelled) == ("f", "caller", False)
    assert 0 < remaining <= 5


@pytest.mark.parametrize("function", [who_yields, who_yields_later])
async def test_generators_know_it_whenever_they_run(two, function):
    await two.expose(function, "f")
    found = [item async for item in await two.caller.call("f")]
    assert [item[:2] for item in found] == [["f", "caller"]] * 2


async def test_it_says_what_it_is(two):
    await two.expose(lambda: repr(current_call()), "f", in_loop=True)
    told = await two.caller.call("f", timeout=5)
    assert told.startswith("<call of f by caller, ")
    assert told.endswith(" s remain>")


async def test_many_at_once_each_know_their_own(two, join):
    async def slow(x):
        before = current_call()
        await asyncio.sleep(0.001)
        assert current_call() is before
        return [x, current_call().service.name]

    await two.expose(slow)
    other = await join(name="other")
    await other.wait_for_exposed("slow")
    callers = [two.caller, other]
    found = await soon(asyncio.gather(*[callers[n % 2].go("slow", n) for n in range(100)]))
    assert found == [[n, ["caller", "other"][n % 2]] for n in range(100)]


async def test_threads_and_tasks_of_its_own_know_it_where_python_hands_it_on(two):
    async def f():
        in_task = await asyncio.create_task(who_later())
        in_thread = await asyncio.to_thread(who)
        return [in_task[0], in_thread[0]]

    await two.expose(f)
    assert await two.caller.call("f") == ["f", "f"]


async def test_after_it_there_is_none_again_in_its_thread(two):
    """Threads are used again, and so is the loop."""
    found = []

    def look():
        try:
            found.append(current_call().name)
        except ClusterError:
            found.append(None)

    await two.expose(look)
    two.server.hook("event")(lambda message: look())
    await two.expose(look, "in loop", in_loop=True)
    for name in ("look", "in loop"):
        await two.caller.call(name)
    await two.caller.broadcast("x")
    await eventually(lambda: len(found) == 3)
    assert found == ["look", "in loop", None]


async def test_what_the_function_sends_hands_its_call_to_no_hook(two):
    """Whatever the member does in its loop because of it is done for others, too."""
    seen = []

    def look(message):
        try:
            seen.append(current_call().name)
        except ClusterError:
            seen.append(None)

    async def f():
        for _ in range(20):
            two.server.go("back", 1)
            await two.server.broadcast("from f")
            await asyncio.sleep(0)

    two.server.hook("event")(look)
    two.caller.expose(lambda x: x, name="back")
    await two.server.wait_for_exposed("back")
    await two.expose(f)
    call = two.caller.go("f")
    for number in range(50):
        await two.caller.broadcast(number)
        await asyncio.sleep(0)
    await soon(call)
    await eventually(lambda: len(seen) == 50)
    assert set(seen) == {None}


async def test_a_context_of_the_callers_own_is_not_handed_on(two):
    variable = contextvars.ContextVar("variable", default="none")
    await two.expose(variable.get, "f", in_loop=True)
    variable.set("mine")
    assert await two.caller.call("f") == "none"


async def test_a_function_may_look_whether_anybody_waits(two):
    ended, begun = [], threading.Event()

    def f():
        begun.set()
        call = current_call()
        while not call.cancelled:
            threading.Event().wait(0.002)
        ended.append(call.remaining)

    await two.expose(f)
    call = two.caller.go("f", timeout=60)
    await eventually(begun.is_set)
    call.cancel()
    await eventually(lambda: ended)
    assert 50 < ended[0] < 60


async def test_calls_that_it_makes_end_no_later_than_it(two):
    """Whatever timeout they are given; on a thread as in the loop."""
    two.caller.expose(lambda: current_call().remaining, name="inner", in_loop=True)
    await two.server.wait_for_exposed("inner")

    async def outer():
        own = current_call().remaining
        return [own, await two.server.call("inner", timeout=1000), current_call().remaining]

    await two.expose(outer)
    first, inner, last = await two.caller.call("outer", timeout=3)
    assert 3 >= first >= inner
    assert last > 2
    assert await two.server.call("inner", timeout=1000) > 900
