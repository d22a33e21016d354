"""Members are measured sealed and open, in short. What it costs is not looked at."""

from dataclasses import replace

import pytest

from benchmarks.parts import PARTS, asking, oneway, secret
from benchmarks.settings import Settings
from benchmarks.task import TCP

pytestmark = [pytest.mark.process, pytest.mark.slow]
SHORT = Settings(repeats=1, seconds=0.02)


def by_tcp(plan):
    return replace(plan, entrants=secret.BY_TCP)


def check(table):
    sealed, open_ = table.rows
    assert (sealed.way, open_.way) == (TCP, TCP)
    assert sealed.lost == open_.lost == 0
    assert sealed.better_than.keys() == {secret.OPEN}


def test_questions_are_answered_sealed_and_open():
    large = {"body_bytes": secret.LARGE_BYTES, "echo": False}
    check(asking.run(by_tcp(secret.TURNS), SHORT, responders=1, **large))


def test_messages_arrive_sealed_and_open():
    check(oneway.measured(by_tcp(secret.SMALL), SHORT))


def test_it_is_one_of_the_parts():
    assert PARTS["secret"] is secret.run
