"""How many tasks may be open at once."""

import threading

import pytest

from meshcluster.errors import ConfigError, Congested
from meshcluster.ssh.room import Room

SOON_SECONDS = 20.0


def yes():
    return True


def no():
    return False


def test_without_a_bound_nobody_waits_or_leaves():
    room = Room(None, "error")
    for _ in range(10_000):
        room.enter(no)
    room.leave()
    assert not room.bounded


def test_who_comes_when_it_is_full_is_refused_where_that_was_asked_for():
    room = Room(2, "error")
    assert room.bounded
    room.enter(yes)
    room.enter(yes)
    with pytest.raises(Congested, match="2 tasks are open"):
        room.enter(yes)
    room.leave()
    room.enter(yes)


def test_who_may_not_wait_is_refused_as_well():
    """Such as the thread in which those that are there leave."""
    room = Room(1, "block")
    room.enter(no)
    with pytest.raises(Congested):
        room.enter(no)


def test_who_waits_enters_when_one_leaves():
    room, waits, entered = Room(1, "block"), threading.Event(), threading.Event()
    room.enter(no)

    def come():
        room.enter(lambda: waits.set() or True)
        entered.set()

    thread = threading.Thread(target=come)
    thread.start()
    assert waits.wait(SOON_SECONDS)
    assert not entered.is_set()
    room.leave(None)  # as the callback of a future
    assert entered.wait(SOON_SECONDS)
    thread.join(SOON_SECONDS)


@pytest.mark.parametrize("congestion", ["wait", "", None, 5])
def test_there_are_two_ways_when_it_is_full(congestion):
    with pytest.raises(ConfigError, match="congestion="):
        Room(1, congestion)
