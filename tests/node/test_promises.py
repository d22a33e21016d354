"""Acknowledged sends: what is known of each when nothing more will be heard."""

import pytest

from meshcluster.errors import (
    Congested,
    NoResponder,
    NoRoute,
    NotAcknowledged,
    OutcomeUnknown,
    RemoteError,
    ServiceLost,
)
from meshcluster.testing import Simulation
from meshcluster.wire.frames import NO_RESPONDER, Answer


def settled(seed, members, **config):
    sim = Simulation(seed, members, **config)
    sim.run_until(sim.converged, limit=10)
    for member in sim.members:
        member.send("open the links")
    sim.run(seconds=0.5)
    for member in sim.members:
        member.received.clear()
    return sim


def failure(promise):
    """What the only receiver is said to have done."""
    assert promise.over
    with pytest.raises(Exception) as raised:  # noqa: PT011 - looked at by who asks
        promise.result()
    return raised.value


def names(services):
    return [service.name for service in services]


def without_credit(member):
    """The member's session to m2 may send no event; gives what ends that."""
    session = member.peer_named("m2").session("", member.node.config.limits)
    spent, window = session._event_bytes, member.node.config.limits.event_window_bytes
    session._event_bytes = session._peer_taken + window

    def again():
        session._event_bytes = spent

    return session, again


def later(member):
    """The member handles nothing by itself; gives what it is to handle."""
    held = []
    member.handle = held.append
    return held


def test_it_is_over_when_the_receiver_has_handled_it_and_not_before():
    sim = settled(1, 2)
    one, two = sim.members
    held = later(two)
    promise = one.promise("do", "m2")
    sim.run(seconds=5)
    assert not promise.over
    two.acknowledge(held[0])
    sim.run(seconds=0.1)
    assert names(promise.result()) == ["m2"]


def test_a_receiver_that_raised_is_told_with_its_type_and_text():
    sim = settled(1, 2)
    one, two = sim.members
    two.handle = lambda arrived: two.acknowledge(arrived, ValueError("no"))
    promise = one.promise("do", "m2")
    sim.run(seconds=0.1)
    error = failure(promise)
    assert isinstance(error, RemoteError)
    assert (error.kind, error.text, error.service.name) == ("ValueError", "no", "m2")


def test_of_several_each_is_told_apart():
    sim = settled(2, 4)
    one, two, three, four = sim.members
    two.handle = lambda arrived: two.acknowledge(arrived, KeyError("x"))
    later(three)
    promise = one.promise("do", "m2", "m3", "m4")
    sim.run(seconds=0.1)
    assert not promise.over
    assert [data for _, data in four.received] == ["do"]
    sim.kill(three)
    sim.run(seconds=5)
    error = failure(promise)
    assert isinstance(error, NotAcknowledged)
    assert {s.name: type(e) for s, e in error.errors.items()} == {
        "m2": RemoteError, "m3": OutcomeUnknown,
    }  # fmt: skip
    assert names(error.handled) == ["m4"]
    assert error.split(RemoteError)[0].exceptions == (error.exceptions[0],)


@pytest.mark.parametrize("how", ["kill", "leave", "restart"])
def test_a_receiver_that_went_with_it_leaves_it_unknown(how):
    sim = settled(3, 3)
    one, two, _ = sim.members
    held = later(two)
    promise = one.promise("do", "m2")
    sim.run(seconds=0.1)
    assert held
    getattr(sim, how)(two)
    sim.run(seconds=5)
    error = failure(promise)
    assert isinstance(error, OutcomeUnknown)
    assert isinstance(error.__cause__, ServiceLost)
    assert not error.__cause__.unhandled
    assert error.service.name == "m2"


def test_it_is_never_sent_to_another_run_of_its_receiver():
    sim = settled(4, 2)
    one, two = sim.members
    later(two)
    one.promise("do", "m2")
    sim.run(seconds=0.1)
    again = sim.restart(two)
    sim.run_until(sim.converged, limit=20)
    one.promise("new", "m2")
    sim.run(seconds=1)
    assert [data for _, data in again.received] == ["new"]


def test_what_never_left_is_known_not_to_have_been_handled():
    """The receiver gives no credit, and is gone before it does."""
    sim = settled(5, 2)
    one, two = sim.members
    session, _ = without_credit(one)
    promise = one.promise("do", "m2")
    sim.run(seconds=1)
    assert session.stalled
    sim.kill(two)
    sim.run(seconds=5)
    error = failure(promise)
    assert isinstance(error, ServiceLost)
    assert error.unhandled


def test_a_deadline_tells_whether_it_left():
    sim = settled(6, 2)
    one, two = sim.members
    held = later(two)
    gone = one.promise("gone", "m2", timeout=1)
    sim.run(seconds=0.1)
    _, again = without_credit(one)
    kept = one.promise("kept", "m2", timeout=1)
    sim.run(seconds=2)
    assert isinstance(failure(gone), OutcomeUnknown)
    assert isinstance(failure(kept), Congested)
    again()
    one.send("after", "m2")
    sim.run(seconds=1)
    assert len(held) == 1, "what was said not to be sent is not sent later"
    assert [data for _, data in two.received] == ["after"]


def test_who_cancels_takes_back_what_has_not_left():
    sim = settled(7, 2)
    one, two = sim.members
    session, again = without_credit(one)
    promise = one.promise("do", "m2")
    promise.cancel()
    again()
    one.send("after", "m2")
    sim.run(seconds=1)
    assert [data for _, data in two.received] == ["after"]
    assert session.promises == {}
    assert session.idle


def test_it_keeps_its_place_among_what_is_told_without_it():
    sim = settled(8, 2)
    one, two = sim.members
    for number in range(0, 600, 2):
        one.send(number, "m2")
        one.promise(number + 1, "m2")
    sim.run(seconds=2)
    assert [data for _, data in two.received] == list(range(600))


@pytest.mark.parametrize("seed", range(5))
def test_links_that_break_neither_lose_nor_double_it(seed):
    sim = settled(seed, 2)
    one, two = sim.members
    promises = []
    for number in range(100):
        promises.append(one.promise(number, "m2"))
        sim.run(seconds=sim.random.uniform(0, 0.02))
        sim.abort_links(0.1)
    sim.run(seconds=10)
    not_sent = [n for n, promise in enumerate(promises) if promise._errors]
    assert all(isinstance(failure(promises[n]), NoRoute) for n in not_sent)
    assert len(not_sent) < 10, "a dial that breaks with its link finds no way, and says so"
    assert [data for _, data in two.received] == [n for n in range(100) if n not in not_sent]
    kept = [promise for n, promise in enumerate(promises) if n not in not_sent]
    assert all(names(promise.result()) == ["m2"] for promise in kept)


def test_who_lost_us_meanwhile_leaves_it_unknown():
    """It came back with another half of the session: what it had is not sent again."""
    sim = settled(9, 3)
    one, two, _ = sim.members
    held = later(two)
    promise = one.promise("do", "m2")
    sim.run(seconds=0.1)
    two.node._admission.lose(two.peer_named("m1"), "expired", two.now)
    two.step()
    sim.run(seconds=20)
    assert isinstance(failure(promise), OutcomeUnknown)
    assert len(held) == 1


def test_a_member_without_an_event_hook_is_told_with_the_next_step():
    sim = settled(10, 2)
    one, two = sim.members
    session = two.peer_named("m1").session("", two.node.config.limits)

    def nobody(arrived):
        session.put(Answer(arrived.question.id, NO_RESPONDER, 0, 1, b"\xc0"))
        two.node.wake(session, two.now)

    two.handle = nobody
    promise = one.promise("do", "m2")
    sim.run(seconds=0.1)
    error = failure(promise)
    assert isinstance(error, NoResponder)
    assert "place one there with @cluster.hook('event')" in str(error)
