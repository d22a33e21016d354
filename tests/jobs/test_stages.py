"""The form of a plan: stages of lanes of pairs."""

import pytest

from meshcluster.jobs.outcomes import Pair
from meshcluster.jobs.stages import Lane, lay_out
from meshcluster.jobs.terms import Terms
from tests.jobs.virtual_run import short

FOUND = {(0, "a"): ["s2", "s1"], (1, "b"): [], (2, "c"): ["s1", "s3"]}


def form(sites=("s2", "s1"), **terms):
    """Stages as texts: lanes between bars."""
    stages = lay_out(Terms(**terms), FOUND, 0, sites)
    return [" | ".join(" ".join(map(short, lane.pairs)) for lane in each.lanes) for each in stages]


@pytest.mark.parametrize(
    ("terms", "stages"),
    [
        ({}, ["a/s2 | a/s1 c/s1"]),
        ({"schedule": "sequential"}, ["a/s2 | a/s1", "", "c/s1"]),
        ({"schedule": "atomic"}, ["a/s2 a/s1", "", "c/s1"]),
        ({"schedule": "atomic", "order": "site"}, ["a/s2 a/s1 c/s1"]),
        ({"schedule": "parallel"}, ["a/s2 | a/s1 | c/s1"]),
    ],
)
def test_the_form_of_each_schedule(terms, stages):
    assert form(**terms) == stages


def test_sites_go_in_the_order_in_which_they_are_given():
    assert form(sites=("s3", "s1")) == ["c/s3 | a/s1 c/s1"]


def test_a_stage_knows_its_portion_and_its_job():
    stages = lay_out(Terms(schedule="sequential"), FOUND, 3, ["s1"])
    assert [(stage.portion, stage.job) for stage in stages] == [(3, key) for key in FOUND]
    (stage,) = lay_out(Terms(schedule="parallel"), FOUND, 3, ["s1"])
    assert stage.job is None


def test_lanes_are_numbered_in_order():
    (stage,) = lay_out(Terms(), FOUND, 0, ["s1", "s2", "s3"])
    stage.add([])
    assert [lane.number for lane in stage.lanes] == [0, 1, 2, 3]


def test_a_lane_gives_its_pairs_one_after_the_other():
    pairs = [Pair(at, "job", "s1") for at in range(4)]
    lane = Lane(0, pairs)
    assert lane.next == lane.take() == pairs[0]
    assert lane.take() == pairs[1]
    assert lane.rest() == pairs[2:]
    assert lane.next is None
    assert lane.rest() == []
