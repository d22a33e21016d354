"""Acknowledged sends: to whom, how many at once, for how long; and when questions leave. (What else
queries and requests do is in test_query.py and test_mailbox.py.)
"""

import asyncio
import gc
import weakref

import pytest

from meshcluster import (
    ConfigError,
    Congested,
    NoRoute,
    NoServices,
    NotAcknowledged,
    OutcomeUnknown,
    RemoteError,
)
from meshcluster.node.effects import RequestArrived
from meshcluster.wire.body import BYTES
from meshcluster.wire.frames import ANSWERED, Request
from tests.waiting import eventually


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


@pytest.fixture
async def mesh(join):
    """Joins a member for each tag; the first knows all."""

    async def mesh(*tags, **settings):
        members = [await join(tag, **settings) for tag in tags]
        if len(members) > 1:
            await members[0].wait_for_services(len(members) - 1)
        return members

    return mesh


def tags(services):
    return sorted(tag for service in services for tag in service.tags)


async def test_a_service_takes_it_as_well(pair):
    one, other = pair
    got = []
    other.hook("event", channel=1)(lambda event: got.append(event.data))
    (service,) = one.services
    assert await soon(service.send("do", channel=1, ack=True, timeout=5)) == (service,)
    assert got == ["do"]


async def test_all_receivers_have_handled_it(mesh):
    one, *others = await mesh("one", "b", "c")
    got = []
    for other in others:
        other.hook("event")(lambda event: got.append(event.data))
    assert tags(await soon(one.broadcast("do", ack=True))) == ["b", "c"]
    assert got == ["do"] * 2
    assert tags(await soon(one.send("more", resolve=(), ack=True))) == ["b", "c"]


async def test_a_broadcast_to_nobody_is_none_handled_and_no_error(mesh):
    (one,) = await mesh("one")
    assert await one.broadcast("do", ack=True) == ()


async def test_of_several_receivers_each_failure_is_named(mesh):
    one, b, c = await mesh("one", "b", "c")
    b.hook("event")(lambda event: None)

    @c.hook("event")
    def broken(event):
        raise ValueError("no")

    with pytest.raises(NotAcknowledged, match="1 of 2 receivers did not handle it") as raised:
        await soon(one.broadcast("do", ack=True))
    assert tags(raised.value.handled) == ["b"]
    ((service, error),) = raised.value.errors.items()
    assert (service.tags, error.kind) == (("c",), "ValueError")
    caught = []
    try:
        await soon(one.broadcast("do", ack=True))
    except* RemoteError as group:
        caught = group.exceptions
    assert [error.text for error in caught] == ["no"]


async def test_udp_alone_cannot_have_it_acknowledged(pair):
    one, _ = pair
    for told in (
        one.send("do", resolve="other", protocols=["udp"], ack=True),
        one.broadcast("do", protocols=["udp"], ack=True),
    ):
        with pytest.raises(ConfigError, match="ack=True needs one with links"):
            await told
    with pytest.raises(ConfigError, match="timeout"):
        await one.send("do", resolve="other", ack=True, timeout=-1)


async def test_to_who_offers_nothing_else_there_is_no_way(mesh, join):
    """It does not go by udp at last, where nobody could tell whether it came."""
    (one,) = await mesh("one")
    other = await join("other", protocols=["udp"])
    await one.wait_for_services()
    got = []
    other.hook("event")(lambda event: got.append(event.data))
    with pytest.raises(NoRoute, match="no way to"):
        await soon(one.send("do", resolve="other", ack=True))
    await soon(one.send("plain", resolve="other"))
    await eventually(lambda: got)
    assert got == ["plain"]
    await eventually(lambda: not one.undelivered)  # its receipt comes


async def test_an_observer_may_send_it(mesh):
    (member,) = await mesh("member")
    (watcher,) = await mesh("watcher", observer=True)
    await watcher.wait_for_services()
    got = []
    member.hook("event")(lambda event: got.append(event.data))
    assert tags(await soon(watcher.send("do", resolve="member", ack=True))) == ["member"]
    assert got == ["do"]


async def test_after_its_timeout_it_is_unknown_and_the_answer_is_dropped(pair):
    one, other = pair
    begun, release, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @other.hook("event")
    async def slow(event):
        begun.set()
        await release.wait()
        ended.set()

    with pytest.raises(OutcomeUnknown, match=r"did not answer within 0\.05 s") as raised:
        await soon(one.send("do", resolve="other", ack=True, timeout=0.05))
    assert raised.value.service == one.services[0]
    await soon(begun.wait())
    release.set()
    await soon(ended.wait())
    await soon(one.send("next", resolve="other", ack=True))
    assert one.dropped["answers late, twice or not asked for"] == 1


async def test_who_cancels_waits_for_nothing_more(pair):
    one, other = pair
    begun, release = asyncio.Event(), asyncio.Event()

    @other.hook("event")
    async def slow(event):
        begun.set()
        await release.wait()

    task = asyncio.create_task(one.send("do", resolve="other", ack=True))
    await soon(begun.wait())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    (peer,) = one.joined.node.peers
    assert all(not session.promises for session in peer.sessions.values())
    release.set()


async def test_so_many_may_be_open_and_a_further_one_waits_for_its_turn(mesh):
    one, other = await mesh("one", "other", limits={"open_sends": 4})
    got, begun, release = [], asyncio.Event(), asyncio.Event()

    @other.hook("event")
    async def slow(event):
        got.append(event.data)
        begun.set()
        await release.wait()

    tasks = [
        asyncio.create_task(one.send(number, resolve="other", ack=True)) for number in range(4)
    ]
    await soon(begun.wait())
    with pytest.raises(Congested, match="nothing was sent"):
        await soon(one.send("too many", resolve="other", ack=True, timeout=0.05))
    release.set()
    await soon(asyncio.gather(*tasks))
    await soon(asyncio.gather(*(one.send(n, resolve="other", ack=True) for n in range(4, 100))))
    assert got == list(range(100))


# --- what we owe -----------------------------------------------------------------------------


async def test_a_request_that_is_answered_while_it_is_noted_is_not_owed(pair):
    one, other = pair
    other.mailbox("box", lambda letter: None)
    (service,) = one.services
    await soon(one.mailbox("box").request(service, 1))  # there is a session
    asking = one.joined.asking
    (session,) = [s for peer in one.joined.node.peers for s in peer.sessions.values()]
    arrived = RequestArrived(session, service, "unix", Request(77, "box", 0, BYTES, b"?"))
    asking.take_late(arrived)
    assert asking.unanswered == [service]
    asking.answer(arrived, ANSWERED, b"!")
    assert asking.unanswered == []
    asking.take_late(arrived)  # another thread had answered it before it was noted
    assert asking.unanswered == []


# --- when questions leave ------------------------------------------------------------------


@pytest.fixture
async def echo(pair):
    """Who asks, whom, and how many frames have carried that so far."""
    one, other = pair
    other.hook("query")(lambda question: question.data)
    services = one.resolve("other")
    await soon(one.query(b"hello", services=services))  # there is a link
    (session,) = [s for peer in one.joined.node.peers for s in peer.sessions.values()]
    return one, services, lambda: session._number


async def test_questions_of_one_turn_of_the_loop_leave_together(echo):
    one, services, frames = echo
    began = frames()
    queries = [one.query(bytes([number]), services=services) for number in range(64)]
    answers = [await soon(query.wait()) for query in queries]
    assert [list(each.values()) for each in answers] == [[bytes([n])] for n in range(64)]
    # The first was the only open one, and did not wait; FULL more did not wait for the rest.
    assert frames() - began == 3


async def test_one_that_is_the_only_open_leaves_at_once(echo):
    one, services, frames = echo
    began = frames()
    query = one.query(b"x", services=services)
    assert frames() - began == 1
    await soon(query.wait())


async def test_a_query_that_ended_is_freed_without_the_collector(echo):
    one, services, _ = echo
    gc.disable()
    try:
        query = one.query(b"x", services=services)
        await soon(query.wait())
        freed = weakref.ref(query)
        del query
        assert freed() is None
    finally:
        gc.enable()


async def test_who_is_named_twice_is_asked_once(echo):
    one, services, _ = echo
    for _ in range(2):
        assert len(await soon(one.query(b"x", services=(*services, *services)))) == 1


async def test_several_askers_of_several_get_the_answers_of_those(mesh):
    one, *others = await mesh("one", "a", "b", "c")
    for other in others:
        other.hook("query")(lambda question, tags=other.tags: question.data + tags[0].encode())
    whom = [one.resolve("a"), one.resolve("b"), one.services]
    whom.append(whom[0] + one.resolve("c"))
    for _ in range(3):
        for services in whom:
            answers = await soon(one.query(b"?", services=services))
            assert {s.tags[0].encode() for s in answers} == {a[1:] for a in answers.values()}
            assert set(answers) == set(services)


async def test_who_was_asked_last_and_is_gone_is_asked_no_more(pair):
    one, other = pair
    other.hook("query")(lambda question: 1)
    services = one.resolve("other")
    for _ in range(2):
        await soon(one.query(b"x", services=services))
    gone = asyncio.Event()
    one.hook("service.lost")(lambda service: gone.set())
    await other.leave()
    await soon(gone.wait())
    with pytest.raises(NoServices):
        await soon(one.query(b"x", services=services))
