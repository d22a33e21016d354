"""Hostile input meets typed errors, in little memory and time; see docs/fuzzing.md."""

import os

import pytest

from .coverage import Coverage
from .guiding import guide
from .running import Run, pool_of
from .targets import TARGETS

INPUTS = 500_000 if os.environ.get("CI") else 100_000
SLOWEST_MICROSECONDS = 10_000
"""Ten times what is promised of an idle machine, where the tally is made."""

GROWN_KIB = 6 * 1024
ONE_INPUT_KIB = 512

each_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


@each_target
def test_what_is_kept_is_taken_or_refused(target):
    take = target.open()
    for data in pool_of(target):
        try:
            take(data)
        except target.refuses:
            pass


@pytest.mark.slow
@pytest.mark.timeout(300)
@each_target
def test_mutated_inputs_are_taken_or_refused_in_little_time_and_memory(target):
    outcome = Run(target, seed=1, pool=pool_of(target)).go(INPUTS // target.costs)
    print(outcome)
    assert outcome.accepted + sum(outcome.refused.values()) == outcome.inputs
    assert outcome.slowest[0] < SLOWEST_MICROSECONDS
    assert outcome.grown < GROWN_KIB
    assert outcome.peak < 2 * GROWN_KIB
    assert outcome.most < ONE_INPUT_KIB


@each_target
def test_the_well_formed_ones_are_taken(target):
    """Else nothing would be told of what is inside."""
    take, taken = target.open(), 0
    for data in target.seeds():
        try:
            take(data)
            taken += 1
        except target.refuses:
            pass
    assert taken


def test_a_guided_run_keeps_what_does_something_new_and_no_more(tmp_path):
    target = TARGETS["txt"]
    assert "kept" in guide(target, seed=1, seconds=0.5, folder=tmp_path)
    found = list((tmp_path / "txt").iterdir())
    assert found
    coverage, take, seen = Coverage(target.refuses), target.open(), set()
    for data in target.seeds():
        seen |= coverage.of(take, data)
    for path in sorted(found, key=lambda path: (path.stat().st_size, path.read_bytes())):
        features = coverage.of(take, path.read_bytes())
        assert not features <= seen
        seen |= features
