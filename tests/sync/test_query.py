"""Query: what ``AsyncQuery`` promises, for blocking code."""

import threading
import time
from contextlib import ExitStack

import pytest

from meshcluster import (
    STOP,
    Cluster,
    EncodeError,
    NoResponder,
    NoRoute,
    NoServices,
    NotJoined,
    Query,
    QueryTimeout,
    RemoteError,
    ServiceLost,
)


@pytest.fixture
def join(beacon_port):
    """Joins members of a mesh of this test's own; all leave at its end."""
    with ExitStack() as stack:

        def join(*tags, answer=None, **settings):
            cluster = Cluster()
            if answer is not None:
                cluster.hook("query")(answer)
            return stack.enter_context(cluster.join(tags, port=beacon_port, **settings))

        yield join


@pytest.fixture
def asker(join):
    return join("asker")


@pytest.fixture
def responder(join, asker):
    """Joins a member that answers by a function, and is known to the asker."""

    def responder(tag, answer):
        cluster = join(tag, answer=answer)
        asker.wait_for_services(resolve=tag)
        return cluster

    return responder


@pytest.fixture
def silent(responder):
    """A member that does not answer before the test is over; tells that it was asked."""
    asked, release = threading.Event(), threading.Event()

    def never(question):
        asked.set()
        release.wait(30)

    yield responder("silent", never), asked
    release.set()


def by_tag(results):
    return {service.tags[0]: value for service, value in results.items()}


def test_it_ends_the_moment_all_have_answered(asker, responder):
    for tag in "abc":
        responder(tag, lambda question, tag=tag: tag + question.data)
    query = asker.query("!", timeout=3600)
    assert by_tag(query.wait(10)) == {"a": "a!", "b": "b!", "c": "c!"}
    assert query.done
    assert query.remaining == ()


def test_who_waits_for_the_end_is_woken_by_the_end_alone(asker, responder):
    for tag in "abc":
        responder(tag, lambda question: None)
    looks = []

    class Watched(Query):
        @property
        def done(self):
            looks.append(threading.get_ident())
            return super().done

    query = asker.query("!", timeout=3600)
    query.__class__ = Watched
    query.wait(10)
    # Before it waits it looks twice; the last answer and the end are told by one ring each.
    assert looks.count(threading.get_ident()) <= 4


def test_answers_come_as_they_are_given(asker, responder):
    order, quick_came = ["slow", "quick"], threading.Event()
    responder("slow", lambda question: quick_came.wait(10))
    responder("quick", lambda question: None)
    for service, _ in asker.query("x", timeout=10):
        assert service.tags == (order.pop(),)
        quick_came.set()
    assert order == []


def test_several_at_once_never_mix(asker, responder):
    responder("echo", lambda question: question.data)
    found = {}

    def ask(thread):
        for number in range(30):
            found[thread, number] = asker.query([thread, number]).wait(10)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 180
    assert all(by_tag(results) == {"echo": [*key]} for key, results in found.items())


def test_failures_are_told_by_name(asker, responder, join):
    def broken(question):
        raise ValueError("inside")

    responder("good", lambda question: 1)
    responder("broken", broken)
    join("deaf")
    asker.wait_for_services(3)
    query = asker.query("x")
    assert by_tag(query.wait(10)) == {"good": 1}
    kinds = {tag: type(error) for tag, error in by_tag(query.errors).items()}
    assert kinds == {"broken": RemoteError, "deaf": NoResponder}


def test_who_leaves_while_asked_is_lost_at_once(asker, silent):
    member, asked = silent
    query = asker.query("x", timeout=3600)
    assert asked.wait(10)
    leaving = threading.Thread(target=member.leave)
    leaving.start()
    assert query.wait(10) == {}
    assert [type(error) for error in query.errors.values()] == [ServiceLost]
    leaving.join(10)


def test_a_timeout_holds_what_did_arrive(asker, responder, silent):
    responder("good", lambda question: 1)
    with pytest.raises(QueryTimeout, match=r"1 of 2 did not answer within 0\.5 s") as raised:
        asker.query("x", timeout=0.5).wait()
    assert by_tag(raised.value.results) == {"good": 1}
    assert [service.tags for service in raised.value.missing] == [("silent",)]


def test_iteration_raises_the_timeout_after_the_answers(asker, responder, silent):
    responder("good", lambda question: 1)
    answers = []
    with pytest.raises(QueryTimeout):
        answers.extend(answer for _, answer in asker.query("x", timeout=0.1))
    assert answers == [] or answers == [1]


def test_waiting_may_end_before_the_query_does(asker, responder):
    release = threading.Event()
    responder("slow", lambda question: release.wait(10))
    query = asker.query("x")
    with pytest.raises(TimeoutError, match=r"1 have not answered after 0\.02 s") as raised:
        query.wait(timeout=0.02)
    assert not isinstance(raised.value, QueryTimeout)
    assert not query.done
    release.set()
    assert by_tag(query.wait(10)) == {"slow": True}


def test_cancelling_ends_it_with_what_there_is(asker, responder, silent):
    responder("good", lambda question: 1)
    query = asker.query("x", timeout=3600)
    for service, _ in query:
        assert service.tags == ("good",)
        query.cancel()
        query.cancel()
    assert by_tag(query.wait()) == {"good": 1}


def test_another_thread_may_cancel_it(asker, silent):
    query = asker.query("x", timeout=3600)
    canceller = threading.Timer(0.02, query.cancel)
    canceller.start()
    assert query.wait(10) == {}
    canceller.join()


def test_leaving_its_context_cancels_it(asker, silent):
    with asker.query("x") as query:
        assert not query.done
    assert query.done


def test_what_is_wrong_with_the_question_is_raised_at_once(asker, responder):
    responder("a", lambda question: 1)
    with pytest.raises(EncodeError):
        asker.query(object())
    with pytest.raises(NoRoute):
        asker.query("x", protocols=["smoke"])


def test_right_after_joining_a_query_first_waits_for_members(join):
    join("old", answer=lambda question: "here")
    newcomer = join("newcomer")
    assert by_tag(newcomer.query("x").wait(10)) == {"old": "here"}


def test_right_after_joining_alone_it_waits_0_3_seconds_then_says_so(join):
    newcomer = join("newcomer")
    began = time.monotonic()
    with pytest.raises(NoServices, match="nobody else is in cluster"):
        newcomer.query("x").wait(10)
    assert 0.2 < time.monotonic() - began < 3


def test_on_event_runs_in_order_on_a_thread_of_its_own(asker, responder):
    responder("good", lambda question: 1)
    told, done = [], threading.Event()

    def on_event(name, query):
        told.append((name, query.service and query.service.tags[0], threading.current_thread()))
        if name == "done":
            done.set()

    asker.query("x", on_event=on_event)
    assert done.wait(10)
    assert [step[:2] for step in told] == [("start", None), ("response", "good"), ("done", None)]
    assert len({thread for *_, thread in told}) == 1
    assert told[0][2] is not threading.current_thread()


def test_on_event_may_block_and_ask_again(asker, responder):
    responder("echo", lambda question: question.data)
    second, done = [], threading.Event()

    def on_event(name, query):
        if name == "response":
            second.append(asker.query("again").wait(10))
        elif name == "done":
            done.set()

    asker.query("x", on_event=on_event)
    assert done.wait(10)
    assert [by_tag(results) for results in second] == [{"echo": "again"}]


def test_stop_ends_the_query_with_what_there_is(asker, responder, silent):
    responder("good", lambda question: 1)
    query = asker.query(
        "x", timeout=3600, on_event=lambda name, query: STOP if name == "response" else None
    )
    assert by_tag(query.wait(10)) == {"good": 1}
    assert [service.tags for service in query.remaining] == [("silent",)]


def test_an_on_event_that_raises_is_logged_and_harms_nothing(asker, responder, caplog):
    responder("good", lambda question: 1)
    done = threading.Event()

    def on_event(name, query):
        if name == "done":
            done.set()
        raise ValueError("broken by purpose")

    assert by_tag(asker.query("x", on_event=on_event).wait(10)) == {"good": 1}
    assert done.wait(10)
    assert "broken by purpose" in caplog.text


def test_queries_of_other_threads_end_when_the_cluster_is_left(join, asker, silent):
    ended = []

    def ask():
        try:
            while True:
                asker.query("x").wait()
        except NotJoined as error:
            ended.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert silent[1].wait(10)
    asker.leave()
    for thread in threads:
        thread.join(10)
    assert len(ended) == 4


def test_queries_begun_while_leaving_end_too(join, responder, asker):
    responder("echo", lambda question: question.data)
    for _ in range(10):
        leaver, ended, started = join("leaver"), [], threading.Barrier(4)

        def ask(leaver=leaver, ended=ended, started=started):
            try:
                started.wait(10)
                while True:
                    leaver.query("x", resolve="echo").wait()
            except NotJoined as error:
                ended.append(error)

        leaver.wait_for_services(resolve="echo")
        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        started.wait(10)
        leaver.leave()
        for thread in threads:
            thread.join(10)
        assert len(ended) == 3
