"""A call under way: a future that knows its member, and is at home among other futures."""

import asyncio
import gc

import pytest

from meshcluster import AsyncCall, QueryTimeout, RemoteError


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


@pytest.fixture
async def slow(two):
    """``slow(x)`` ends when it is let, or raises below 0."""
    let = asyncio.Event()

    async def slow(x):
        await let.wait()
        if x < 0:
            raise ValueError(x)
        return x

    await two.expose(slow)
    yield let
    let.set()


async def test_it_knows_its_member_before_the_result(two, slow):
    call = two.caller.go("slow", 1)
    assert type(call) is AsyncCall
    assert (call.name, call.service) == ("slow", two.caller.services[0])
    assert call.attempts == ((call.service, None),)
    assert not call.done()
    slow.set()
    assert await soon(call) == 1
    assert call.attempts == ((call.service, None),)


async def test_its_result_may_be_had_again_and_again(two, slow):
    slow.set()
    call, fails = two.caller.go("slow", 1), two.caller.go("slow", -1)
    assert [await soon(call) for _ in range(3)] == [1, 1, 1]
    assert (call.result(), call.exception(), call.done()) == (1, None, True)
    for _ in range(3):
        with pytest.raises(RemoteError):
            await soon(fails)
    assert type(fails.exception()) is RemoteError


async def test_waiting_for_a_while_and_then_again(two, slow):
    call = two.caller.go("slow", 1)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(call), 0.02)
    with pytest.raises(asyncio.InvalidStateError):
        call.result()
    slow.set()
    assert await soon(call) == 1


async def test_callbacks_are_called_once_in_the_loop(two, slow):
    told = []
    call = two.caller.go("slow", 1)
    call.add_done_callback(told.append)
    slow.set()
    await soon(call)
    call.add_done_callback(told.append)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert told == [call, call]


async def test_a_callback_may_begin_the_next_call(two, slow):
    slow.set()
    done, count = asyncio.Event(), 0

    def following(call):
        nonlocal count
        count += 1
        if count == 50:
            done.set()
        else:
            two.caller.go("slow", count).add_done_callback(following)

    two.caller.go("slow", 0).add_done_callback(following)
    await soon(done.wait())


async def test_gather_wait_as_completed_and_groups_take_it(two, slow):
    def calls():
        return [two.caller.go("slow", n) for n in range(3)]

    done, pending = await asyncio.wait(calls(), timeout=0.02)
    assert (len(done), len(pending)) == (0, 3)
    slow.set()
    done, pending = await asyncio.wait(pending, timeout=10)
    assert ({call.result() for call in done}, pending) == ({0, 1, 2}, set())
    assert await soon(asyncio.gather(*calls())) == [0, 1, 2]
    assert {await each for each in asyncio.as_completed(calls())} == {0, 1, 2}
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        tasks = [group.create_task(two.caller.call("slow", n)) for n in range(3)]
    assert [task.result() for task in tasks] == [0, 1, 2]


async def test_a_group_that_fails_cancels_its_calls(two, slow):
    await two.expose(lambda: 1 / 0, "fails", in_loop=True)

    async def both():
        async with asyncio.TaskGroup() as group:
            group.create_task(two.caller.call("slow", 1))
            group.create_task(two.caller.call("fails"))

    with pytest.raises(ExceptionGroup) as caught:
        await soon(both())
    assert caught.group_contains(RemoteError, match="ZeroDivisionError")
    assert two.load == [0]


async def test_cancelling_it_ends_it(two, slow):
    call = two.caller.go("slow", 1)
    assert call.cancel("no more")
    assert (call.cancelled(), call.done(), call.cancel()) == (True, True, False)
    ((service, why),) = call.attempts
    assert service == call.service
    assert "cancelled" in str(why)
    with pytest.raises(asyncio.CancelledError):
        await call
    assert two.load == [0]


@pytest.mark.parametrize("how", ["task", "wait_for", "gather"])
async def test_who_waits_cancels_it_when_it_is_cancelled_itself(two, slow, how):
    call = two.caller.go("slow", 1)
    if how == "wait_for":
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call, 0.02)
    else:
        waiting = asyncio.ensure_future(
            asyncio.gather(call) if how == "gather" else two.caller.call("slow", 2)
        )
        await asyncio.sleep(0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        if how == "task":
            call.cancel()
    assert call.cancelled()
    assert two.load == [0]


async def test_it_may_end_and_be_cancelled_in_one_moment(two):
    await two.expose(lambda x: x, "echo", in_loop=True)
    for number in range(50):
        call = two.caller.go("echo", number)
        for _ in range(number % 5):
            await asyncio.sleep(0)
        cancelled = call.cancel()
        assert call.cancelled() == cancelled
    assert two.load == [0]


async def test_one_that_failed_and_that_nobody_looked_at_is_complained_of(two, slow, caplog):
    """As asyncio does of any future: errors do not pass silently."""
    slow.set()
    call = two.caller.go("slow", -1)
    await asyncio.wait([call], timeout=10)
    del call
    gc.collect()
    assert "exception was never retrieved" in caplog.text


async def test_a_timeout_is_an_error_of_the_call_and_not_of_who_waits(two, slow):
    call = two.caller.go("slow", 1, timeout=0.05)
    with pytest.raises(QueryTimeout):
        await soon(call)
    ((service, why),) = call.attempts
    assert (service, type(why)) == (call.service, QueryTimeout)
