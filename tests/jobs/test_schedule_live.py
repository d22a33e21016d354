"""Sites that come, go and have other roles while a run goes on."""

import pytest

from meshcluster.jobs.terms import KINDS
from tests.jobs.virtual_run import Run, Sites

SEQUENTIAL = {"schedule": "sequential", "live": True}
ATOMIC = {"schedule": "atomic", "live": True}
NO_ROLE = "the site no longer has a role of b"


def begun(run):
    return " ".join(run.ran)


def when(run, seconds, change):
    """The sites change, and the run hears of it."""

    def happen():
        change()
        run.schedule.changed()

    run.at(seconds, happen)


def with_third(terms, at=0.5, jobs="a b"):
    sites = Sites("s1", "s2")
    run = Run(jobs, sites, **terms)
    when(run, at, lambda: sites.all.append("s3"))
    return run.go()


# --- who comes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_who_comes_takes_no_part_where_nothing_is_said(kind):
    run = with_third({"schedule": kind})
    assert not [pair for pair in run.ran if pair.endswith("s3")]
    assert run.schedule.resolved == {(0, "a"): ("s1", "s2"), (1, "b"): ("s1", "s2")}


def test_who_comes_during_a_job_of_a_sequential_run_has_the_next():
    run = with_third(SEQUENTIAL)
    assert begun(run) == "a/s1 a/s2 b/s1 b/s2 b/s3"
    assert run.schedule.resolved == {(0, "a"): ("s1", "s2"), (1, "b"): ("s1", "s2", "s3")}


def test_who_comes_during_a_job_of_an_atomic_run_has_the_next():
    assert begun(with_third(ATOMIC)) == "a/s1 a/s2 b/s1 b/s2 b/s3"


def test_who_comes_during_the_last_job_has_none():
    assert begun(with_third(SEQUENTIAL, at=1.5)) == "a/s1 a/s2 b/s1 b/s2"


def test_who_comes_to_a_site_sequential_run_begins_with_its_first_job():
    run = with_third({"live": True})
    assert begun(run) == "a/s1 a/s2 a/s3 b/s1 b/s2 b/s3"
    assert run.trace.index("b/s3+") > run.trace.index("a/s3-")


def test_it_comes_as_long_as_any_other_is_not_done():
    assert begun(with_third({"live": True}, at=1.9)) == "a/s1 a/s2 b/s1 b/s2 a/s3 b/s3"


def test_it_has_the_jobs_that_it_matches():
    sites = Sites("s1", b=["s1"])
    run = Run("a b c", sites, live=True)
    when(run, 0.5, lambda: sites.all.append("s2"))
    assert begun(run.go()) == "a/s1 a/s2 b/s1 c/s2 c/s1"


def test_a_job_that_matched_nobody_may_by_its_turn():
    sites = Sites("s1", b=[])
    run = Run("a b", sites, **SEQUENTIAL)
    when(run, 0.5, lambda: sites.only["b"].append("s2"))
    assert begun(run.go()) == "a/s1 b/s2"


@pytest.mark.parametrize(
    "terms",
    [{"schedule": "parallel", "live": True}, {"order": "site", **ATOMIC}],
)
def test_parallel_runs_and_those_site_by_site_take_nobody_more(terms):
    run = with_third(terms | {"max_parallel": 1})
    assert not [pair for pair in run.ran if pair.endswith("s3")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_retry_takes_nobody_more(kind):
    terms = {"schedule": kind, "live": True, "only": {(0, "s1"), (1, "s1")}}
    assert sorted(with_third(terms).ran) == ["a/s1", "b/s1"]


def test_who_comes_after_a_failure_that_stops_all_takes_no_part():
    sites = Sites("s1", "s2")
    ends, lasts = {"a/s1": "failed"}, {"a/s2": 9}
    run = Run("a b", sites, ends=ends, lasts=lasts, live=True, max_fail=0)
    when(run, 3, lambda: sites.all.append("s3"))
    assert begun(run.go()) == "a/s1 a/s2"


def test_who_comes_while_there_are_portions_comes_last_in_portions_of_its_own():
    run = with_third({"live": True, "batches": 1})
    assert begun(run) == "a/s1 b/s1 a/s2 b/s2 a/s3 b/s3"
    run = with_third({"batches": 1, **SEQUENTIAL})
    assert begun(run) == "a/s1 b/s1 a/s2 b/s2 a/s3 b/s3"
    assert run.most == 1
    run = with_third({"batches": 2, **ATOMIC})
    assert begun(run) == "a/s1 a/s2 b/s1 b/s2 a/s3 b/s3"


def test_their_portions_go_on_as_the_list_does():
    sites = Sites("s1")
    run = Run("a b", sites, live=True, batches=[1, 2])
    when(run, 0.5, lambda: sites.all.extend(["s2", "s3"]))
    assert begun(run.go()) == "a/s1 b/s1 a/s2 a/s3 b/s2 b/s3"


def test_their_share_is_of_the_sites_that_there_were_at_the_start():
    sites = Sites("s1", "s2", "s3", "s4")
    run = Run("a b", sites, live=True, batches="50%")
    when(run, 0.5, lambda: sites.all.extend(["s5", "s6"]))
    assert begun(run.go()).endswith(" a/s5 a/s6 b/s5 b/s6")


def test_a_failure_stops_the_portions_of_who_came():
    sites = Sites("s1")
    terms = {"break_on_error": True, "batches": 1, **SEQUENTIAL}
    run = Run("a b", sites, ends={"b/s1": "failed"}, **terms)
    when(run, 0.5, lambda: sites.all.append("s2"))
    assert begun(run.go()) == "a/s1 b/s1"


# --- who goes, or is something else now -----------------------------------------------------------


@pytest.mark.parametrize("kind", ["site-sequential", "sequential", "atomic"])
def test_who_no_longer_has_the_role_at_its_turn_is_skipped(kind):
    sites = Sites("s1", "s2", b=["s1", "s2"])
    run = Run("a b", sites, schedule=kind, live=True)
    when(run, 0.5, lambda: sites.only["b"].remove("s2"))
    run.go()
    assert begun(run) == "a/s1 a/s2 b/s1"
    assert run.reasons == {"b/s2": NO_ROLE}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_looked_at_just_before_each_pair(kind):
    sites = Sites("s1", "s2", b=["s1", "s2"])
    run = Run("a b", sites, schedule=kind, live=True, max_parallel=1)
    when(run, 2.5, lambda: sites.only["b"].remove("s2"))
    run.go()
    assert begun(run) == "a/s1 a/s2 b/s1"
    assert run.reasons == {"b/s2": NO_ROLE}


@pytest.mark.parametrize(
    ("terms", "runs"),
    [
        ({"schedule": "site-sequential"}, True),
        ({"schedule": "parallel"}, True),
        ({"schedule": "sequential"}, False),  # it was asked anyway who has the role
    ],
)
def test_who_does_not_want_that_can_say_so(terms, runs):
    sites = Sites("s1", "s2", b=["s1", "s2"])
    run = Run("a b", sites, live=True, recheck=False, max_parallel=1, **terms)
    when(run, 0.5, lambda: sites.only["b"].remove("s2"))
    assert ("b/s2" in run.go().ran) is runs


def test_where_it_is_not_live_the_sites_are_as_they_were():
    sites = Sites("s1", "s2", b=["s1", "s2"])
    run = Run("a b", sites, schedule="sequential")
    when(run, 0.5, lambda: sites.only["b"].remove("s2"))
    assert begun(run.go()) == "a/s1 a/s2 b/s1 b/s2"


@pytest.mark.parametrize("kind", ["site-sequential", "sequential", "atomic"])
def test_who_left_is_said_to_have_left(kind):
    sites = Sites("s1", "s2")
    run = Run("a b", sites, schedule=kind, live=True)

    def leave():
        sites.all.remove("s2")
        sites.fates["s2"] = "left"

    when(run, 1.5 if kind == "atomic" else 0.5, leave)
    assert run.go().reasons == {"b/s2": "the site left"}


def test_a_site_that_is_lost_with_a_job_has_failed():
    sites = Sites("s1", "s2")
    ends = {"a/s2": "lost"}
    run = Run("a b", sites, ends=ends, break_on_error=True, **SEQUENTIAL)
    when(run, 0.5, lambda: sites.fates.update(s2="lost"))
    run.go()
    assert begun(run) == "a/s1 a/s2"
    assert run.reasons == {"b/s1": "a was lost on s2", "b/s2": "a was lost on s2"}


def test_a_retried_site_that_has_its_role_again_runs():
    sites = Sites("s1", "s2", b=[])
    run = Run("a b", sites, only={(0, "s1"), (1, "s2")}, **SEQUENTIAL)
    when(run, 0.5, lambda: sites.only["b"].append("s2"))
    assert begun(run.go()) == "a/s1 b/s2"
