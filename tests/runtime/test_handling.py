"""An acknowledged event among the hooks of its receiver: when it is answered, and how."""

import asyncio

import pytest

from meshcluster import HookRejected, NoResponder, OutcomeUnknown, RemoteError, ServiceLost
from tests.waiting import eventually


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


def sending(member, data="do", **options):
    return asyncio.create_task(member.send(data, resolve="other", ack=True, **options))


async def test_it_returns_when_the_last_hook_has_returned(pair):
    """Plain functions and ``async def`` alike."""
    one, other = pair
    called, release = [], [asyncio.Event(), asyncio.Event()]

    @other.hook("event")
    def plain(event):
        called.append(event.data)

    for event in release:

        @other.hook("event")
        async def slow(message, event=event):
            await event.wait()
            called.append(message.data)

    task = sending(one)
    await eventually(lambda: called == ["do"])
    release[0].set()
    await eventually(lambda: called == ["do", "do"])
    other.hook("query")(lambda question: 0)
    await one.query("a round trip", resolve="other")
    assert not task.done()
    release[1].set()
    assert [service.tags for service in await soon(task)] == [("other",)]
    assert called == ["do"] * 3


async def test_one_that_raises_stops_no_other_and_the_first_is_told_of(pair):
    one, other = pair
    called = []

    @other.hook("event")
    def first(event):
        raise KeyError("first")

    @other.hook("event")
    async def second(event):
        raise ValueError("second")

    other.hook("event")(lambda event: called.append(event.data))
    with pytest.raises(RemoteError, match="raised KeyError: 'first'"):
        await soon(sending(one))
    assert called == ["do"]
    assert other.dropped["hooks that raised"] == 2


async def test_an_async_hook_that_raises_is_told_of(pair):
    one, other = pair

    @other.hook("event")
    async def broken(event):
        await asyncio.sleep(0)
        raise ValueError("no")

    with pytest.raises(RemoteError, match="raised ValueError: no"):
        await soon(sending(one))


async def test_a_receiver_without_a_hook_for_it_says_so(pair):
    one, other = pair
    with pytest.raises(NoResponder, match=r"place one there with @cluster.hook\('event'\)"):
        await soon(sending(one))
    other.hook("event", channel=1)(print)
    with pytest.raises(NoResponder, match="no event hook"):
        await soon(sending(one))


async def test_what_comes_before_the_hook_is_placed_is_held_for_it(join):
    one, other = await join("one"), await join("other")
    await one.wait_for_services()
    got = asyncio.Queue()
    task = sending(one)
    await asyncio.sleep(0)
    other.hook("event")(got.put_nowait)
    await soon(task)
    assert (await soon(got.get())).data == "do"


async def test_a_receive_hook_that_refuses_it_is_told_of_and_no_event_hook_sees_it(pair):
    one, other = pair
    got = []
    other.hook("event")(got.append)

    @other.hook("receive")
    def no(message):
        raise HookRejected("not here")

    with pytest.raises(RemoteError, match="HookRejected: a receive hook did not let the event"):
        await soon(sending(one))
    assert got == []


async def test_a_receive_hook_may_change_it(pair):
    one, other = pair
    got = []
    other.hook("event")(lambda event: got.append(event.data))
    other.hook("receive")(lambda message: message.replace(data=message.data * 2))
    await soon(sending(one, "ab"))
    assert got == ["abab"]


async def test_an_answer_that_a_hook_keeps_back_leaves_it_unknown(pair):
    one, other = pair
    other.hook("event")(lambda event: None)

    @other.hook("send")
    def mute(message):
        if message.kind == "answer":
            raise HookRejected("nothing leaves")

    with pytest.raises(OutcomeUnknown, match="could not be sent"):
        await soon(sending(one))


async def test_one_that_refuses_the_answer_here_leaves_it_unknown(pair):
    one, other = pair
    other.hook("event")(lambda event: None)

    @one.hook("receive")
    def deaf(message):
        raise HookRejected("nothing comes in")

    with pytest.raises(OutcomeUnknown, match="nothing comes in") as raised:
        await soon(sending(one))
    assert isinstance(raised.value.__cause__, HookRejected)


async def test_who_leaves_ends_what_it_handles_and_takes_nothing_new(pair):
    one, other = pair
    begun, release = asyncio.Event(), asyncio.Event()

    @other.hook("event")
    async def slow(event):
        begun.set()
        await release.wait()

    handled = sending(one)
    await soon(begun.wait())
    leave = asyncio.create_task(other.leave(timeout=10))
    await eventually(lambda: other.joined is None or not other.joined.joined)
    with pytest.raises(ServiceLost, match="leaving"):
        await soon(sending(one))
    release.set()
    assert len(await soon(handled)) == 1
    await soon(leave)


async def test_a_hook_that_has_not_ended_at_the_goodbye_leaves_it_unknown(pair):
    one, other = pair
    begun = asyncio.Event()

    @other.hook("event")
    async def endless(event):
        begun.set()
        await asyncio.Event().wait()

    task = sending(one)
    await soon(begun.wait())
    await other.leave(timeout=0.01)
    with pytest.raises(OutcomeUnknown, match="left"):
        await soon(task)


async def test_who_sent_it_and_leaves_does_not_know(pair):
    one, other = pair
    begun = asyncio.Event()

    @other.hook("event")
    async def endless(event):
        begun.set()
        await asyncio.Event().wait()

    task = sending(one)
    await soon(begun.wait())
    await one.leave()
    with pytest.raises(OutcomeUnknown, match="was left before the answer came"):
        await soon(task)
