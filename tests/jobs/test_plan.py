"""What a run would do, seen before it does any of it."""

import json

import pytest

from meshcluster.errors import MissingJob
from meshcluster.jobs.outcomes import Pair
from meshcluster.jobs.plan import Plan, pick
from meshcluster.jobs.schedule import Schedule
from meshcluster.jobs.terms import Terms
from tests.jobs.virtual_run import Sites

ACTIONS = {"a": 1, "b": 2, "empty": 0}


def plan(jobs, sites, *, actions=lambda job, site: ACTIONS[job], ignored=(), trouble=None, **terms):
    schedule = Schedule(jobs.split(), sites.resolve, Terms(**terms))
    made = Plan.of(schedule, actions, ignored=ignored, trouble=trouble)
    assert not schedule.running
    return made


def test_it_has_the_sites_and_the_actions_of_each_job():
    made = plan("a b", Sites("s1", "s2", b=["s2"]), schedule="sequential")
    assert made.resolved == {(0, "a"): ("s1", "s2"), (1, "b"): ("s2",)}
    assert made.actions == {(0, "s1"): 1, (0, "s2"): 1, (1, "s2"): 2}
    assert made.sites == ("s1", "s2")
    assert made.pairs == [Pair(0, "a", "s1"), Pair(0, "a", "s2"), Pair(1, "b", "s2")]


def test_it_has_the_order():
    made = plan("a b", Sites("s1", "s2", b=["s2"]), schedule="sequential")
    first, second, third = made.pairs
    assert made.stages == (((first,), (second,)), ((third,),))


def test_it_warns_of_jobs_that_do_nothing_and_of_names_that_are_none():
    made = plan("a b empty", Sites("s1", b=[]), ignored=["deplyo"])
    assert made.warnings == (
        "there is no job 'deplyo'",
        "b matches no site",
        "empty has no actions",
    )
    assert made.ignored == ("deplyo",)


def test_a_job_with_actions_on_some_of_its_sites_is_no_warning():
    made = plan("a", Sites("s1", "s2"), actions=lambda job, site: int(site == "s2"))
    assert made.warnings == ()


def test_it_says_what_is_wrong_with_sites_that_take_part():
    made = plan("a", Sites("s1"), trouble={"s1": "unreachable since 12:04", "s9": "lost"})
    assert made.trouble == {"s1": "unreachable since 12:04"}


def test_people_can_read_it():
    made = plan(
        "a b empty",
        Sites("s1", "s2", b=["s2"]),
        schedule="sequential",
        break_on_error=True,
        max_parallel=4,
        max_fail="10%",
        batches=[1, "50%"],
        trouble={"s2": "unreachable since 12:04"},
        ignored=["x"],
    )
    assert str(made).splitlines() == [
        "sequential: 3 jobs on 2 sites, 5 pairs in 5 stages",
        "  at most 4 at a time",
        "  sites in portions of 1, 50%",
        "  a failure ends the run after its job",
        "  at most 10% of the sites may fail",
        "1. a: 2 sites",
        "   1 action: s1, s2",
        "2. b: 1 site",
        "   2 actions: s2",
        "3. empty: 2 sites",
        "   0 actions: s1, s2",
        "order:",
        "  stage 1: a/s1",
        "  stage 2: empty/s1",
        "  stage 3: a/s2",
        "  stage 4: b/s2",
        "  stage 5: empty/s2",
        "warning: there is no job 'x'",
        "warning: empty has no actions",
        "s2: unreachable since 12:04",
    ]


def test_lanes_can_be_told_from_what_is_in_them():
    assert "  stage 1: a/s1 > b/s1, a/s2 > b/s2" in str(plan("a b", Sites("s1", "s2")))


def test_a_large_one_is_no_long_text():
    sites = Sites(*(f"s{number}" for number in range(1000)))
    text = str(plan("a b", sites, batches=1))
    assert len(text.splitlines()) < 25
    assert "988 more" in text
    assert "and 988 stages more" in text
    assert max(map(len, text.splitlines())) < 120


def test_nothing_to_do_is_a_plan_too():
    made = plan("", Sites())
    assert str(made).splitlines()[0] == "site-sequential: 0 jobs on 0 sites, 0 pairs in 0 stages"
    assert made.warnings == ()


def test_json_can_have_all_of_it():
    made = plan("a", Sites("s1"), ignored=["x"], trouble={"s1": "slow"}, live=True)
    assert json.loads(json.dumps(made.to_dict())) == {
        "schedule": "site-sequential",
        "conditions": ["sites that come take part"],
        "jobs": [{"position": 0, "job": "a", "sites": [{"site": "s1", "actions": 1}]}],
        "stages": [[[{"position": 0, "job": "a", "site": "s1"}]]],
        "ignored": ["x"],
        "warnings": ["there is no job 'x'"],
        "trouble": {"s1": "slow"},
    }


# --- which jobs -----------------------------------------------------------------------------------


def test_jobs_that_there_are_keep_their_order():
    assert pick(["b", "a", "b"], {"a", "b"}) == (("b", "a", "b"), ())


def test_a_job_that_there_is_not_is_refused_with_what_may_be_meant():
    with pytest.raises(MissingJob, match=r"there is no job 'deplyo'; did you mean 'deploy'\?"):
        pick(["a", "deplyo"], {"a", "deploy"})


def test_a_job_that_there_is_not_can_be_left_out():
    assert pick(["x", "a", "x"], {"a"}, allow_missing=True) == (("a",), ("x",))
