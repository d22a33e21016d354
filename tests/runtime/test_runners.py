"""Where hooks run, in which order, and that a broken one harms nobody else."""

import asyncio
import queue
import threading
from contextlib import AsyncExitStack, ExitStack
from functools import partial

import pytest

import meshcluster
from meshcluster import PASS, AsyncCluster, ConfigError, NoResponder, RemoteError
from meshcluster.channels import Channels
from meshcluster.config import ClusterConfig, Limits
from meshcluster.hooks import HookRegistry
from meshcluster.model import Identity, Service
from meshcluster.node.counters import Counters
from meshcluster.node.effects import EventsArrived, QuestionArrived
from meshcluster.runtime.runners import HookCalls
from meshcluster.wire.frames import ANSWERED, NO_RESPONDER, Event, Question


@pytest.fixture
async def pair(beacon_port):
    """Two members in this loop that know each other."""
    async with AsyncExitStack() as stack:
        members = []
        for tag in ("one", "other"):
            joining = AsyncCluster().join([tag], port=beacon_port)
            members.append(await stack.enter_async_context(joining))
        for member in members:
            await member.wait_for_services()
        yield members


@pytest.fixture
def blocking_pair(beacon_port):
    """Two members with threads of their own that know each other."""
    with ExitStack() as stack:
        members = [
            stack.enter_context(meshcluster.join([tag], port=beacon_port))
            for tag in ("one", "other")
        ]
        for member in members:
            member.wait_for_services()
        yield members


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


# --- in the loop --------------------------------------------------------------------------


async def test_plain_hooks_run_in_the_loop(pair):
    one, other = pair
    ran = asyncio.get_running_loop().create_future()
    other.hook("event")(lambda message: ran.set_result(asyncio.get_running_loop()))
    await one.send("x", resolve="other")
    assert await soon(ran) is asyncio.get_running_loop()


async def test_a_slow_async_hook_takes_its_events_in_order_one_at_a_time(pair):
    one, other = pair
    took = []
    done = asyncio.Event()

    @other.hook("event")
    async def slow(message):
        took.append(("begin", message.data))
        await asyncio.sleep(0)
        took.append(("end", message.data))
        if message.data == 49:
            done.set()

    for number in range(50):
        await one.send(number, resolve="other")
    await soon(done.wait())
    assert took == [(word, n) for n in range(50) for word in ("begin", "end")]


async def test_a_stuck_async_hook_holds_up_no_other_hook(pair):
    one, other = pair
    heard = asyncio.Queue()

    @other.hook("event")
    async def stuck(message):
        await asyncio.Event().wait()

    @other.hook("event")
    async def lively(message):
        heard.put_nowait(message.data)

    other.hook("event")(lambda message: heard.put_nowait(message.data))
    for number in range(3):
        await one.send(number, resolve="other")
    assert sorted([await soon(heard.get()) for _ in range(6)]) == [0, 0, 1, 1, 2, 2]


async def test_async_observers_are_told_of_members(pair, beacon_port):
    told = asyncio.Queue()

    @pair[0].hook("service.discovered")
    async def discovered(service):
        await told.put(service.tags)

    assert await soon(told.get()) == ("other",)


async def test_async_responders_answer_at_the_same_time(pair):
    one, other = pair
    both = asyncio.Barrier(2)

    @other.hook("query")
    async def respond(question):
        await both.wait()
        return question.data

    queries = [one.query(text) for text in ("a", "b")]
    answers = [list((await soon(query.wait())).values()) for query in queries]
    assert answers == [["a"], ["b"]]


async def test_channels_not_joined_reach_no_hook_and_each_message_is_counted_once(pair):
    one, other = pair
    heard = asyncio.Queue()

    @other.hook("event")
    async def asynchronous(message):
        heard.put_nowait(message.data)

    other.hook("event")(lambda message: heard.put_nowait(message.data))
    for number in range(30):
        await one.send(number, resolve="other", channel=77)
    await one.send("heard", resolve="other")
    assert [await soon(heard.get()) for _ in range(2)] == ["heard", "heard"]
    assert other.dropped["messages on channels not joined"] == 30


NEAR_AND_FAR = [
    (0, {}, ""),
    (7, {}, "messages on channels not joined"),
    (1, {"local": True}, ""),
    (1, {"lan": True}, "messages on channel 1 from too far away"),
    (1, {}, "messages on channel 1 from too far away"),
    (2, {"local": True}, ""),
    (2, {"lan": True}, ""),
    (2, {}, "messages on channel 2 from too far away"),
]


@pytest.mark.parametrize(("channel", "how", "reason"), NEAR_AND_FAR)
def test_channel_1_takes_from_this_host_only_and_2_from_this_lan(channel, how, reason):
    hooks, counters, took, answers = HookRegistry(allow_async=False), Counters(), [], []
    hooks.add("event", lambda message: took.append(message.body))
    hooks.add("query", lambda message: "answer")
    calls = HookCalls(
        hooks,
        Channels(),
        counters,
        lambda *answer: answers.append(answer[1:]),
        lambda arrived: None,
    )
    ada = Service(Identity(bytes(16), 1, "ada", "h"), **how)
    events = [Event(channel, 2, b"x"), Event(channel, 2, b"y"), Event(0, 2, b"z")]
    calls.run_events(EventsArrived(None, ada, "tcp", events, 9), lambda chain: chain)
    calls.run_question(QuestionArrived(None, ada, "tcp", Question(1, channel, 2, b"?")))
    assert took == ([b"z"] if reason else [b"x", b"y", b"z"])
    assert answers == [(NO_RESPONDER, None) if reason else (ANSWERED, "answer")]
    assert counters.as_dict() == ({reason: 3} if reason else {})


async def test_leaving_from_an_async_hook_leaves_no_task(pair):
    one, other = pair
    tasks = asyncio.all_tasks()
    left = asyncio.Event()

    @other.hook("event")
    async def leave(message):
        await other.leave()
        left.set()

    await one.send("go", resolve="other")
    await soon(left.wait())
    for _ in range(5):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() <= tasks


# --- broken ones ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_a_hook_that_raises_is_logged_and_counted_and_the_rest_goes_on(pair, caplog, kind):
    one, other = pair
    heard = asyncio.Queue()

    def plain(message):
        raise ValueError("broken by purpose")

    async def asynchronous(message):
        plain(message)

    other.hook("event")(plain if kind == "plain" else asynchronous)
    other.hook("event")(lambda message: heard.put_nowait(message.data))
    for number in range(3):
        await one.send(number, resolve="other")
    assert [await soon(heard.get()) for _ in range(3)] == [0, 1, 2]
    for _ in range(10):
        await asyncio.sleep(0)
    assert other.dropped["hooks that raised"] == 3
    assert "broken by purpose" in caplog.text


async def test_what_a_responder_raises_reaches_the_asker(pair):
    one, other = pair

    @other.hook("query")
    def respond(question):
        raise KeyError("no such row")

    query = one.query("x")
    assert await soon(query.wait()) == {}
    (error,) = query.errors.values()
    assert isinstance(error, RemoteError)
    assert (error.kind, error.text) == ("KeyError", "'no such row'")
    assert other.dropped["responders that raised"] == 1


async def test_the_first_responder_that_does_not_pass_answers(pair):
    one, other = pair
    asked = []

    @other.hook("query")
    async def first(question):
        asked.append("first")
        return PASS

    @other.hook("query")
    def second(question):
        asked.append("second")
        return "mine"

    other.hook("query")(lambda question: asked.append("third"))
    assert list((await soon(one.query("x").wait())).values()) == ["mine"]
    assert asked == ["first", "second"]


async def test_when_all_pass_nobody_responds(pair):
    one, other = pair
    other.hook("query")(lambda question: PASS)
    query = one.query("x")
    await soon(query.wait())
    assert [type(error) for error in query.errors.values()] == [NoResponder]


async def test_an_answer_that_cannot_be_sent_is_told_to_the_asker(pair):
    one, other = pair
    other.hook("query")(lambda question: object())
    query = one.query("x")
    await soon(query.wait())
    assert [error.kind for error in query.errors.values()] == ["EncodeError"]


# --- on threads ----------------------------------------------------------------------------


def test_observers_and_events_run_in_order_on_one_thread(blocking_pair):
    one, other = blocking_pair
    ran = queue.Queue()

    def note(what):
        ran.put((what, threading.current_thread()))

    other.hook("service.discovered")(lambda service: note("discovered"))
    other.hook("event")(lambda message: note(message.data))
    for number in range(100):
        one.send(number, resolve="other")
    steps = [ran.get(timeout=10) for _ in range(101)]
    assert [what for what, _ in steps] == ["discovered", *range(100)]
    assert len({thread for _, thread in steps}) == 1
    assert steps[0][1] is not threading.main_thread()


def test_responders_run_beside_a_blocked_event_hook(blocking_pair):
    one, other = blocking_pair
    release = threading.Event()
    other.hook("event")(lambda message: release.wait(20))
    other.hook("query")(lambda question: "still here")
    one.send("block", resolve="other")
    assert list(one.query("x").wait(10).values()) == ["still here"]
    release.set()


def test_several_responders_run_at_once(blocking_pair):
    one, other = blocking_pair
    meeting = threading.Barrier(4)

    @other.hook("query")
    def respond(question):
        meeting.wait(10)
        return question.data

    queries = [one.query(number) for number in range(4)]
    assert [list(query.wait(10).values()) for query in queries] == [[0], [1], [2], [3]]


def test_async_hooks_are_refused(blocking_pair):
    async def hook(message):
        pass

    with pytest.raises(ConfigError, match="needs an AsyncCluster"):
        blocking_pair[0].hook("event")(hook)


def test_too_many_open_questions_are_refused_at_once(beacon_port, monkeypatch):
    with monkeypatch.context() as patch:
        small = partial(ClusterConfig, limits=Limits(open_questions=2))
        patch.setattr("meshcluster.cluster.ClusterConfig", small)
        responder = meshcluster.join(["responder"], port=beacon_port)
    release = threading.Event()
    responder.hook("query")(lambda question: release.wait(20))
    with responder, meshcluster.join(port=beacon_port) as asker:
        asker.wait_for_services()
        stuck = [asker.query("x") for _ in range(2)]
        third = asker.query("x")
        third.wait(10)
        release.set()
        assert [error.kind for error in third.errors.values()] == ["Overloaded"]
        assert all(query.wait(10) for query in stuck)


async def test_an_answer_that_cannot_be_sent_is_an_error_at_once_not_a_silence(pair):
    responder, asker = pair
    responder.hook("query")(lambda question: {"what": object()})
    (error,) = (await errors_of(asker.query("?", timeout=10))).values()
    assert (type(error), error.kind) == (RemoteError, "EncodeError")


async def test_an_error_whose_text_cannot_be_had_is_told_all_the_same(pair):
    class Mute(Exception):
        def __str__(self):
            raise ValueError

    def raise_it(question):
        raise Mute

    responder, asker = pair
    responder.hook("query")(raise_it)
    (error,) = (await errors_of(asker.query("?", timeout=10))).values()
    assert error.kind == "Mute"


async def errors_of(query):
    await query
    return query.errors
