"""The member that is called: limits, cancelling, leaving, and letters that nobody of us writes."""

import asyncio
import threading
import time

import pytest

from meshcluster import (
    AsyncCluster,
    DecodeError,
    NotExposed,
    OutcomeUnknown,
    QueryTimeout,
    RemoteError,
    ServiceLost,
    current_call,
)
from meshcluster.rpc.letters import CANCEL, ITEMS, MAILBOX, MISFIT, NEXT, NOT_EXPOSED, OK, values_of
from meshcluster.rpc.values import TAG
from tests.waiting import eventually


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


class Gate:
    """Functions that begin, and end when they are let."""

    def __init__(self):
        self.begun = []
        self.ended = []
        self.cancelled = []
        self.go = threading.Event()
        self.let = asyncio.Event()

    def plain(self, x):
        self.begun.append(x)
        while not self.go.wait(0.002):
            if current_call().cancelled:
                self.cancelled.append(x)
                return None
        self.ended.append(x)
        return x

    async def later(self, x):
        self.begun.append(x)
        try:
            await self.let.wait()
        except asyncio.CancelledError:
            self.cancelled.append(x)
            raise
        self.ended.append(x)
        return x

    def open(self):
        self.go.set()
        self.let.set()


@pytest.fixture
async def gate():
    made = Gate()
    yield made
    made.open()


KINDS = ["plain", "later"]


# --- limits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_no_more_calls_than_the_limit_run_at_once_and_the_others_wait_in_order(
    two, gate, kind
):
    await two.expose(getattr(gate, kind), "f", limit=2)
    calls = [two.caller.go("f", n) for n in range(6)]
    await eventually(lambda: len(gate.begun) == 2)
    await asyncio.sleep(0.05)
    assert gate.begun == [0, 1]
    gate.open()
    assert await soon(asyncio.gather(*calls)) == list(range(6))
    assert gate.begun == list(range(6))


async def test_a_limit_in_the_loop_is_kept_and_is_free_again(two):
    await two.expose(lambda x: x, "f", limit=1, in_loop=True)
    calls = [two.caller.go("f", n) for n in range(20)]
    assert await soon(asyncio.gather(*calls)) == list(range(20))


async def test_a_limit_is_free_again_after_failures(two):
    def fails():
        raise ValueError

    async def fails_later():
        raise ValueError

    for function in (fails, fails_later):
        await two.expose(function, limit=1)
        calls = [two.caller.go(function.__name__) for _ in range(5)]
        found = await soon(asyncio.gather(*calls, return_exceptions=True))
        assert {type(each) for each in found} == {RemoteError}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_cancelled_while_it_waits_never_begins(two, gate, kind, quick_leave):
    await two.expose(getattr(gate, kind), "f", limit=1)
    calls = [two.caller.go("f", n) for n in range(4)]
    await eventually(lambda: gate.begun == [0])
    await two.expose(lambda: "here", "ping", in_loop=True)
    calls[1].cancel()
    calls[2].cancel()
    assert await two.caller.call("ping") == "here"  # so it has heard of these, too
    gate.open()
    assert await soon(asyncio.gather(calls[0], calls[3])) == [0, 3]
    assert gate.begun == [0, 3]
    await quick_leave(two.server)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_waits_for_longer_than_its_deadline_never_begins(two, gate, kind, quick_leave):
    await two.expose(getattr(gate, kind), "f", limit=1)
    first = two.caller.go("f", 0)
    with pytest.raises(QueryTimeout):
        await two.caller.call("f", 1, timeout=0.05)
    await asyncio.sleep(0.05)  # there it began to run a moment later
    gate.open()
    assert await soon(first) == 0
    assert await two.caller.call("f", 2) == 2
    assert gate.begun == [0, 2]
    await quick_leave(two.server)


@pytest.fixture
def quick_leave(caplog):
    """Nothing is owed to anybody: leaving takes no time, and warns of nothing."""

    async def quick_leave(cluster):
        before = time.monotonic()
        await cluster.leave()
        assert time.monotonic() - before < 1
        assert "left after" not in caplog.text

    return quick_leave


# --- unexpose --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_taken_away_while_calls_run_lets_them_end(two, gate, kind, quick_leave):
    await two.expose(getattr(gate, kind), "f", limit=2)
    calls = [two.caller.go("f", n) for n in range(6)]
    await eventually(lambda: len(gate.begun) == 2)
    assert two.server.unexpose("f") == 1
    for call in calls[2:]:
        with pytest.raises(NotExposed, match="exposes it no more"):
            await soon(call)
    gate.open()
    assert await soon(asyncio.gather(*calls[:2])) == [0, 1]
    two.server.expose(lambda x: -x, name="f")
    await two.caller.wait_for_exposed("f")
    assert await two.caller.call("f", 5) == -5
    assert gate.begun == [0, 1]
    await quick_leave(two.server)


async def test_an_object_is_taken_away_by_its_name(two, gate):
    two.server.expose(gate)
    two.server.expose(lambda: 1, name="Gates")
    await two.caller.wait_for_exposed("Gate.later")
    assert two.server.unexpose("Gate") == 3
    await eventually(lambda: list(two.caller.exposed) == ["Gates"])
    assert await two.caller.call("Gates") == 1


# --- cancelling ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_cancelling_reaches_the_function(two, gate, kind, quick_leave):
    await two.expose(getattr(gate, kind), "f")
    call = two.caller.go("f", 1)
    await eventually(lambda: gate.begun)
    assert call.cancel()
    assert not call.cancel()
    await eventually(lambda: gate.cancelled == [1])
    assert gate.ended == []
    assert two.load == [0]
    await quick_leave(two.server)


@pytest.mark.parametrize("limit", [None, 1])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_cancelled_at_once_leaves_nothing_behind(two, gate, kind, limit, quick_leave):
    await two.expose(getattr(gate, kind), "f", limit=limit)
    calls = [two.caller.go("f", n) for n in range(20)]
    for call in calls:
        call.cancel()
    gate.open()
    assert await two.caller.call("f", 99) == 99
    await quick_leave(two.server)


@pytest.mark.parametrize("kind", KINDS)
async def test_at_its_deadline_the_function_is_given_up(two, gate, kind):
    await two.expose(getattr(gate, kind), "f")
    with pytest.raises(QueryTimeout):
        await two.caller.call("f", 1, timeout=0.3)
    await eventually(lambda: gate.cancelled == [1])


@pytest.mark.parametrize("kind", KINDS)
async def test_when_the_caller_is_lost_its_calls_are_given_up(two, gate, kind):
    await two.expose(getattr(gate, kind), "f")
    call = two.caller.go("f", 1)
    await eventually(lambda: gate.begun)
    await two.caller.leave(timeout=0)
    await eventually(lambda: gate.cancelled == [1])
    assert call.done()
    assert call.exception() is not None


async def test_what_a_function_returns_that_has_given_up_is_no_result(two):
    """However early its answer comes: it knew that nobody waits, and may have done half of it."""

    def f():
        while not current_call().cancelled:
            threading.Event().wait(0.001)
        return "half of it"

    def items():
        while not current_call().cancelled:
            threading.Event().wait(0.001)
        yield "half of it"

    await two.expose(f)
    await two.expose(items)
    calls = [two.caller.go("f", timeout=0.05 + n / 1000) for n in range(4)]
    calls += [two.caller.go("items", timeout=0.05 + n / 1000) for n in range(4)]
    found = await soon(asyncio.gather(*calls, return_exceptions=True))
    assert {type(each) for each in found} == {QueryTimeout}


async def test_a_coroutine_that_is_given_up_may_clean_up_undisturbed(two):
    """It is cancelled once, however long it takes."""
    events = []

    async def f():
        try:
            await asyncio.sleep(30)
        finally:
            try:
                await asyncio.sleep(0.3)
                events.append("cleaned up")
            except asyncio.CancelledError:
                events.append("disturbed")
                raise

    await two.expose(f)
    with pytest.raises(QueryTimeout):
        await two.caller.call("f", timeout=0.3)
    await eventually(lambda: events)
    assert events == ["cleaned up"]


# --- leaving ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_leaving_lets_calls_end(two, gate, kind):
    await two.expose(getattr(gate, kind), "f")
    calls = [two.caller.go("f", n) for n in range(3)]
    await eventually(lambda: len(gate.begun) == 3)
    leaving = asyncio.ensure_future(two.server.leave())
    await asyncio.sleep(0.05)
    assert not leaving.done()
    gate.open()
    assert sorted(await soon(asyncio.gather(*calls))) == [0, 1, 2]
    await soon(leaving)
    assert two.caller.exposed == {}


@pytest.mark.parametrize("kind", KINDS)
async def test_leaving_gives_up_what_does_not_end_in_time(two, gate, kind):
    await two.expose(getattr(gate, kind), "f")
    call = two.caller.go("f", 1)
    await eventually(lambda: gate.begun)
    await two.server.leave(timeout=0.05)
    with pytest.raises(OutcomeUnknown):
        await soon(call)
    assert gate.cancelled == [1]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_limit_is_free_again_after_leaving_and_joining(join, beacon_port, gate, kind):
    server, caller = AsyncCluster(), await join()
    server.expose(getattr(gate, kind), name="f", limit=1)
    async with server.join(port=beacon_port):
        await caller.wait_for_exposed("f")
        calls = [caller.go("f", n) for n in range(3)]
        await eventually(lambda: gate.begun)
        await server.leave(timeout=0.05)
        for call in calls:
            with pytest.raises((OutcomeUnknown, ServiceLost, NotExposed)):
                await soon(call)
    gate.open()
    async with server.join(port=beacon_port):
        await caller.wait_for_exposed("f")
        assert await soon(caller.call("f", 7)) == 7


# --- letters that nobody of us writes --------------------------------------------------------


@pytest.fixture
async def raw(two, join):
    """A mailbox that writes what it likes to a member that exposes ``add``; and what was added."""
    added = []

    def add(a: int, *rest: int, by: str = "") -> int:
        added.append(a)
        return a

    await two.expose(add, in_loop=True)
    await two.expose(add, "slow")
    stranger = await join()
    await stranger.wait_for_exposed("slow")
    box = stranger.mailbox(MAILBOX)
    (service,) = stranger.resolve("server")

    async def ask(*letter):
        answer = await soon(box.request(service, *letter))
        return answer if answer is None else values_of(answer)

    return ask, added


def deep(levels, value=None):
    for _ in range(levels):
        value = [value]
    return value


LETTERS = [
    None, 5, "x", [], [1], {}, {0: 1}, (1, 2), [1, "NAME"], [1, "NAME", 1.0],
    [1, ["NAME"], 1.0, None, 1], [1, {}, 1.0, None, 1],
    [1, "NAME", "soon", None, 1], [1, "NAME", None, None, 1],
    [1, "NAME", float("nan"), None, 1], [1, "NAME", 1e300, None, 1], [1, "NAME", -1, None, 1],
    [1, "NAME", [], None, 1], [1, "NAME", 1.0, 5, 1], [1, "NAME", 1.0, "x", 1],
    [1, "NAME", 1.0, [], 1],
    [1, "NAME", 1.0, {"named": 5}, 1], [1, "NAME", 1.0, {"named": [1]}, 1],
    [1, "NAME", 1.0, {"named": {1: 1}}, 1], [1, "NAME", 1.0, {"named": {"by": 5}}, 1],
    [1, "NAME", 1.0, {"packed": True}, {TAG: 1}],
    [1, "NAME", 1.0, {"packed": True}, {TAG: ["int", 1]}],
    [1, "NAME", 1.0, {"packed": True, "named": {TAG: []}}, 1],
    [1, "NAME", 1.0, {"packed": True}, deep(50, {TAG: []})],
    [1, "NAME", 1.0, None], [1, "NAME", 1.0, None, "x"], [1, "NAME", 1.0, None, 1, "x"],
    [1, "NAME", 1.0, None, deep(60)], ["shout", 1], [None, None], [CANCEL, []], [NEXT, {}],
    [True, "NAME", 1.0, None, 1], [1.0, "NAME", 1.0, None, 1],
]  # fmt: skip


@pytest.mark.parametrize("name", ["add", "slow"])
async def test_letters_that_are_no_calls_are_refused_and_the_member_lives_on(
    raw, two, name, quick_leave
):
    ask, added = raw
    for letter in LETTERS:
        if type(letter) is list:
            letter = [name if each == "NAME" else each for each in letter]
        try:
            answer = await ask(letter)
        except RemoteError:
            pass
        else:
            assert answer[0] == MISFIT, letter
        assert added == [], letter
    assert await ask([1, name, 1.0, None, 7]) == [OK, 7]
    await quick_leave(two.server)


async def test_what_is_not_exposed_is_answered(raw):
    ask, _ = raw
    assert await ask([1, "nothing", 1.0, None]) == [NOT_EXPOSED]


async def test_words_about_calls_that_there_are_not_do_nothing(raw):
    ask, _ = raw
    assert await ask([CANCEL, 5]) is None
    assert (await ask([NEXT, 5]))[0] == ITEMS
    assert await ask([1, "add", 1.0, None, 5]) == [OK, 5]


async def test_a_number_that_is_used_twice_leaves_the_limit_as_it_was(two, join, gate):
    await two.expose(gate.later, "f", limit=1)
    stranger = await join()
    await stranger.wait_for_exposed("f")
    box = stranger.mailbox(MAILBOX)
    (service,) = stranger.resolve("server")
    asked = [box.request(service, [1, "f", 5.0, None, n]) for n in range(3)]
    await eventually(lambda: gate.begun)
    gate.open()
    found = await soon(asyncio.gather(*asked, return_exceptions=True))
    assert values_of(found[0]) == [OK, 0]
    assert {type(each) for each in found[1:]} == {RemoteError}
    assert [await two.caller.call("f", n) for n in range(3)] == [0, 1, 2]


async def test_calls_of_other_members_are_not_ones_own_to_cancel(two, join, gate):
    await two.expose(gate.later, "f")
    call = two.caller.go("f", 1)
    await eventually(lambda: gate.begun)
    stranger = await join()
    await stranger.wait_for_services(2)
    box = stranger.mailbox(MAILBOX)
    (server,) = stranger.resolve("server")
    for number in range(5):
        await soon(box.request(server, [CANCEL, number]))
    gate.open()
    assert await soon(call) == 1


# --- answers that nobody of us gives ---------------------------------------------------------


ANSWERS = [
    None, 5, "x", [], {}, {0: 1}, [99], ["OK"], [[]], [OK], [1], [1, {TAG: 5}], [1, {TAG: []}],
    [1, deep(50, {TAG: []})], [2], [2, "kind"], [2, 1, 2, 3, 4], [5], [5, "field"], [6],
    [ITEMS, True, 5, True, None], [ITEMS, False, [], False, 5],
    [ITEMS, True, [{TAG: 5}], True, None], [ITEMS, {}, {}, {}, {}], [-1], [OK, "no number"],
]  # fmt: skip


async def test_an_answer_that_is_none_is_an_error_of_the_call(two):
    answers = list(ANSWERS)
    two.server.mailbox(MAILBOX, lambda letter: answers.pop(0), offer={"f": ["() -> int"]})
    await two.caller.wait_for_exposed("f")
    for answer in ANSWERS:
        call = two.caller.go("f")
        await asyncio.wait([call], timeout=10)
        assert type(call.exception()) in (DecodeError, RemoteError), answer
        assert two.load == [0]


@pytest.mark.parametrize(
    "offer",
    [
        None, 5, "f", [], {"f": None}, {"f": 5}, {"f": [5]}, {"f": [None, "x"]},
        {"f": {}},
    ],
    ids=repr,
)  # fmt: skip
async def test_an_offer_that_is_none_offers_nothing(two, offer, settled):
    two.server.mailbox(MAILBOX, lambda letter: [OK, 1], offer=offer)
    await two.caller.mailbox(MAILBOX).wait_for_services()
    assert two.caller.exposed == {}
    with pytest.raises(NotExposed):
        two.caller.go("f")


@pytest.mark.parametrize(
    "told",
    [[], [""], ["nonsense"], ["(" * 5000], ["(a: " + "list[" * 400], ["(a, a)"], ["()" * 20_000],
     ["(*args)", "idempotent", "strange", "idempotent"], ["(a: Literal[" + "1, " * 500 + "])"]],
    ids=lambda told: repr(told)[:30],
)  # fmt: skip
async def test_a_signature_that_is_nonsense_takes_anything(two, told):
    two.server.mailbox(MAILBOX, lambda letter: [OK, values_of(letter.data)[4:]], offer={"f": told})
    await two.caller.wait_for_exposed("f")
    assert await two.caller.call("f", 1) == [1]
