"""``Mailbox``: what ``AsyncMailbox`` promises, for blocking code and from any thread."""

import queue
import threading
from concurrent.futures import CancelledError, wait
from functools import partial

import pytest

from meshcluster import (
    LATER,
    Cluster,
    ClusterError,
    ConfigError,
    Congested,
    HookRejected,
    NoResponder,
    NoServices,
    NotJoined,
    QueryTimeout,
    RemoteError,
    ServiceLost,
)
from meshcluster.config import Limits
from tests.waiting import until


def having(cluster, name):
    """A mailbox that only asks, and the one member that has its like."""
    box = cluster.mailbox(name)
    until(lambda: len(box.services) == 1)
    return box, *box.services


def begin(*functions):
    """Runs functions in threads of their own."""
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    return threads


def end(threads):
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


def echo(letter):
    return letter.data


def hold(held):
    """A receiver that keeps what it gets, to be answered later."""
    return lambda letter: held.put(letter) or LATER


def test_many_threads_tell_and_each_ones_order_is_kept(pair):
    one, other = pair
    got = queue.Queue()
    other.mailbox("box", lambda letter: got.put(letter.data))
    box, service = having(one, "box")

    def tell(thread):
        for number in range(200):
            box.send(service, (thread, number))

    end(begin(*[partial(tell, thread) for thread in range(4)]))
    told = [got.get(timeout=10) for _ in range(800)]
    for thread in range(4):
        assert [n for t, n in told if t == thread] == list(range(200))


def test_many_threads_ask_and_each_gets_its_own_answers(pair):
    one, other = pair
    other.mailbox("box", echo)
    box, service = having(one, "box")

    def ask(thread):
        futures = [box.request(service, (thread, number)) for number in range(250)]
        assert [f.result(10) for f in futures] == [(thread, n) for n in range(250)]

    end(begin(*[partial(ask, thread) for thread in range(4)]))


def test_ten_thousand_requests_in_flight_each_get_their_own_answer(pair):
    one, other = pair
    held = queue.Queue()
    other.mailbox("box", hold(held))
    box, service = having(one, "box")
    futures = [box.request(service, number) for number in range(10_000)]
    letters = [held.get(timeout=20) for _ in range(10_000)]
    assert not any(future.done() for future in futures)
    for letter in reversed(letters):
        letter.reply(-letter.data)
    assert [future.result(20) for future in futures] == [-n for n in range(10_000)]


def test_receivers_run_in_the_members_own_loop_and_may_answer_from_elsewhere(pair):
    one, other = pair
    names, held = [], queue.Queue()
    other.mailbox(
        "box", lambda letter: names.append(threading.current_thread().name) or hold(held)(letter)
    )
    box, service = having(one, "box")
    future = box.request(service, 21)
    letter = held.get(timeout=10)
    letter.reply(letter.data * 2)
    assert future.result(10) == 42
    assert names == ["meshcluster"]


def test_a_request_may_be_made_and_waited_for_in_a_hook(pair):
    one, other = pair
    other.mailbox("box", echo)
    box, service = having(one, "box")
    one.hook("query")(lambda question: box.request(service, question.data).result(10))
    assert list(other.query("asked on").wait(10).values()) == ["asked on"]


def test_failures_are_those_of_the_async_face(pair):
    one, other = pair
    held = queue.Queue()
    other.mailbox("raises", lambda letter: {}["no such key"])
    other.mailbox("held", hold(held))
    box, service = having(one, "raises")
    with pytest.raises(RemoteError, match="KeyError"):
        box.request(service, 1).result(10)
    with pytest.raises(NoResponder):
        one.mailbox("nobody's").request(service, 1).result(10)
    box = one.mailbox("held")
    with pytest.raises(QueryTimeout):
        box.request(service, 1, timeout=0.3).result(10)
    with pytest.raises(ConfigError):
        box.request(service, 1, timeout=-1)
    waiting = box.request(service, 2)
    assert [held.get(timeout=10).data for _ in range(2)] == [1, 2]
    other.leave()
    with pytest.raises(ServiceLost):
        waiting.result(10)
    with pytest.raises(NoServices):
        box.request(service, 3)
    with pytest.raises(NoServices):
        box.send(service, 3)


def test_a_send_hook_that_vetoes_is_heard_by_the_caller(pair):
    one, other = pair
    other.mailbox("box", echo)
    box, service = having(one, "box")

    @one.hook("send")
    def veto(message):
        raise HookRejected("no")

    with pytest.raises(HookRejected):
        box.send(service, 1)
    with pytest.raises(HookRejected):
        box.request(service, 1)


def test_a_cancelled_request_is_forgotten_and_its_answer_dropped(pair):
    one, other = pair
    held = queue.Queue()
    other.mailbox("box", hold(held))
    box, service = having(one, "box")
    future = box.request(service, 1)
    letter = held.get(timeout=10)
    assert future.cancel()
    with pytest.raises(CancelledError):
        future.result(10)
    letter.reply("nobody waits")
    until(lambda: one.dropped.get("answers late, twice or not asked for") == 1)


def test_what_is_asked_without_a_future_ends_in_the_loop_and_wakes_it_once_for_many(pair):
    one, other = pair
    other.mailbox("box", echo)
    box, service = having(one, "box")
    box.request(service, "there is a link").result(10)
    ends, wakes = queue.Queue(), []
    waking = one._driver._waking
    wake, waking.look = waking.look, lambda: wakes.append(1) or wake()

    def finish(value, error):
        ends.put((value, error, threading.current_thread()))

    def ask():  # in the loop, which is at nothing else meanwhile
        for number in range(500):
            box.ask(service, number, finish)

    one._in_loop(ask)
    came = [ends.get(timeout=10) for _ in range(500)]
    assert [(value, error) for value, error, _ in came] == [(n, None) for n in range(500)]
    assert {thread is threading.current_thread() for _, _, thread in came} == {False}
    assert len(wakes) < 5


def test_what_was_asked_without_a_future_is_cancelled_from_any_thread(pair):
    one, other = pair
    held, ends = queue.Queue(), queue.Queue()
    other.mailbox("box", hold(held))
    box, service = having(one, "box")

    def finish(value, error):
        ends.put((value, error))

    waiter = box.ask(service, 1, finish)
    letter = held.get(timeout=10)
    end(begin(waiter.cancel, waiter.cancel))
    letter.reply("nobody waits")
    until(lambda: one.dropped.get("answers late, twice or not asked for") == 1)
    box.ask(service, 2, finish)
    one.leave()
    value, error = ends.get(timeout=10)
    assert (value, type(error)) == (None, NotJoined)
    assert ends.empty()


def test_a_cancelled_request_may_outlive_its_cluster(join):
    one, other = join(), join()
    held = queue.Queue()
    other.mailbox("box", hold(held))
    box, service = having(one, "box")
    future = box.request(service, 1)
    held.get(timeout=10)
    one.leave()
    assert not future.cancel()
    with pytest.raises(NotJoined):
        future.result(10)


def test_leaving_ends_open_requests_and_those_that_other_threads_make_meanwhile(pair):
    one, other = pair
    other.mailbox("box", lambda letter: LATER)
    box, service = having(one, "box")
    open_requests, started = [box.request(service, n) for n in range(100)], threading.Event()

    def ask_on():
        while True:
            try:
                open_requests.append(box.request(service, "more"))
            except NotJoined:
                return
            started.set()

    asking = begin(ask_on, ask_on)
    assert started.wait(10)
    one.leave()
    end(asking)
    assert wait(open_requests, 10).not_done == set()
    assert {type(future.exception()) for future in open_requests} == {NotJoined}


def test_an_answer_after_leaving_is_ignored(pair):
    one, other = pair
    held = queue.Queue()
    other.mailbox("box", hold(held))
    box, service = having(one, "box")
    future = box.request(service, 1)
    letter = held.get(timeout=10)
    other.leave()
    letter.reply("too late")
    letter.fail(ValueError("much too late"))
    with pytest.raises(ServiceLost):
        future.result(10)


def test_a_sender_waits_for_room_and_is_told_when_there_is_none(join):
    limits = Limits(waiting_messages=20, send_seconds=0.2, event_window_bytes=100_000)
    one, other = join(limits=limits), join(limits=limits)
    go, got = threading.Event(), queue.Queue()
    other.hook("event")(lambda message: go.wait(30))
    other.mailbox("box", lambda letter: got.put(letter.data))
    box, service = having(one, "box")
    for number in range(200):  # ten times what fits
        box.send(service, number)
    assert [got.get(timeout=10) for _ in range(200)] == list(range(200))

    def flood():
        while True:
            one.send(b"x" * 10_000, services=[service])

    with pytest.raises(Congested):
        flood()
    with pytest.raises(Congested, match="nothing was sent"):
        box.send(service, "no room")
    assert box.request(service, "passes").result(10) is None
    go.set()
    box.send(service, "room")
    assert [got.get(timeout=10) for _ in range(2)] == ["passes", "room"]


def test_mailboxes_are_made_offered_and_closed_from_any_thread(pair):
    one, other = pair
    boxes = []
    end(
        begin(
            *[lambda n=n: boxes.append(other.mailbox(f"box-{n}", echo, offer=n)) for n in range(8)]
        )
    )
    until(lambda: dict(one.services[0].offers) == {f"box-{n}": n for n in range(8)})
    end(begin(*[lambda box=box: box.offer("new") for box in boxes]))
    until(lambda: set(one.services[0].offers.values()) == {"new"})
    end(begin(*[box.close for box in boxes]))
    until(lambda: one.services[0].offers == {})


def test_mailboxes_may_be_made_before_joining_and_are_kept_when_joining_again(join, beacon_port):
    one, other = join(), Cluster()
    other.mailbox("box", echo, offer="early")
    for _ in range(2):
        with other.join(port=beacon_port):
            box, service = having(one, "box")
            assert service.offers == {"box": "early"}
            assert box.request(service, 1).result(10) == 1
            box.close()
        until(lambda: one.services == ())


def test_those_who_have_one_are_waited_for(pair):
    one, other = pair
    box, found = one.mailbox("box"), queue.Queue()
    waiting = begin(lambda: found.put(box.wait_for_services()))
    other.mailbox("box", echo)
    assert found.get(timeout=10) == one.services
    end(waiting)
    with pytest.raises(TimeoutError, match=r"1 of 2 services with mailbox 'box' after 0\.05 s"):
        box.wait_for_services(2, timeout=0.05)
    one.leave()
    with pytest.raises(NotJoined):
        box.wait_for_services()


# --- where nobody may wait ---


@pytest.mark.parametrize("wait", ["query", "iterate", "services", "counterparts", "leave"])
@pytest.mark.parametrize("place", ["receiver", "interceptor"])
def test_a_blocking_call_inside_the_member_is_refused_and_all_goes_on(pair, place, wait):
    one, other = pair
    other.mailbox("box", echo)
    calls = {
        "query": lambda: other.query("x").wait(),
        "iterate": lambda: list(other.query("x")),
        "services": lambda: other.wait_for_services(5),
        "counterparts": lambda: other.mailbox("mine").wait_for_services(),
        "leave": other.leave,
    }
    refused = queue.Queue()

    def call(what):
        try:
            calls[wait]()
        except Exception as error:
            refused.put(error)

    if place == "receiver":
        other.mailbox("waits", call)
    else:
        other.hook("receive")(call)
    (service,) = one.services
    one.mailbox("waits").send(service, "go")
    error = refused.get(timeout=10)
    assert type(error) is ClusterError
    assert "wait for itself" in str(error)
    other.unhook(call)
    assert one.mailbox("box").request(service, "alive").result(10) == "alive"


def test_an_observer_may_ask_and_tell_and_is_answered(join):
    other, got = join("other"), []
    other.mailbox("box", lambda letter: got.append(letter.data) or "answer")
    observer = join(observer=True)
    box, service = having(observer, "box")
    box.send(service, "note")
    assert box.request(service, "request").result(10) == "answer"
    assert got == ["note", "request"]
    assert other.services == ()


def test_both_faces_of_mailboxes_understand_each_other_about_names(join):
    cluster = join()
    box = cluster.mailbox("box")
    assert (box.name, repr(box)) == ("box", "<Mailbox 'box'>")
    with pytest.raises(ConfigError, match="open already"):
        cluster.mailbox("box")
