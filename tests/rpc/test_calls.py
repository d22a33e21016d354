"""Who calls: what is tried again and what is not, deadlines, and every failure by its name."""

import asyncio
import gc
import time
import weakref

import pytest

from meshcluster import (
    ArgumentError,
    AsyncCluster,
    HookRejected,
    NotExposed,
    NotJoined,
    OutcomeUnknown,
    Overloaded,
    QueryTimeout,
    RemoteError,
    ServiceLost,
    current_call,
)
from meshcluster.config import Limits
from tests.waiting import eventually


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


def echo(x):
    return x


# --- nobody ----------------------------------------------------------------------------------


async def test_what_nobody_exposes_says_what_there_is(two, settled):
    with pytest.raises(NotExposed, match="nobody exposes anything"):
        two.caller.go("echo", 1)
    await two.expose(echo)
    with pytest.raises(NotExposed, match=r"did you mean .echo.[^T]*There are: echo") as caught:
        await two.caller.call("ecko", 1)
    assert caught.value.name == "ecko"
    assert isinstance(caught.value, LookupError)
    with pytest.raises(NotExposed, match="none of the 1 that expose it is where='gpu'"):
        await two.caller.call("echo", 1, where="gpu")


async def test_just_after_joining_a_call_waits_for_somebody(join):
    server = await join()
    server.expose(echo)
    caller = await join()
    call = caller.go("echo", 1)
    assert call.attempts == ()
    assert await soon(call) == 1


async def test_just_after_joining_it_waits_no_longer_than_a_second(join):
    caller = await join()
    call = caller.go("echo", 1)
    with pytest.raises(NotExposed):
        await soon(call)
    with pytest.raises(QueryTimeout, match=r"within 0\.05 s \(from nobody"):
        await (await join()).call("echo", 1, timeout=0.05)


async def test_what_is_exposed_no_more_is_not_called(two, settled):
    await two.expose(echo)
    assert two.server.unexpose("echo") == 1
    assert two.server.unexpose("echo") == 0
    # Whether or not the caller has heard of it: the member knows.
    with pytest.raises(NotExposed):
        await two.caller.call("echo", 1)


async def test_who_exposes_it_no_more_has_it_tried_elsewhere(join):
    one, other, caller = await join(name="one"), await join(name="other"), await join()
    for server in (one, other):
        server.expose(echo)
    await caller.wait_for_exposed("echo", 2)
    one.unexpose("echo")
    calls = [caller.go("echo", n) for n in range(4)]  # not one turn of the loop lies between
    assert await soon(asyncio.gather(*calls)) == [0, 1, 2, 3]
    assert {call.service.name for call in calls} == {"other"}
    moved = [call.attempts for call in calls if len(call.attempts) == 2]
    assert len(moved) == 2
    for (first, why), (second, none) in moved:
        assert (first.name, type(why), second.name, none) == ("one", NotExposed, "other", None)


# --- it raised -------------------------------------------------------------------------------


class Odd(Exception):
    def __str__(self):
        raise ValueError


def bad():
    raise KeyError("no such key")


async def bad_later():
    raise ValueError("later")


def bad_exit():
    raise SystemExit(3)


def bad_text():
    raise Odd


def bad_surrogate():
    raise ValueError("\ud800" * 20_000)


async def bad_cancel():
    raise asyncio.CancelledError


@pytest.mark.parametrize("in_loop", [False, True], ids=["on a thread", "in loop"])
@pytest.mark.parametrize(
    ("function", "kind", "text"),
    [
        (bad, "KeyError", "no such key"),
        (bad_later, "ValueError", "later"),
        (bad_exit, "SystemExit", "3"),
        (bad_text, "Odd", "cannot be had"),
        (bad_surrogate, "ValueError", r"\?"),
        (bad_cancel, "CancelledError", "$"),
    ],
)
async def test_what_the_function_raises_is_told_with_its_traceback(
    two, function, kind, text, in_loop
):
    await two.expose(function, in_loop=in_loop, idempotent=True)
    call = two.caller.go(function.__name__)
    with pytest.raises(RemoteError, match=text) as caught:
        await soon(call)
    error = caught.value
    assert (error.service, error.kind) == (call.service, kind)
    assert f"in {function.__name__}" in error.traceback
    assert len(call.attempts) == 1
    assert len(error.text) <= 10_000
    assert two.load == [0]


# --- in time ---------------------------------------------------------------------------------


async def test_a_call_that_takes_too_long_raises_in_time_and_names_the_member(two):
    await two.expose(asyncio.sleep, "sleep")
    before = time.monotonic()
    with pytest.raises(
        QueryTimeout, match=r"sleep: no result within 0\.1 s \(from server\)"
    ) as caught:
        await two.caller.call("sleep", 30, timeout=0.1, idempotent=True)
    assert 0.1 <= time.monotonic() - before < 2
    assert caught.value.missing == two.caller.services
    assert isinstance(caught.value, TimeoutError)
    assert two.load == [0]


async def test_the_deadline_travels(two):
    remaining = []

    async def inner():
        remaining.append(current_call().remaining)
        await asyncio.sleep(30)

    async def outer():
        remaining.append(current_call().remaining)
        with pytest.raises(QueryTimeout):
            await two.server.call("inner", timeout=25)
        remaining.append(current_call().remaining)

    two.caller.expose(inner)
    await two.server.wait_for_exposed("inner")
    await two.expose(outer)
    with pytest.raises(QueryTimeout):
        await two.caller.call("outer", timeout=0.5)
    first, second = remaining[:2]
    assert 0 < second <= first <= 0.5


async def test_a_call_that_is_made_too_late_is_a_timeout(two):
    """Its own caller waits no more, so nobody would hear of the result."""
    errors = []

    async def outer():
        try:
            await asyncio.sleep(30)
        finally:
            try:
                await two.server.call("inner", 1)
            except Exception as error:
                errors.append(error)

    two.caller.expose(echo, name="inner")
    await two.server.wait_for_exposed("inner")
    await two.expose(outer)
    with pytest.raises(QueryTimeout):
        await two.caller.call("outer", timeout=0.3)
    await eventually(lambda: errors)
    assert [type(error) for error in errors] == [QueryTimeout]


async def test_no_time_at_all_is_a_timeout(two):
    await two.expose(asyncio.sleep, "sleep")
    with pytest.raises(QueryTimeout):
        await two.caller.call("sleep", 30, timeout=0)


# --- lost ------------------------------------------------------------------------------------


async def lose(two, call, begun):
    """Ends the server's links without a word, as a crash does."""
    await eventually(lambda: begun)
    await two.server.leave(timeout=0)


@pytest.mark.parametrize("idempotent", [None, False])
async def test_of_a_lost_member_it_is_not_known_whether_it_was_done(two, idempotent):
    begun = []

    async def slow():
        begun.append(1)
        await asyncio.sleep(30)

    await two.expose(slow)
    call = two.caller.go("slow", idempotent=idempotent)
    await lose(two, call, begun)
    with pytest.raises(OutcomeUnknown) as caught:
        await soon(call)
    assert (caught.value.service, type(caught.value.__cause__)) == (call.service, ServiceLost)
    assert two.load == [0] or two.load == []


async def two_servers(join, function, **options):
    servers = [await join(name=name) for name in ("s0", "s1")]
    for server in servers:
        server.expose(function(server), name="f", **options)
    caller = await join(name="caller")
    await caller.wait_for_exposed("f", 2)
    return caller, servers


def hangs_where(first, begun):
    """The member that has it first never answers."""

    def function(server):
        async def f(x):
            begun.append(server)
            if len(begun) <= first:
                await asyncio.sleep(30)
            return x

        return f

    return function


@pytest.mark.parametrize(("exposed", "asked"), [(True, None), (False, True)])
async def test_what_is_idempotent_is_given_to_another_member(join, exposed, asked):
    begun = []
    caller, _ = await two_servers(join, hangs_where(1, begun), idempotent=exposed)
    call = caller.go("f", 7, idempotent=asked)
    await eventually(lambda: begun)
    lost = call.service
    await begun[0].leave(timeout=0)
    assert await soon(call) == 7
    assert call.service != lost
    (first, why), (second, none) = call.attempts
    assert (first, type(why), second, none) == (lost, ServiceLost, call.service, None)


@pytest.mark.parametrize(("retries", "begins"), [(0, 1), (1, 2)])
async def test_it_is_tried_again_so_many_times(join, retries, begins):
    begun = []
    caller, _ = await two_servers(join, hangs_where(9, begun), idempotent=True)
    call = caller.go("f", 7, retries=retries)
    for number in range(begins):
        await eventually(lambda number=number: len(begun) == number + 1)
        await begun[number].leave(timeout=0)
    with pytest.raises(ServiceLost):
        await soon(call)
    assert len(begun) == len(call.attempts) == begins


async def test_of_members_that_expose_it_differently_each_ones_word_counts(join):
    """Only one of them says that it may be called twice, and takes one argument more."""
    begun, one, other = [], await join(name="one"), await join(name="other")

    async def hangs(x):
        begun.append(x)
        await asyncio.sleep(30)

    async def two_arguments(x, y: int = 0):
        return [x, y]

    one.expose(two_arguments, name="f", idempotent=True)
    caller = await join()
    await caller.wait_for_exposed("f", 1)
    other.expose(hangs, name="f")
    await caller.wait_for_exposed("f", 2)
    assert await caller.call("f", 1, 2, where="one") == [1, 2]
    with pytest.raises(ArgumentError):
        caller.go("f", 1, 2, where="other")
    call = caller.go("f", 1, where="other")
    await eventually(lambda: begun)
    await other.leave(timeout=0)
    with pytest.raises(OutcomeUnknown):
        await soon(call)


async def test_a_member_that_leaves_turns_calls_away_and_another_has_them(join):
    begun = []
    caller, servers = await two_servers(join, hangs_where(0, begun))
    leaving = asyncio.ensure_future(servers[0].leave())
    results = await soon(asyncio.gather(*[caller.go("f", n) for n in range(50)]))
    assert results == list(range(50))
    await leaving


async def test_who_leaves_has_its_calls_ended(two):
    await two.expose(asyncio.sleep, "sleep")
    calls = [two.caller.go("sleep", 30) for _ in range(3)]
    await two.caller.leave()
    for call in calls:
        with pytest.raises(NotJoined):
            await soon(call)
    with pytest.raises(NotJoined):
        two.caller.go("sleep", 1)


# --- too much --------------------------------------------------------------------------------


async def test_a_member_with_too_much_to_do_says_so_and_the_call_waits(join):
    """Or is given to another one, if there is one."""
    server, go = await join(limits=Limits(open_questions=2)), asyncio.Event()

    async def wait(x):
        await go.wait()
        return x

    server.expose(wait)
    caller = await join()
    await caller.wait_for_exposed("wait")
    calls = [caller.go("wait", n) for n in range(5)]
    await asyncio.sleep(0.1)
    assert not any(call.done() for call in calls)
    go.set()
    assert await soon(asyncio.gather(*calls)) == list(range(5))
    assert all(call.attempts[-1] == (call.service, None) for call in calls)


async def test_another_member_has_what_one_has_no_room_for(join):
    full, go = await join(name="full", limits=Limits(open_questions=1)), asyncio.Event()
    free = await join(name="free")

    async def wait(x):
        await go.wait()
        return x

    full.expose(wait)
    free.expose(wait)
    caller = await join()
    await caller.wait_for_exposed("wait", 2)
    calls = [caller.go("wait", n) for n in range(8)]
    await eventually(lambda: sum(call.service.name == "free" for call in calls) == 7)
    go.set()
    assert await soon(asyncio.gather(*calls)) == list(range(8))


async def test_what_is_too_busy_for_too_long_is_a_timeout(join):
    server = await join(limits=Limits(open_questions=1))
    server.expose(asyncio.sleep, name="sleep")
    caller = await join()
    await caller.wait_for_exposed("sleep")
    first = caller.go("sleep", 30)
    with pytest.raises(QueryTimeout):
        await caller.call("sleep", 0, timeout=0.2)
    first.cancel()


async def test_what_a_hook_there_turns_away_for_now_is_tried_again(two):
    await two.expose(echo)
    refused = []

    @two.server.hook("receive")
    def busy(message):
        if message.kind == "request" and len(refused) < 2:
            refused.append(message)
            raise Overloaded("not now")

    assert await two.caller.call("echo", 1) == 1
    assert len(refused) == 2


async def test_what_a_hook_there_refuses_is_an_error(two):
    await two.expose(echo)

    @two.server.hook("receive")
    def no(message):
        if message.kind == "request":
            raise HookRejected("not from you")

    with pytest.raises(RemoteError, match="HookRejected: a receive hook did not"):
        await two.caller.call("echo", 1)
    two.caller.hook("send")(no)
    with pytest.raises(HookRejected):
        two.caller.go("echo", 1)
    assert two.load == [0]


# --- nothing remains -------------------------------------------------------------------------


async def test_ten_thousand_calls_are_right_and_leave_nothing_behind(two):
    await two.expose(echo, in_loop=True)
    refs = []
    for start in range(0, 10_000, 1000):
        calls = [two.caller.go("echo", [n]) for n in range(start, start + 1000)]
        refs += map(weakref.ref, calls)
        assert await soon(asyncio.gather(*calls)) == [[n] for n in range(start, start + 1000)]
    del calls
    await asyncio.sleep(0)  # from 3.12 on asyncio itself holds them until the next turn
    gc.collect()
    assert sum(ref() is not None for ref in refs) == 0
    assert two.load == [0]


async def test_calls_that_nobody_waits_for_end_all_the_same(two):
    done = []
    await two.expose(done.append, "note")
    for number in range(100):
        two.caller.go("note", number)
    await eventually(lambda: len(done) == 100)
    await eventually(lambda: two.load == [0])


async def test_failed_calls_leave_nothing_behind(two):
    await two.expose(bad)
    await two.expose(asyncio.sleep, "sleep")
    calls = [two.caller.go("bad") for _ in range(100)]
    calls += [two.caller.go("sleep", 30, timeout=0.1) for _ in range(100)]
    cancelled = [two.caller.go("sleep", 30) for _ in range(100)]
    for call in cancelled:
        call.cancel()
    found = await soon(asyncio.gather(*calls, *cancelled, return_exceptions=True))
    kinds = [type(each).__name__ for each in found]
    assert [kinds.count(k) for k in ("RemoteError", "QueryTimeout", "CancelledError")] == [100] * 3
    assert two.load == [0]
    refs = [weakref.ref(call) for call in calls + cancelled]
    del calls, cancelled, found, call
    await asyncio.sleep(0)
    gc.collect()
    assert sum(ref() is not None for ref in refs) == 0


async def test_leaving_and_joining_again_everything_goes_on(join, beacon_port):
    server, caller = AsyncCluster(), await join()
    server.expose(echo)
    for number in range(2):
        async with server.join(port=beacon_port):
            await caller.wait_for_exposed("echo")
            assert await caller.call("echo", number) == number
            if number == 0:
                server.expose(echo, name="second")
    caller_again = AsyncCluster()
    other = await join()
    other.expose(echo)
    for number in range(2):
        async with caller_again.join(port=beacon_port):
            await caller_again.wait_for_exposed("echo")
            assert await caller_again.call("echo", number) == number
