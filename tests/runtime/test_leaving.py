"""Leaving: what runs ends and is delivered, what comes is turned away, what did not end is told."""

import asyncio
import time

import pytest

from meshcluster import ConfigError, NotJoined, ServiceLost
from meshcluster.runtime.mailboxes import LATER
from tests.waiting import eventually


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


def responder(member):
    """A query hook that takes as long as it is made to: what it was asked, and what lets it end."""
    asked, release = asyncio.Event(), asyncio.Event()

    @member.hook("query")
    async def compute(question):
        asked.set()
        await release.wait()
        return question.data

    return asked, release


async def leaving(member, timeout=10):
    """A member that leaves, and is past the point where it takes anything new."""
    task = asyncio.create_task(member.leave(timeout=timeout))
    await eventually(lambda: member.joined is None or not member.joined.joined)
    return task


# --- what runs may end ---


async def test_a_question_that_is_being_answered_gets_its_answer(pair):
    one, other = pair
    asked, release = responder(other)
    query = one.query("x", resolve="other")
    await soon(asked.wait())
    gone = await leaving(other)
    release.set()
    assert list((await soon(query.wait())).values()) == ["x"]
    await soon(gone)


async def test_so_does_a_request_of_a_mailbox(pair):
    one, other = pair
    letters = []
    other.mailbox("box", lambda letter: letters.append(letter) or LATER)
    box = one.mailbox("box")
    (service,) = await box.wait_for_services()
    future = box.request(service, 1)
    await eventually(lambda: letters)
    gone = await leaving(other)
    letters.pop().reply("at last")
    assert await soon(future) == "at last"
    await soon(gone)


async def test_nobody_waits_for_a_letter_that_its_receiver_has_forgotten(pair):
    one, other = pair
    seen = []
    other.mailbox("box", lambda letter: seen.append(letter.data) or LATER)
    box = one.mailbox("box")
    (service,) = await box.wait_for_services()
    future = box.request(service, 1)
    await eventually(lambda: seen)
    await soon(other.leave(timeout=3600))
    with pytest.raises(ServiceLost):
        await soon(future)


async def test_events_that_hooks_have_taken_are_ended(pair):
    one, other = pair
    begun, release, ended = asyncio.Event(), asyncio.Event(), []

    @other.hook("event")
    async def take(message):
        begun.set()
        await release.wait()
        ended.append(message.data)

    for number in range(3):
        await one.send(number, resolve="other")
    await soon(begun.wait())
    await eventually(lambda: not one.undelivered)
    gone = await leaving(other)
    release.set()
    await soon(gone)
    assert ended == [0, 1, 2]


async def test_a_hook_that_runs_may_still_change_what_is_said_of_the_member(pair):
    one, other = pair
    asked, release = asyncio.Event(), asyncio.Event()

    @other.hook("query")
    async def compute(question):
        asked.set()
        await release.wait()
        other.tags.append("idle")
        return len(other.services)

    query = one.query("x", resolve="other")
    await soon(asked.wait())
    gone = await leaving(other)
    release.set()
    assert list((await soon(query.wait())).values()) == [1]
    await soon(gone)


async def test_it_waits_for_nothing_when_nothing_runs(pair):
    _, other = pair
    await soon(other.leave(timeout=3600))


# --- nothing new ---


async def test_who_asks_a_member_that_leaves_hears_so_at_once(pair):
    one, other = pair
    asked, release = responder(other)
    other.mailbox("box", lambda letter: "new")
    box = one.mailbox("box")
    (service,) = await box.wait_for_services()
    first = one.query("first", resolve="other")
    await soon(asked.wait())
    gone = await leaving(other)
    late = one.query("late", resolve="other")
    assert await soon(late.wait()) == {}
    (error,) = late.errors.values()
    assert isinstance(error, ServiceLost)
    assert str(error) == f"{service.name} is leaving"
    with pytest.raises(ServiceLost, match="is leaving"):
        await soon(box.request(service, 1))
    release.set()
    assert list((await soon(first.wait())).values()) == ["first"]
    await soon(gone)


@pytest.mark.parametrize("protocols", [None, ["udp"]])
async def test_by_any_protocol(pair, protocols):
    one, other = pair
    asked, release = responder(other)
    first = one.query("first", resolve="other")
    await soon(asked.wait())
    gone = await leaving(other)
    late = one.query("late", resolve="other", protocols=protocols)
    assert await soon(late.wait()) == {}
    assert [error.reason for error in late.errors.values()] == ["leaving"]
    release.set()
    await soon(first.wait())
    await soon(gone)


async def test_who_tells_it_something_learns_that_it_was_not_taken(pair):
    one, other = pair
    heard, lost = [], asyncio.Queue()
    other.hook("event")(lambda message: heard.append(message.data))
    one.hook("send.lost")(lost.put_nowait)
    asked, release = responder(other)
    query = one.query("x", resolve="other")
    await soon(asked.wait())
    await one.send("before", resolve="other")
    await eventually(lambda: heard == ["before"] and not one.undelivered)
    gone = await leaving(other)
    for text in ("after", "as well"):
        await one.send(text, resolve="other")
    await eventually(lambda: other.dropped.get("messages that came while we left") == 2)
    release.set()
    assert list((await soon(query.wait())).values()) == ["x"]
    await soon(gone)
    what = await soon(lost.get())
    assert (what.reason, [message.data for message in what.messages]) == (
        "left", ["after", "as well"],
    )  # fmt: skip
    assert heard == ["before"]


async def test_what_it_sends_and_asks_itself_is_refused(pair):
    one, other = pair
    asked, release = responder(other)
    other.mailbox("box", lambda letter: "x")
    query = one.query("x", resolve="other")
    await soon(asked.wait())
    gone = await leaving(other)
    (service,) = other.services
    box = other.mailbox("another")
    for use in (
        lambda: other.send("x", resolve="one"),
        lambda: service.send("x"),
        lambda: other.broadcast("x"),
        lambda: box.send(service, "x"),
    ):
        with pytest.raises(NotJoined, match="being left"):
            await use()
    with pytest.raises(NotJoined, match="being left"):
        other.query("x")
    with pytest.raises(NotJoined, match="being left"):
        box.request(service, "x")
    release.set()
    await soon(query.wait())
    await soon(gone)


# --- the deadline ---


async def test_at_the_deadline_who_waits_hears_that_it_left_and_the_log_says_what_did_not_end(
    pair, caplog
):
    one, other = pair
    asked, _ = responder(other)
    stuck = asyncio.Event()

    @other.hook("event")
    async def never(message):
        stuck.set()
        await asyncio.Event().wait()

    query = one.query("x", resolve="other", timeout=3600)
    await one.send("x", resolve="other")
    await soon(asked.wait())
    await soon(stuck.wait())
    counted = other.joined.node.counters
    await soon(other.leave(timeout=0.05))
    assert await soon(query.wait()) == {}
    assert [error.reason for error in query.errors.values()] == ["left"]
    (record,) = [each for each in caplog.records if "left after" in each.getMessage()]
    assert "left after 0.05 s with 1 questions not answered" in record.getMessage()
    assert "hooks that had not ended" in record.getMessage()
    assert counted.as_dict()["questions not answered when we left"] == 1
    assert counted.as_dict()["hooks that had not ended when we left"] == 1
    await eventually(lambda: one.services == ())


async def test_a_member_that_leaves_at_once_says_goodbye_all_the_same(pair):
    one, other = pair
    asked, _ = responder(other)
    query = one.query("x", resolve="other")
    await soon(asked.wait())
    await soon(other.leave(timeout=0))
    assert await soon(query.wait()) == {}
    await eventually(lambda: one.services == ())


async def test_cancelled_it_waits_no_longer(pair):
    one, other = pair
    asked, _ = responder(other)
    query = one.query("x", resolve="other")
    await soon(asked.wait())
    gone = await leaving(other, timeout=3600)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(gone)
    assert await soon(query.wait()) == {}
    await eventually(lambda: one.services == ())


@pytest.mark.parametrize("timeout", [-1, "1", float("nan")])
async def test_a_deadline_that_is_none(pair, timeout):
    with pytest.raises(ConfigError, match="timeout"):
        await pair[0].leave(timeout=timeout)
    assert len(pair[0].services) == 1


# --- from a hook ---


@pytest.mark.parametrize("point", ["event", "query", "service.changed"])
async def test_the_hook_that_leaves_is_not_waited_for(pair, point):
    one, other = pair
    left = asyncio.Event()

    @other.hook(point)
    async def leave(what):
        await other.leave(timeout=3600)
        left.set()

    if point == "event":
        await one.send("go", resolve="other")
    elif point == "query":
        one.query("go")
    else:
        one.tags.append("changed")
    await soon(left.wait())


async def test_nor_when_somebody_else_leaves_already(pair):
    one, other = pair
    begun, release = asyncio.Event(), asyncio.Event()

    @other.hook("event")
    async def leave(message):
        begun.set()
        await release.wait()
        await other.leave()

    await one.send("go", resolve="other")
    await soon(begun.wait())
    gone = await leaving(other, timeout=3600)
    release.set()
    await soon(gone)


# --- two at once ---


async def test_two_that_leave_with_something_for_each_other_wait_no_longer_than_told(pair):
    one, other = pair
    for member in pair:
        member.hook("event")(lambda message: None)
    began = time.monotonic()
    await one.send("x", resolve="other")
    await other.send("x", resolve="one")
    await soon(asyncio.gather(one.leave(), other.leave()))
    assert time.monotonic() - began < 10
