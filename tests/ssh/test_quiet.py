"""A dispatcher with ``idle=`` looks at the time rarely while there is nothing to do: whoever comes
meanwhile is not to wait for that.
"""

import threading
import time

import pytest

from meshcluster.errors import TaskTimeout
from meshcluster.ssh.dispatcher import Dispatcher
from meshcluster.ssh.server import Server

IDLE_SECONDS = 50.0
SOON_SECONDS = 20.0


@pytest.fixture
def quiet(monkeypatch):
    """It has done something, and sleeps until its worker has been idle for long."""
    with Dispatcher([Server()], idle=IDLE_SECONDS) as dispatcher:
        pool, sleeps = dispatcher._engine.pool, threading.Event()
        tick = pool.tick

        def seen(now):
            tick(now)
            if not pool.busy:
                sleeps.set()

        monkeypatch.setattr(pool, "tick", seen)
        dispatcher.submit("operator:add", 1, 2).result(SOON_SECONDS)
        assert sleeps.wait(SOON_SECONDS)
        yield dispatcher


def test_a_task_that_takes_too_long_is_ended_in_time(quiet):
    with pytest.raises(TaskTimeout):
        quiet.options(timeout=0.1).submit("time:sleep", 60).result(SOON_SECONDS)


def test_it_is_closed_at_once(quiet):
    began = time.monotonic()
    quiet.close()
    assert time.monotonic() - began < SOON_SECONDS
