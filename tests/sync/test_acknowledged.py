"""Acknowledged sends of a blocking ``Cluster``: the caller's thread waits until all is known."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import meshcluster
from meshcluster import ClusterError, NotJoined, OutcomeUnknown, RemoteError


@pytest.fixture
def pair(beacon_port):
    with (
        meshcluster.join(["one"], port=beacon_port) as one,
        meshcluster.join(["other"], port=beacon_port) as other,
    ):
        one.wait_for_services()
        other.wait_for_services()
        yield one, other


def test_it_returns_when_the_hook_has_returned(pair):
    one, other = pair
    got = []
    other.hook("event")(lambda event: got.append(event.data))
    assert one.send("do", resolve="other", ack=True) == one.services
    assert got == ["do"]
    assert one.broadcast("again", ack=True) == one.services
    assert one.services[0].send("and again", ack=True) == one.services
    assert got == ["do", "again", "and again"]


def test_it_comes_after_all_that_was_told_before(pair):
    one, other = pair
    got = []
    other.hook("event")(lambda event: got.append(event.data))
    for number in range(1000):
        one.send(number, resolve="other")
    one.send(1000, resolve="other", ack=True)
    assert got == list(range(1001))


def test_a_hook_that_raises_is_raised_here(pair):
    one, other = pair

    @other.hook("event")
    def broken(event):
        raise ValueError("no")

    with pytest.raises(RemoteError, match="raised ValueError: no"):
        one.send("do", resolve="other", ack=True)


def test_many_threads_at_once_each_have_their_own(pair):
    one, other = pair
    got = []
    other.hook("event")(lambda event: got.append(event.data))
    with ThreadPoolExecutor(16) as threads:
        sends = [
            threads.submit(one.send, number, resolve="other", ack=True) for number in range(400)
        ]
        assert [send.result(10) for send in sends] == [one.services] * 400
    assert sorted(got) == list(range(400))


def test_a_hook_may_send_it_to_a_third_and_to_whom_it_has_it_from_without(pair, beacon_port):
    one, other = pair
    got = []
    one.hook("event")(lambda event: got.append(event.data))

    @other.hook("event")
    def pass_on(event):
        event.service.send("taken")
        other.send(event.data, resolve="third", ack=True)

    with meshcluster.join(["third"], port=beacon_port) as third:
        other.wait_for_services(resolve="third")
        third.hook("event")(lambda event: got.append(event.data))
        one.send("do", resolve="other", ack=True)
        assert sorted(got) == ["do", "taken"]


def test_a_hook_that_waits_for_one_that_waits_for_it_waits_until_the_timeout(pair):
    one, other = pair
    came, errors = threading.Event(), []
    one.hook("event")(lambda event: came.wait(10))

    @other.hook("event")
    def back(event):
        with pytest.raises(OutcomeUnknown, match=r"did not answer within 0\.1 s") as raised:
            event.service.send("back", ack=True, timeout=0.1)
        errors.append(raised.value)
        came.set()

    one.send("do", resolve="other", ack=True)
    assert len(errors) == 1


def test_where_nobody_may_block_it_is_refused(pair):
    one, other = pair
    other.hook("event")(print)
    refused = []

    @one.hook("send")
    def inside(message):
        if message.data == "outer":
            with pytest.raises(ClusterError, match="would wait for itself"):
                one._in_loop(lambda: one.send("inner", resolve="other", ack=True))
            refused.append(message.data)

    one.send("outer", resolve="other")
    assert refused == ["outer"]


def test_who_leaves_while_a_thread_waits_lets_it_go(pair):
    one, other = pair
    begun, release, errors = threading.Event(), threading.Event(), []

    @other.hook("event")
    def slow(event):
        begun.set()
        release.wait(10)

    def send():
        try:
            one.send("do", resolve="other", ack=True)
        except ClusterError as error:
            errors.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    assert begun.wait(10)
    one.leave(timeout=0.05)
    thread.join(10)
    release.set()
    assert [type(error) for error in errors] == [OutcomeUnknown]
    with pytest.raises(NotJoined):
        one.send("do", resolve="other", ack=True)
