"""A library on mailboxes: one holds a lock, the others wait; who dies loses it."""

import signal

import pytest

pytestmark = pytest.mark.process


@pytest.fixture
def server(shell):
    started = shell("examples/locks.py", "serve")
    started.wait_for("serving")
    return started


def test_a_lock_is_held_by_one(server, shell):
    first = shell("examples/locks.py", "hold", "printer", "0.5")
    first.wait_for("holding printer")
    second = shell("examples/locks.py", "hold", "printer", "0")
    other = shell("examples/locks.py", "hold", "scanner", "0")
    assert "holding scanner" in other.end()
    second.wait_for("waiting for printer")
    first.wait_for("released printer")
    second.wait_for("holding printer")
    second.end()


def test_who_is_killed_loses_it(server, shell):
    first = shell("examples/locks.py", "hold", "printer", "600")
    first.wait_for("holding printer")
    second = shell("examples/locks.py", "hold", "printer", "0")
    second.wait_for("waiting for printer")
    first.signal(signal.SIGKILL)
    second.wait_for("holding printer")
    second.end()


def test_who_waits_no_longer_leaves_its_place(server, shell):
    first = shell("examples/locks.py", "hold", "printer", "600")
    first.wait_for("holding printer")
    second = shell("examples/locks.py", "hold", "printer", "0")
    second.wait_for("waiting for printer")
    second.signal(signal.SIGINT)
    second.wait()
    third = shell("examples/locks.py", "hold", "printer", "0")
    third.wait_for("waiting for printer")
    first.signal(signal.SIGKILL)
    third.wait_for("holding printer")
    third.end()
