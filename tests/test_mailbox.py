"""Mailboxes of ``AsyncCluster``: notes in order, once; requests answered, failed or given up."""

import asyncio
import gc
import threading
import weakref
from contextlib import AsyncExitStack
from functools import partial

import pytest

from meshcluster import (
    LATER,
    AsyncCluster,
    ConfigError,
    Congested,
    EncodeError,
    HookFailed,
    HookRejected,
    MessageTooLarge,
    NoResponder,
    NoServices,
    NotJoined,
    QueryTimeout,
    RemoteError,
    ServiceLost,
)
from meshcluster.config import ClusterConfig, Limits
from tests.waiting import eventually


@pytest.fixture
async def join(beacon_port, monkeypatch):
    """Joins members of a mesh of this test's own; all leave at the end."""
    async with AsyncExitStack() as stack:

        async def join(*tags, cluster=None, limits=None, **settings):
            with monkeypatch.context() as patch:
                config = partial(ClusterConfig, limits=limits or Limits())
                patch.setattr("meshcluster.cluster.ClusterConfig", config)
                joining = (cluster or AsyncCluster()).join(tags, port=beacon_port, **settings)
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


def echo(letter):
    return letter.data


async def having(cluster, name, count=1):
    """A mailbox that only asks, once others have theirs, and these others."""
    box = cluster.mailbox(name)
    await eventually(lambda: len(box.services) == count)
    return box, *box.services


# --- notes -------------------------------------------------------------------------------------


async def test_notes_arrive_in_order_once_between_requests(pair):
    one, other = pair
    got = []
    other.mailbox("box", lambda letter: got.append(letter.data))
    box, service = await having(one, "box")
    for number in range(1000):
        await box.send(service, number)
        if number % 100 == 0:
            box.request(service, f"after {number}")
    await soon(box.request(service, "end"))
    asked = [value for value in got if type(value) is str]
    assert asked == [f"after {n}" for n in range(0, 1000, 100)] + ["end"]
    assert [value for value in got if type(value) is int] == list(range(1000))
    assert got.index("after 500") == got.index(500) + 1


async def test_the_order_of_events_and_notes_to_one_member_is_kept(pair):
    one, other = pair
    got = []
    other.hook("event")(lambda message: got.append(message.data))
    other.mailbox("box", lambda letter: got.append(letter.data))
    box, service = await having(one, "box")
    for number in range(0, 100, 2):
        await one.send(number, services=[service])
        await box.send(service, number + 1)
    await eventually(lambda: len(got) == 100)
    assert got == list(range(100))


async def test_notes_survive_the_end_of_links_in_between(pair):
    one, other = pair
    got = []
    other.mailbox("box", lambda letter: got.append(letter.data))
    box, service = await having(one, "box")
    for number in range(500):
        await box.send(service, number)
        if number % 50 == 0:
            await eventually(lambda number=number: number in got)
            for end in list(one.joined._ends.values()):
                end.link.abort()
    await eventually(lambda: len(got) == 500)
    assert got == list(range(500))


async def test_users_hooks_do_not_see_what_goes_to_mailboxes(pair):
    one, other = pair
    seen = []
    for point in ("event", "query"):
        other.hook(point)(seen.append)
    other.mailbox("box", echo)
    box, service = await having(one, "box")
    await box.send(service, "note")
    assert await soon(box.request(service, "request")) == "request"
    assert seen == []


async def test_interceptors_see_it_with_its_kind_and_mailbox(pair):
    one, other = pair
    seen = []
    for name, cluster in (("one", one), ("other", other)):
        for point in ("send", "receive"):
            cluster.hook(point)(
                lambda m, at=(name, point): seen.append((*at, m.kind, m.mailbox, m.data))
            )
    other.mailbox("box", echo)
    box, service = await having(one, "box")
    await box.send(service, "note")
    await soon(box.request(service, "asked"))
    assert seen == [
        ("one", "send", "note", "box", "note"),
        ("one", "send", "request", "box", "asked"),
        ("other", "receive", "note", "box", "note"),
        ("other", "receive", "request", "box", "asked"),
        ("other", "send", "answer", "", "asked"),
        ("one", "receive", "answer", "", "asked"),
    ]


@pytest.mark.parametrize(
    ("hook", "error"),
    [
        (lambda message: (_ for _ in ()).throw(HookRejected("no")), HookRejected),
        (lambda message: 1 / 0, HookFailed),
    ],
    ids=["vetoes", "breaks"],
)
async def test_a_send_hook_that_stops_it_is_heard_by_the_caller(pair, hook, error):
    one, other = pair
    got = []
    other.mailbox("box", lambda letter: got.append(letter.data))
    box, service = await having(one, "box")
    one.hook("send")(hook)
    with pytest.raises(error):
        await box.send(service, "note")
    with pytest.raises(error):
        box.request(service, "request")
    one.unhook(hook)
    await soon(box.request(service, "end"))
    assert got == ["end"]


@pytest.mark.parametrize("wrong", [object(), "\ud800", b"x" * 2000])
async def test_what_cannot_be_sent_is_refused_at_once(join, wrong):
    one, other = await join(limits=Limits(message_bytes=1000)), await join()
    other.mailbox("box", echo)
    await one.wait_for_services()
    box, service = await having(one, "box")
    with pytest.raises((EncodeError, MessageTooLarge)):
        await box.send(service, wrong)
    with pytest.raises((EncodeError, MessageTooLarge)):
        box.request(service, wrong)


async def test_a_note_for_no_mailbox_is_counted_there(pair):
    one, other = pair
    (service,) = one.services
    await one.mailbox("box").send(service, "note")
    await eventually(lambda: other.dropped.get("letters for no mailbox") == 1)


async def test_a_receiver_that_raises_gets_the_next_note_all_the_same(pair, caplog):
    one, other = pair
    got = []

    def receive(letter):
        got.append(letter.data)
        if letter.data == 1:
            raise ValueError("one")

    other.mailbox("box", receive)
    box, service = await having(one, "box")
    for number in range(3):
        await box.send(service, number)
    await eventually(lambda: len(got) == 3)
    assert other.dropped["hooks that raised"] == 1
    assert "ValueError: one" in caplog.text


async def test_a_sender_waits_for_room_and_is_told_when_there_is_none(join):
    limits = Limits(waiting_messages=20, send_seconds=0.2, event_window_bytes=100_000)
    one, other = await join(limits=limits), await join(limits=limits)
    go, got = asyncio.Event(), []

    async def slow(message):
        await go.wait()

    other.hook("event")(slow)
    other.mailbox("box", lambda letter: got.append(letter.data))
    await one.wait_for_services()
    box, service = await having(one, "box")
    for number in range(100):  # five times what fits
        await box.send(service, number)
    await eventually(lambda: len(got) == 100)

    async def flood():
        while True:
            await one.send(b"x" * 10_000, services=[service])

    with pytest.raises(Congested):
        await flood()
    with pytest.raises(Congested, match="nothing was sent"):
        await box.send(service, "no room")
    assert await soon(box.request(service, "passes")) is None
    go.set()
    await soon(box.send(service, "room"))
    await eventually(lambda: "room" in got)
    assert got == [*range(100), "passes", "room"]


# --- requests ----------------------------------------------------------------------------------


async def test_a_request_has_the_answer_of_the_receiver(pair):
    one, other = pair
    other.mailbox("box", lambda letter: (letter.service.name, letter.protocol, letter.data))
    box, service = await having(one, "box")
    name, protocol, data = await soon(box.request(service, {1: (2, 3)}))
    assert (name, data) == (one.config.name, {1: (2, 3)})
    assert protocol in ("unix", "tcp")


async def test_ten_thousand_requests_in_flight_each_get_their_own_answer(pair):
    one, other = pair
    held = []
    other.mailbox("box", lambda letter: held.append(letter) or LATER)
    box, service = await having(one, "box")
    futures = [box.request(service, number) for number in range(10_000)]
    await eventually(lambda: len(held) == 10_000)
    assert not any(future.done() for future in futures)
    for letter in reversed(held):
        letter.reply(-letter.data)
    assert await soon(asyncio.gather(*futures)) == [-n for n in range(10_000)]


async def test_a_receiver_that_raises_fails_the_request(pair):
    one, other = pair
    other.mailbox("box", lambda letter: {}["no such key"])
    box, service = await having(one, "box")
    with pytest.raises(RemoteError) as caught:
        await soon(box.request(service, 1))
    assert (caught.value.kind, caught.value.service) == ("KeyError", service)


@pytest.mark.parametrize("wrong", [object(), b"x" * 2000])
async def test_an_answer_that_cannot_be_sent_fails_the_request(join, wrong):
    one, other = await join(), await join(limits=Limits(message_bytes=1000))
    other.mailbox("box", lambda letter: wrong)
    await one.wait_for_services()
    box, service = await having(one, "box")
    with pytest.raises(RemoteError, match="could not be sent"):
        await soon(box.request(service, 1))
    assert [n for why, n in other.dropped.items() if why.startswith("answers not sent")] == [1]


async def test_a_member_without_such_a_mailbox_says_so(pair):
    one, other = pair
    (service,) = one.services
    other.mailbox("only asks")
    for name in ("box", "only asks"):
        with pytest.raises(NoResponder):
            await soon(one.mailbox(name).request(service, 1))
    assert other.dropped["letters for no mailbox"] == 2


async def test_an_answer_may_come_later_from_another_thread(pair):
    one, other = pair

    def receive(letter):
        thread = threading.Thread(target=letter.reply, args=(letter.data * 2,))
        thread.start()
        thread.join()
        return LATER

    other.mailbox("box", receive)
    box, service = await having(one, "box")
    assert await soon(box.request(service, 21)) == 42


async def test_a_deadline_that_passes_names_the_member_and_a_late_answer_is_counted(pair):
    one, other = pair
    held = []
    other.mailbox("box", lambda letter: held.append(letter) or LATER)
    box, service = await having(one, "box")
    with pytest.raises(QueryTimeout, match=r"did not answer within 0\.3 s") as caught:
        await soon(box.request(service, 1, timeout=0.3))
    assert caught.value.missing == (service,)
    held[0].reply("late")
    await eventually(lambda: one.dropped.get("answers late, twice or not asked for") == 1)


@pytest.mark.parametrize("timeout", [-1, float("nan"), "1", None])
async def test_a_timeout_is_seconds(pair, timeout):
    one, _ = pair
    with pytest.raises(ConfigError):
        one.mailbox("box").request(one.services[0], 1, timeout=timeout)


async def test_a_cancelled_request_is_forgotten_and_its_answer_dropped(pair):
    one, other = pair
    held = []
    other.mailbox("box", lambda letter: held.append(letter) or LATER)
    box, service = await having(one, "box")
    future = box.request(service, 1)
    await eventually(lambda: held)
    future.cancel()
    with pytest.raises(asyncio.CancelledError):
        await future
    held[0].reply("nobody waits")
    await eventually(lambda: one.dropped.get("answers late, twice or not asked for") == 1)


async def test_an_answer_finds_its_request_over_another_link(pair):
    one, other = pair
    held = []
    other.mailbox("box", lambda letter: held.append(letter) or LATER)
    box, service = await having(one, "box")
    future = box.request(service, 1)
    await eventually(lambda: held)
    for end in list(one.joined._ends.values()):
        end.link.abort()
    held[0].reply("found")
    assert await soon(future) == "found"


async def test_a_member_that_leaves_ends_what_it_was_asked(pair):
    one, other = pair
    held = []
    other.mailbox("box", lambda letter: held.append(letter) or LATER)
    box, service = await having(one, "box")
    future = box.request(service, 1)
    await eventually(lambda: held)
    await other.leave()
    with pytest.raises(ServiceLost):
        await soon(future)
    held[0].reply("from a member that left")
    held[0].fail(ValueError("twice"))


async def test_who_is_gone_cannot_be_asked_or_told(pair):
    one, other = pair
    (service,) = one.services
    await other.leave()
    await eventually(lambda: one.services == ())
    box = one.mailbox("box")
    with pytest.raises(NoServices, match="not a member any more"):
        await box.send(service, 1)
    with pytest.raises(NoServices, match="not a member any more"):
        box.request(service, 1)


async def test_leaving_ends_open_requests(pair):
    one, other = pair
    held = []
    other.mailbox("box", lambda letter: held.append(letter) or LATER)
    box, service = await having(one, "box")
    futures = [box.request(service, number) for number in range(3)]
    await eventually(lambda: len(held) == 3)
    await one.leave()
    for future in futures:
        with pytest.raises(NotJoined):
            await soon(future)
    with pytest.raises(NotJoined):
        box.request(service, 1)
    with pytest.raises(NotJoined):
        await box.send(service, 1)


async def test_a_request_made_while_leaving_ends_too(pair):
    one, other = pair
    other.mailbox("box", lambda letter: LATER)
    box, service = await having(one, "box")
    again = []

    def ask_again(future):
        future.exception()
        try:
            again.append(box.request(service, "again"))
        except NotJoined as error:
            again.append(error)

    box.request(service, "first").add_done_callback(ask_again)
    await one.leave()
    assert len(again) == 1
    if not isinstance(again[0], NotJoined):
        with pytest.raises(NotJoined):
            await soon(again[0])


# --- asking without a future -------------------------------------------------------------------


class Ends:
    """What each request came to, by number, in the order in which they ended."""

    def __init__(self):
        self.ends = []

    def __call__(self, number):
        return lambda value, error: self.ends.append((number, value, error))

    async def all(self, count):
        await eventually(lambda: len(self.ends) >= count)
        return self.ends


@pytest.fixture
async def asking(pair):
    """Who asks, its mailbox, whom, and how many frames have carried that so far."""
    one, other = pair
    other.mailbox("box", echo)
    box, service = await having(one, "box")
    await soon(box.request(service, b"hello"))  # there is a link
    (session,) = [s for peer in one.joined.node.peers for s in peer.sessions.values()]
    return one, box, service, lambda: session._number


async def test_what_is_asked_ends_once_with_the_answer_in_the_order_of_asking(asking):
    _, box, service, _ = asking
    ends = Ends()
    values = [b"bytes", "text", {"a": (1, 2)}, None, b"x" * 100_000, b""]
    for number, value in enumerate(values):
        box.ask(service, value, ends(number))
    assert await ends.all(len(values)) == [(n, value, None) for n, value in enumerate(values)]


async def test_requests_of_one_turn_of_the_loop_leave_together(asking):
    _, box, service, frames = asking
    began, ends = frames(), Ends()
    box.ask(service, b"alone", ends(0))
    assert frames() - began == 1
    for number in range(1, 64):
        box.ask(service, b"x", ends(number))
    assert [number for number, _, _ in await ends.all(64)] == list(range(64))
    # The first was the only open one, and did not wait; FULL more did not wait for the rest.
    assert frames() - began == 3


async def test_what_is_asked_when_an_answer_comes_goes_with_what_else_is(asking):
    _, box, service, frames = asking
    began, ends = frames(), Ends()

    def again(value, error):
        box.ask(service, b"second", ends(1))

    for _ in range(20):
        box.ask(service, b"first", again)
    await ends.all(20)
    assert frames() - began <= 4  # of each twenty the first alone, at most, and the others together


async def test_who_is_told_and_raises_holds_up_nobody(asking, caplog):
    one, box, service, _ = asking
    ends = Ends()
    box.ask(service, 1, lambda value, error: 1 / 0)
    box.ask(service, 2, ends(2))
    assert await ends.all(1) == [(2, 2, None)]
    assert one.dropped["hooks that raised"] == 1
    assert "ZeroDivisionError" in caplog.text


async def test_why_there_is_no_answer_is_told(asking, pair):
    one, _, service, _ = asking
    ends, held = Ends(), []
    pair[1].mailbox("slow", lambda letter: held.append(letter) or LATER)
    one.mailbox("nobody's").ask(service, 1, ends("nobody's"))
    one.mailbox("slow").ask(service, 1, ends("no time"), timeout=0.01)
    told = {name: (value, type(error)) for name, value, error in await ends.all(2)}
    assert told == {"no time": (None, QueryTimeout), "nobody's": (None, NoResponder)}


@pytest.mark.parametrize("where", ["loop", "thread"])
async def test_who_cancels_hears_nothing_more(asking, where):
    one, box, service, _ = asking
    ends = Ends()
    waiter = box.ask(service, 1, ends(1))
    if where == "loop":
        waiter.cancel()
    else:
        await asyncio.to_thread(waiter.cancel)
    box.ask(service, 2, ends(2))
    assert (await ends.all(1))[-1] == (2, 2, None)
    assert where == "thread" or one.dropped["answers late, twice or not asked for"] == 1
    assert repr(waiter) == f"<Waiter for {service.name}, over>"


async def test_what_came_with_the_answer_that_has_it_cancelled_is_not_told(asking):
    _, box, service, _ = asking
    ends, waiters = Ends(), []

    def first(value, error):
        for waiter in waiters:
            waiter.cancel()

    box.ask(service, 0, ends(0))  # goes at once; those behind it go together
    box.ask(service, 1, first)
    waiters.append(box.ask(service, 2, ends(2)))
    box.ask(service, 3, ends(3))
    assert await ends.all(2) == [(0, 0, None), (3, 3, None)]


async def test_hooks_and_large_bodies_take_the_long_way_to_the_same_end(asking):
    one, box, service, _ = asking
    ends, seen = Ends(), []
    one.hook("send")(lambda message: seen.append(message.kind))
    one.hook("receive")(lambda message: seen.append(message.kind))
    box.ask(service, b"x" * 5000, ends(0))
    assert await ends.all(1) == [(0, b"x" * 5000, None)]
    assert seen == ["request", "answer"]


async def test_an_end_frees_who_waited_without_the_collector(asking):
    _, box, service, _ = asking
    gc.disable()
    try:
        ends = Ends()
        waiter = box.ask(service, 1, ends(1))
        freed = weakref.ref(ends)
        await ends.all(1)
        del ends
        assert freed() is None
        assert repr(waiter).endswith("over>")
    finally:
        gc.enable()


# --- whether a member that was lost had it -----------------------------------------------------


async def lost(future):
    with pytest.raises(ServiceLost) as raised:
        await soon(future)
    return raised.value


async def test_what_had_not_left_its_member_never_had(asking, pair):
    one, box, service, _ = asking
    for end in list(one.joined._ends.values()):
        end.pause_sending()
    requests = [box.request(service, n) for n in range(3)]
    query = one.query(1, services=(service,))
    await pair[1].leave()
    assert [(await lost(each)).unhandled for each in requests] == [True] * 3
    await soon(query.wait())
    assert query.errors[service].unhandled


async def test_what_was_turned_away_its_member_never_had(asking, pair):
    _, box, service, _ = asking
    begun = []
    pair[1].mailbox("slow", lambda letter: begun.append(letter) or LATER)
    slow = pair[0].mailbox("slow").request(service, 1)
    await eventually(lambda: begun)
    leaving = asyncio.create_task(pair[1].leave(timeout=10))
    await eventually(lambda: pair[1].joined._leaving is not None)
    error = await lost(box.request(service, 1))
    assert (error.reason, error.unhandled) == ("leaving", True)
    begun[0].reply("done")
    assert await soon(slow) == "done"
    await soon(leaving)


async def test_what_its_member_had_it_may_have_done(pair):
    one, other = pair
    held = []
    other.mailbox("box", lambda letter: held.append(letter) or LATER)
    box, service = await having(one, "box")
    future = box.request(service, 1)
    await eventually(lambda: held)
    await other.leave()
    assert not (await lost(future)).unhandled


# --- where they are ----------------------------------------------------------------------------


async def test_offers_are_seen_by_all_and_services_are_those_that_have_one(join):
    one, two, three = await join("one"), await join("two"), await join("three")
    early = AsyncCluster()
    early.mailbox("box", echo, offer={"made": "before joining"})
    await join("early", cluster=early)
    await one.wait_for_services(3)
    two.mailbox("box", echo, offer=[1, 2])
    three.mailbox("box")
    box = one.mailbox("box")
    await eventually(lambda: len(box.services) == 2)
    offers = {service.tags[0]: service.offers for service in one.services}
    assert offers["two"] == {"box": [1, 2]}
    assert offers["early"] == {"box": {"made": "before joining"}}
    assert offers["three"] == {}


async def test_those_who_have_one_are_waited_for(join):
    one, two = await join(), await join("two")
    await one.wait_for_services()
    box = one.mailbox("box")
    waiting = asyncio.create_task(box.wait_for_services())
    await asyncio.sleep(0)
    assert not waiting.done(), "known, but without the mailbox"
    two.mailbox("box", echo)
    assert await soon(waiting) == box.services == one.resolve("two")
    waiting = asyncio.create_task(box.wait_for_services(2))
    three = AsyncCluster()
    three.mailbox("box", echo)
    await join("three", cluster=three)
    assert len(await soon(waiting)) == 2


async def test_waiting_for_those_who_have_one_says_how_many_there_were(join):
    one, two, _ = await join(), await join(name="two"), await join()
    await one.wait_for_services(2)
    two.mailbox("box", echo)
    box, _ = await having(one, "box")
    text = r"^1 of 2 services with mailbox 'box' after 0\.05 s; 2 members are known: .*two"
    with pytest.raises(TimeoutError, match=text):
        await box.wait_for_services(2, timeout=0.05)
    await one.leave()
    with pytest.raises(NotJoined):
        await box.wait_for_services()


async def test_waiting_for_those_who_have_one_ends_when_the_cluster_is_left(join):
    one = await join()
    waiting = asyncio.create_task(one.mailbox("box").wait_for_services(timeout=60))
    await asyncio.sleep(0)
    await one.leave()
    with pytest.raises(NotJoined):
        await soon(waiting)


async def test_an_offer_can_be_changed_and_ends_with_the_mailbox(pair):
    one, other = pair
    changed = []
    one.hook("service.changed")(lambda service: changed.append(dict(service.offers)))
    theirs = other.mailbox("box", echo, offer=1)
    await eventually(lambda: changed[-1:] == [{"box": 1}])
    theirs.offer(2)
    await eventually(lambda: changed[-1:] == [{"box": 2}])
    theirs.close()
    await eventually(lambda: changed[-1:] == [{}])
    with pytest.raises(ConfigError):
        theirs.offer(3)
    with pytest.raises(NoResponder):
        await soon(one.mailbox("box").request(one.services[0], 1))
    assert len(changed) == 3


async def test_a_mailbox_is_there_before_anything_sent_after_it(pair):
    """Its maker may tell others at once: who is told knows the offer."""
    one, other = pair
    seen = []
    one.hook("event")(lambda message: seen.append(dict(one.services[0].offers)))
    other.mailbox("box", echo, offer="here")
    await other.broadcast("I have a mailbox")
    await eventually(lambda: seen)
    assert seen == [{"box": "here"}]


async def test_closing_again_closes_nobody_elses_mailbox_of_that_name(pair):
    one, other = pair
    first = other.mailbox("box", echo)
    first.close()
    other.mailbox("box", echo, offer="second")
    first.close()
    with pytest.raises(ConfigError):
        first.offer("first")
    box, service = await having(one, "box")
    assert await soon(box.request(service, "here")) == "here"
    await eventually(lambda: one.services[0].offers == {"box": "second"})


async def test_an_offer_too_large_to_be_said_is_refused_and_changes_nothing(pair):
    one, other = pair
    box = other.mailbox("box", echo, offer=1)
    with pytest.raises(MessageTooLarge):
        box.offer("x" * 70_000)
    with pytest.raises(MessageTooLarge):
        other.mailbox("second", echo, offer="x" * 70_000)
    other.mailbox("second", echo, offer=2)
    await eventually(lambda: one.services[0].offers == {"box": 1, "second": 2})


async def test_an_offer_is_what_it_was_when_it_was_made(pair):
    one, other = pair
    offer = {"count": [1]}
    other.mailbox("box", echo, offer=offer)
    offer["count"].append(2)
    other.tags.append("later")
    await eventually(lambda: "later" in one.services[0].tags)
    assert one.services[0].offers == {"box": {"count": [1]}}


async def test_mailboxes_are_kept_when_their_cluster_joins_again(join, beacon_port):
    one, other = await join(), AsyncCluster()
    box = other.mailbox("box", echo)
    for _ in range(2):
        async with other.join(port=beacon_port):
            asking, service = await having(one, "box")
            assert await soon(asking.request(service, 1)) == 1
            asking.close()
        await eventually(lambda: one.services == ())
        with pytest.raises(NotJoined):
            _ = box.services


async def test_an_observer_may_ask_and_tell_and_is_answered(join):
    other = await join("other")
    got = []
    other.mailbox("box", lambda letter: got.append(letter.data) or "answer")
    observer = await join(observer=True)
    await observer.wait_for_services()
    box, service = await having(observer, "box")
    await box.send(service, "note")
    assert await soon(box.request(service, "request")) == "answer"
    assert got == ["note", "request"]
    assert other.services == ()


async def test_a_mailbox_has_a_name_and_says_so(join):
    box = (await join()).mailbox("box")
    assert (box.name, repr(box)) == ("box", "<AsyncMailbox 'box'>")
