"""So many messages a second from each member, and no more."""

import math
import time

import pytest

import meshcluster
from meshcluster.errors import ConfigError, Overloaded, RemoteError
from meshcluster.hooks.ready import limiting, rate_limit
from meshcluster.model import Identity, Service
from meshcluster.wire.body import encode
from meshcluster.wire.message import ANSWER, EVENT, QUESTION, Message


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def message(name="ada", kind=EVENT):
    service = Service(Identity(name.encode().ljust(16), 1, name, "host"))
    return Message(service, 0, *encode("hi"), "tcp", kind)


def passed(limit, count=100, **what):
    """How many of so many messages pass."""
    passing = 0
    for _ in range(count):
        try:
            assert limit(message(**what)) is None
            passing += 1
        except Overloaded:
            pass
    return passing


def test_each_member_has_its_own_share(clock):
    limit = rate_limit(10, clock=clock)
    assert (passed(limit), passed(limit, name="bob"), passed(limit)) == (10, 10, 0)
    clock.now = 0.5
    assert passed(limit) == 5


def test_a_burst_may_be_more_than_a_second_s_worth(clock):
    assert passed(rate_limit(1, clock=clock, burst=30)) == 30
    assert passed(rate_limit(0.1, clock=clock)) == 1


def test_answers_pass_and_so_do_kinds_that_are_not_meant(clock):
    limit = rate_limit(1, clock=clock, kinds=(QUESTION,))
    assert (passed(limit), passed(limit, kind=QUESTION)) == (100, 1)
    assert passed(rate_limit(1, clock=clock), kind=ANSWER) == 100


def test_members_that_were_counted_are_bounded(clock, monkeypatch):
    monkeypatch.setattr(limiting, "MEMBERS", 3)
    limit = rate_limit(1, clock=clock)
    assert [passed(limit, name=name) for name in "abcdabcd"] == [1] * 8
    assert passed(limit, name="d") == 0


@pytest.mark.parametrize("wrong", [0, -1, math.nan])
def test_a_rate_that_is_none_is_refused(clock, wrong):
    with pytest.raises(ConfigError, match="rate_limit"):
        rate_limit(wrong, clock=clock)
    with pytest.raises(ConfigError, match="burst"):
        rate_limit(1, clock=clock, burst=wrong)


def test_who_asks_too_much_is_told_to_try_again_and_events_are_counted():
    guarded = meshcluster.Cluster()
    guarded.hook("receive")(rate_limit(0.001, clock=time.monotonic, burst=2))
    guarded.hook("query")(lambda question: "here")
    with guarded.join(name="guarded"), meshcluster.join(name="asker") as asker:
        asker.wait_for_services()
        outcomes = []
        for _ in range(4):
            query = asker.query("are you there?")
            query.wait(10)
            outcomes += [*query.results.values(), *query.errors.values()]
        assert outcomes[:2] == ["here", "here"]
        assert [type(error) for error in outcomes[2:]] == [RemoteError, RemoteError]
        assert "Overloaded" in str(outcomes[2])
        assert guarded.dropped["receive: Overloaded"] == 2
