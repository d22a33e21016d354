"""AsyncQuery: answers as they come, and what became of everybody who was asked."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from meshcluster import (
    PASS,
    STOP,
    AsyncCluster,
    ConfigError,
    EncodeError,
    HookRejected,
    NoResponder,
    NoRoute,
    NoServices,
    QueryTimeout,
    RemoteError,
    ServiceLost,
)


@pytest.fixture
async def join(beacon_port):
    """Joins members of a mesh of this test's own; all leave at its end."""
    async with AsyncExitStack() as stack:

        async def join(*tags, cluster=None, **settings):
            joining = (cluster or AsyncCluster()).join(tags, port=beacon_port, **settings)
            return await stack.enter_async_context(joining)

        yield join


@pytest.fixture
async def asker(join):
    return await join("asker")


@pytest.fixture
async def responder(join, asker):
    """Joins a member that answers by a function, and is known to the asker."""

    async def responder(tag, answer):
        cluster = AsyncCluster()
        cluster.hook("query")(answer)
        await join(tag, cluster=cluster)
        await asker.wait_for_services(resolve=tag)
        return cluster

    return responder


@pytest.fixture
async def silent(responder):
    """A member that never answers, and an event that tells that it was asked."""
    asked = asyncio.Event()

    async def never(question):
        asked.set()
        await asyncio.Event().wait()

    return await responder("silent", never), asked


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


def by_tag(results):
    return {service.tags[0]: value for service, value in results.items()}


async def test_it_ends_the_moment_all_have_answered(asker, responder):
    for tag in "abc":
        await responder(tag, lambda question, tag=tag: tag + question.data)
    query = asker.query("!", timeout=3600)
    assert not query.done
    assert len(query.remaining) == 3
    results = await soon(query.wait())
    assert by_tag(results) == {"a": "a!", "b": "b!", "c": "c!"}
    assert query.done
    assert query.remaining == ()
    assert query.errors == {}
    assert query.results == results


async def test_awaiting_it_is_waiting_for_it(asker, responder):
    await responder("a", lambda question: question.data)
    assert by_tag(await asker.query("x")) == {"a": "x"}


async def test_answers_come_as_they_are_given(asker, responder):
    order = ["slow", "quick"]
    quick_came = asyncio.Event()

    async def slow(question):
        await quick_came.wait()

    await responder("slow", slow)
    await responder("quick", lambda question: None)
    async with asyncio.timeout(10):
        async for service, _ in asker.query("x"):
            assert service.tags == (order.pop(),)
            quick_came.set()
    assert order == []


async def test_any_value_may_be_asked_and_answered(asker, responder):
    await responder("echo", lambda question: question.data)
    for value in (None, False, 0, "", b"", (1, [2, {3}]), {"é€\0😀": 1.5}):
        assert by_tag(await soon(asker.query(value).wait())) == {"echo": value}


async def test_several_at_once_never_mix(asker, responder):
    first_asked, release = asyncio.Event(), asyncio.Event()

    async def answer(question):
        if question.data == "slow":
            first_asked.set()
            await release.wait()
        return question.data

    await responder("a", answer)
    slow = asker.query("slow")
    await soon(first_asked.wait())
    quick = [asker.query(number) for number in range(50)]
    for number, query in enumerate(quick):
        assert by_tag(await soon(query.wait())) == {"a": number}
    assert not slow.done
    release.set()
    assert by_tag(await soon(slow.wait())) == {"a": "slow"}


async def test_it_asks_whom_it_names_only(asker, responder):
    for tag in "abc":
        await responder(tag, lambda question, tag=tag: tag)
    named = asker.resolve("c")
    assert by_tag(await asker.query("x", resolve="a")) == {"a": "a"}
    assert by_tag(await asker.query("x", resolver=["-not", "a"])) == {"b": "b", "c": "c"}
    assert by_tag(await asker.query("x", services=iter(named), resolve="a")) == {"a": "a", "c": "c"}


async def test_it_goes_by_the_protocol_and_channel_asked_for(asker, responder, join):
    cluster = AsyncCluster()
    cluster.hook("query", channel=7)(lambda question: (question.protocol, question.channel))
    await join("a", cluster=cluster, channels=[7])
    await asker.wait_for_services()
    assert by_tag(await asker.query("x", channel=7)) == {"a": ("unix", 7)}
    assert by_tag(await asker.query("x", channel=7, protocols=["tcp"])) == {"a": ("tcp", 7)}
    query = asker.query("x", channel=8)
    await soon(query.wait())
    assert [type(error) for error in query.errors.values()] == [NoResponder]


# --- what else may become of those who were asked ------------------------------------------


async def test_a_failure_is_told_by_name_and_hinders_no_other(asker, responder, join):
    def broken(question):
        raise ValueError("inside")

    await responder("good", lambda question: 1)
    await responder("broken", broken)
    await join("deaf")
    await asker.wait_for_services(3)
    query = asker.query("x")
    assert by_tag(await soon(query.wait())) == {"good": 1}
    errors = by_tag(query.errors)
    assert errors.keys() == {"broken", "deaf"}
    assert isinstance(errors["broken"], RemoteError)
    assert str(errors["broken"]) == f"{errors['broken'].service.name} raised ValueError: inside"
    assert isinstance(errors["deaf"], NoResponder)


async def test_a_question_that_a_hook_stops_is_answered_at_once(asker, responder):
    member = await responder("picky", lambda question: 1)

    @member.hook("receive")
    def veto(message):
        raise HookRejected("not today")

    query = asker.query("x", timeout=3600)
    assert await soon(query.wait()) == {}
    assert [error.kind for error in query.errors.values()] == ["HookRejected"]


async def test_who_leaves_while_asked_is_lost_at_once(asker, responder, silent):
    await responder("good", lambda question: 1)
    member, asked = silent
    query = asker.query("x", timeout=3600)
    await soon(asked.wait())
    await member.leave()
    assert by_tag(await soon(query.wait())) == {"good": 1}
    (lost,) = query.errors.values()
    assert isinstance(lost, ServiceLost)
    assert (lost.service.tags, lost.reason) == (("silent",), "left")


async def test_who_was_lost_before_is_lost_at_once(asker, responder):
    member = await responder("gone", lambda question: 1)
    gone = asker.services
    lost = asyncio.Event()
    asker.hook("service.lost")(lambda service: lost.set())
    await member.leave()
    await soon(lost.wait())
    with pytest.raises(NoServices, match="not a member any more"):
        await soon(asker.query("x", services=gone).wait())


async def test_a_timeout_holds_what_did_arrive(asker, responder, silent):
    await responder("good", lambda question: 1)
    await responder("deaf", lambda question: PASS)
    query = asker.query("x", timeout=0.5)
    with pytest.raises(QueryTimeout, match=r"1 of 3 did not answer within 0\.5 s") as raised:
        await query.wait()
    assert by_tag(raised.value.results) == {"good": 1}
    assert by_tag(raised.value.errors).keys() == {"deaf"}
    assert [service.tags for service in raised.value.missing] == [("silent",)]
    assert silent[0].joined.config.name in str(raised.value)
    assert isinstance(raised.value, TimeoutError)
    assert query.done


async def test_iteration_raises_the_timeout_after_the_answers(asker, responder, silent):
    await responder("good", lambda question: 1)
    answers = []

    async def ask():
        async for _, answer in asker.query("x", timeout=0.5):
            answers.append(answer)

    with pytest.raises(QueryTimeout):
        await soon(ask())
    assert answers == [1]


async def test_waiting_may_end_before_the_query_does(asker, responder):
    release = asyncio.Event()

    async def slow(question):
        await release.wait()
        return "late"

    await responder("slow", slow)
    query = asker.query("x")
    with pytest.raises(TimeoutError) as raised:
        await query.wait(timeout=0.02)
    assert not isinstance(raised.value, QueryTimeout)
    assert not query.done
    release.set()
    assert by_tag(await soon(query.wait())) == {"slow": "late"}


async def test_an_answer_after_the_end_is_counted_and_dropped(asker, responder):
    release = asyncio.Event()

    async def slow(question):
        await release.wait()

    await responder("slow", slow)
    query = asker.query("x", timeout=0.02)
    with pytest.raises(QueryTimeout):
        await query.wait()
    release.set()
    await soon(asker.query("answered after the late one").wait())
    assert asker.dropped["answers late, twice or not asked for"] == 1
    assert query.results == {}


async def test_cancelling_ends_it_with_what_there_is(asker, responder, silent):
    await responder("good", lambda question: 1)
    query = asker.query("x", timeout=3600)
    async with asyncio.timeout(10):
        async for service, _ in query:
            assert service.tags == ("good",)
            query.cancel()
            query.cancel()
    assert by_tag(await query.wait()) == {"good": 1}
    assert [service.tags for service in query.remaining] == [("silent",)]
    assert query.done


async def test_leaving_its_context_cancels_it(asker, silent):
    async with asker.query("x") as query:
        assert not query.done
    assert query.done


async def test_what_is_wrong_with_the_question_is_raised_at_once(asker, responder):
    await responder("a", lambda question: 1)
    with pytest.raises(EncodeError):
        asker.query(object())
    with pytest.raises(NoRoute):
        asker.query("x", protocols=["smoke"])
    with pytest.raises(ConfigError):
        asker.query("x", channel=-1)


@pytest.mark.parametrize("timeout", [-1, float("nan")])
async def test_what_is_no_timeout_is_refused(asker, timeout):
    with pytest.raises(ConfigError, match="timeout="):
        asker.query("x", timeout=timeout)


# --- nobody there --------------------------------------------------------------------------


async def test_a_query_to_nobody_says_so(asker, responder):
    await responder("a", lambda question: 1)
    async with asyncio.timeout(10):
        with pytest.raises(NoServices, match="resolve='b'"):
            await asker.query("x", resolve="b")
        with pytest.raises(NoServices, match="resolve='b'"):
            async for _ in asker.query("x", resolve="b"):
                pass


async def test_right_after_joining_a_query_first_waits_for_members(join):
    old = AsyncCluster()
    old.hook("query")(lambda question: "here")
    await join("old", cluster=old)
    newcomer = await join("newcomer")
    assert newcomer.services == ()
    assert by_tag(await soon(newcomer.query("x").wait())) == {"old": "here"}


async def test_right_after_joining_alone_it_waits_0_3_seconds_then_says_so(join):
    newcomer = await join("newcomer")
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(NoServices, match="nobody else is in cluster"):
        await soon(newcomer.query("x").wait())
    assert 0.2 < loop.time() - began < 3
    began = loop.time()
    with pytest.raises(NoServices):
        await soon(newcomer.query("x").wait())
    assert loop.time() - began < 0.2


# --- on_event ------------------------------------------------------------------------------


async def events_of(asker, stop_at=None, **settings):
    """The names and services that ``on_event`` was told."""
    told, done = [], asyncio.Event()

    def on_event(name, query):
        told.append((name, query.service and query.service.tags[0]))
        if name == "done":
            done.set()
        return STOP if name == stop_at else None

    query = asker.query("x", on_event=on_event, **settings)
    await soon(done.wait())
    return told, query


async def test_on_event_is_told_everything_and_done_at_last(asker, responder, join):
    await responder("good", lambda question: 1)
    await join("deaf")
    await asker.wait_for_services(2)
    told, _ = await events_of(asker)
    assert told[0] == ("start", None)
    assert sorted(told[1:-1]) == [("error", "deaf"), ("response", "good")]
    assert told[-1] == ("done", None)


async def test_on_event_is_told_of_a_timeout(asker, silent):
    told, _ = await events_of(asker, timeout=0.02)
    assert told == [("start", None), ("timeout", None), ("done", None)]


async def test_on_event_is_told_that_nobody_matched(asker):
    told, query = await events_of(asker, resolve="nobody")
    assert told == [("error", None), ("done", None)]
    with pytest.raises(NoServices):
        await query.wait()


async def test_stop_ends_the_query_with_what_there_is(asker, responder, silent):
    await responder("good", lambda question: 1)
    told, query = await events_of(asker, stop_at="response", timeout=3600)
    assert told == [("start", None), ("response", "good"), ("done", None)]
    assert by_tag(await query.wait()) == {"good": 1}


async def test_stop_at_once_asks_for_no_answer(asker, responder):
    await responder("good", lambda question: 1)
    told, query = await events_of(asker, stop_at="start")
    assert told == [("start", None), ("done", None)]
    assert await query.wait() == {}


async def test_an_on_event_that_raises_is_logged_and_harms_nothing(asker, responder, caplog):
    await responder("good", lambda question: 1)

    def on_event(name, query):
        raise ValueError("broken by purpose")

    assert by_tag(await soon(asker.query("x", on_event=on_event).wait())) == {"good": 1}
    assert "broken by purpose" in caplog.text


# --- from hooks ----------------------------------------------------------------------------


async def test_members_that_query_each_other_when_they_meet_both_get_answers(beacon_port):
    for _ in range(20):
        async with AsyncExitStack() as stack:
            answers = asyncio.Queue()
            for tag in ("one", "other"):
                cluster = AsyncCluster()
                cluster.hook("query")(lambda question, tag=tag: tag)

                @cluster.hook("service.discovered")
                async def ask(service, cluster=cluster, answers=answers):
                    answers.put_nowait(by_tag(await cluster.query("x", services=[service])))

                await stack.enter_async_context(cluster.join([tag], port=beacon_port))
            got = [await soon(answers.get()) for _ in range(2)]
            assert sorted(got, key=str) == [{"one": "one"}, {"other": "other"}]


async def test_its_repr_is_one_line_that_tells_how_far_it_is(asker, responder, silent):
    await responder("good", lambda question: 1)
    query = asker.query("x")
    async with asyncio.timeout(10):
        async for _ in query:
            assert repr(query) == "<AsyncQuery 1 answered, 0 failed, 1 remaining>"
            query.cancel()
    assert repr(query) == "<AsyncQuery 1 answered, 0 failed, done>"
