"""In which order pairs begin, how many at once, and what a failure stops."""

import pytest

from meshcluster.errors import ConfigError, NoSites
from meshcluster.jobs.outcomes import Pair
from meshcluster.jobs.schedule import Schedule
from meshcluster.jobs.terms import KINDS, Terms
from tests.jobs.virtual_run import Run, Sites

SLOW_AND_QUICK = {"s1": 90, "s2": 30}
HUNDRED = [f"s{number:03}" for number in range(100)]


def begun(run):
    return " ".join(run.ran)


# --- the four orders ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "trace"),
    [
        ({}, "a/s1+ a/s2+ a/s2- b/s2+ b/s2- a/s1- b/s1+ b/s1-"),
        ({"schedule": "sequential"}, "a/s1+ a/s2+ a/s2- a/s1- b/s1+ b/s2+ b/s2- b/s1-"),
        ({"schedule": "atomic"}, "a/s1+ a/s1- a/s2+ a/s2- b/s1+ b/s1- b/s2+ b/s2-"),
        (
            {"schedule": "atomic", "order": "site"},
            "a/s1+ a/s1- b/s1+ b/s1- a/s2+ a/s2- b/s2+ b/s2-",
        ),
        ({"schedule": "parallel"}, "a/s1+ a/s2+ b/s1+ b/s2+ a/s2- b/s2- a/s1- b/s1-"),
    ],
)
def test_the_orders(terms, trace):
    assert " ".join(Run("a b", "s1 s2", lasts=SLOW_AND_QUICK, **terms).go().trace) == trace


def test_a_site_that_a_job_does_not_match_is_passed_over():
    sites = Sites("s1", "s2", a=["s1"], b=["s2"])
    assert begun(Run("a b c", sites).go()) == "a/s1 b/s2 c/s1 c/s2"
    assert begun(Run("a b c", sites, schedule="atomic").go()) == "a/s1 b/s2 c/s1 c/s2"


def test_a_site_that_matches_twice_has_the_job_once():
    assert begun(Run("a", Sites("s1", "s1", "s2")).go()) == "a/s1 a/s2"


def test_a_job_that_is_listed_twice_runs_twice():
    run = Run("a b a", "s1").go()
    assert begun(run) == "a/s1 b/s1 a/s1"
    assert [pair.position for pair in run.statuses] == [0, 1, 2]


def test_all_sites_are_found_before_anything_starts_and_each_job_is_asked_once():
    sites = Sites("s1")
    run = Run("a b a", sites)
    assert sites.asked == ["a", "b"]
    sites.all.append("s2")
    run.go()
    assert begun(run) == "a/s1 b/s1 a/s1"
    assert sites.asked == ["a", "b"]
    assert run.schedule.resolved == {(0, "a"): ("s1",), (1, "b"): ("s1",), (2, "a"): ("s1",)}


@pytest.mark.parametrize("kind", KINDS)
def test_where_nothing_matches_it_is_done_at_once(kind):
    run = Run("a b", "", schedule=kind, live=True, batches=1)
    assert run.schedule.done
    assert run.go().ran == []
    assert Run("", "s1", schedule=kind).schedule.done


def test_too_few_sites_are_refused_before_anything_starts():
    sites = Sites("s1", "s2", b=[])
    with pytest.raises(NoSites, match="b matches 0 of at least 1 sites"):
        Run("a b", sites, require_sites=True)
    with pytest.raises(NoSites, match="a matches 2 of at least 3"):
        Run("a", sites, require_sites=3)
    assert begun(Run("a", sites, require_sites=2).go()) == "a/s1 a/s2"


# --- a hundred sites ------------------------------------------------------------------------------

A, B = ([f"{job}/{site}" for site in HUNDRED] for job in "ab")
SITE_BY_SITE = [f"{job}/{site}" for site in HUNDRED for job in "ab"]


@pytest.mark.parametrize(
    ("terms", "order", "most"),
    [
        ({}, A + B, 100),
        ({"max_parallel": 7}, A + B, 7),
        ({"schedule": "sequential"}, A + B, 100),
        ({"schedule": "sequential", "max_parallel": 30}, A + B, 30),
        ({"schedule": "atomic"}, A + B, 1),
        ({"schedule": "atomic", "order": "site"}, SITE_BY_SITE, 1),
        ({"schedule": "parallel"}, A + B, 200),
        ({"schedule": "parallel", "max_parallel": 150}, A + B, 150),
        ({"batches": 1}, SITE_BY_SITE, 1),
        ({"schedule": "sequential", "batches": "50%"}, A[:50] + B[:50] + A[50:] + B[50:], 50),
        ({"schedule": "parallel", "batches": [1, 99]}, A[:1] + B[:1] + A[1:] + B[1:], 198),
    ],
)
def test_a_hundred_sites_in_order(terms, order, most):
    run = Run("a b", Sites(*HUNDRED), **terms).go()
    assert run.ran == order
    assert run.most == most


def test_ten_thousand_pairs_are_no_burden():
    """Each is asked for by itself: work for all that wait at each step would take minutes."""
    sites = Sites(*(f"s{number}" for number in range(1000)))
    jobs = " ".join("abcdefghij")
    run = Run(jobs, sites, max_parallel=20, per_host=3, host_of=lambda site: site[:3]).go()
    assert len(run.ran) == 10_000


# --- portions -------------------------------------------------------------------------------------


def test_a_portion_begins_when_the_one_before_is_through():
    run = Run("a b", "s1 s2 s3", lasts=SLOW_AND_QUICK, batches=2).go()
    assert begun(run) == "a/s1 a/s2 b/s2 b/s1 a/s3 b/s3"
    assert run.trace[-5:] == ["b/s1-", "a/s3+", "a/s3-", "b/s3+", "b/s3-"]


def test_the_last_size_of_a_list_repeats():
    run = Run("a", "s1 s2 s3 s4 s5", schedule="parallel", batches=[1, "40%"])
    assert [len(stage) for stage in run.schedule.stages] == [1, 2, 2]


def test_portions_are_of_all_sites_of_all_jobs_as_they_first_come():
    sites = Sites(a=["s2"], b=["s1", "s2", "s3"])
    run = Run("a b", sites, schedule="sequential", batches=2).go()
    assert begun(run) == "a/s2 b/s1 b/s2 b/s3"
    assert run.most == 2


def test_a_rolling_update_in_portions():
    run = Run("a b", "s1 s2 s3", schedule="atomic", batches=2).go()
    assert begun(run) == "a/s1 a/s2 b/s1 b/s2 a/s3 b/s3"


# --- how many at once -----------------------------------------------------------------------------


def test_no_site_waits_while_another_is_far_ahead():
    run = Run("a b c", "s1 s2 s3", max_parallel=1).go()
    assert begun(run) == "a/s1 a/s2 a/s3 b/s1 b/s2 b/s3 c/s1 c/s2 c/s3"


def test_so_many_run_on_a_host():
    run = Run("a", "x1 x2 y1 x3 y2", per_host=1, host_of=lambda site: site[0])
    run.take()
    assert begun(run) == "a/x1 a/y1"
    run.go()
    assert begun(run) == "a/x1 a/y1 a/x2 a/y2 a/x3"


def test_a_site_is_a_host_where_nothing_else_is_said():
    run = Run("a b", "s1 s2", schedule="parallel", per_host=1).go()
    assert begun(run) == "a/s1 a/s2 b/s1 b/s2"
    assert run.most == 2


def test_room_that_a_skipped_pair_leaves_is_taken_by_the_next():
    sites = Sites("x1", "x2", "x3")
    run = Run("a", sites, per_host=1, host_of=lambda site: "x")
    run.take()
    sites.fates["x2"] = "left"
    run.go()
    assert begun(run) == "a/x1 a/x3"
    assert run.reasons == {"a/x2": "the site left"}


# --- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "ran"),
    [
        ("site-sequential", {"a/s1", "a/s2", "b/s2", "c/s2"}),
        ("sequential", {"a/s1", "a/s2"}),
        ("atomic", {"a/s1"}),
        ("parallel", {"a/s1", "a/s2", "b/s1", "b/s2", "c/s1", "c/s2"}),
    ],
)
@pytest.mark.parametrize("stops", [True, False])
def test_what_a_failure_stops(kind, ran, stops):
    run = Run("a b c", "s1 s2", ends={"a/s1": "failed"}, schedule=kind, break_on_error=stops).go()
    everything = {f"{job}/{site}" for job in "abc" for site in ("s1", "s2")}
    assert set(run.ran) == (ran if stops else everything)
    assert run.failed == ["a/s1"]
    assert set(run.reasons) == everything - set(run.ran)
    on = "this site" if kind == "site-sequential" else "s1"
    assert set(run.reasons.values()) <= {f"a failed on {on}"}


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("lost", "a was lost on this site"),
        ("unreachable", "this site could not be reached for a"),
    ],
)
def test_what_is_lost_or_not_reached_has_failed(end, reason):
    run = Run("a b", "s1 s2", ends={"a/s1": end}, break_on_error=True).go()
    assert run.reasons == {"b/s1": reason}


def test_a_sequential_job_is_finished_on_the_sites_that_wait_too():
    terms = {"schedule": "sequential", "break_on_error": True, "max_parallel": 1}
    run = Run("a b", "s1 s2 s3", ends={"a/s1": "failed", "a/s3": "lost"}, **terms).go()
    assert begun(run) == "a/s1 a/s2 a/s3"
    assert set(run.reasons.values()) == {"a failed on s1"}


@pytest.mark.parametrize("kind", ["sequential", "atomic"])
def test_a_failure_stops_later_portions(kind):
    terms = {"schedule": kind, "break_on_error": True, "batches": 1}
    run = Run("a b", "s1 s2", ends={"b/s1": "failed"}, **terms).go()
    assert begun(run) == "a/s1 b/s1"
    assert run.reasons == {"a/s2": "b failed on s1", "b/s2": "b failed on s1"}


def test_a_failure_that_ends_a_site_does_not_stop_later_portions():
    run = Run("a b", "s1 s2", ends={"a/s1": "failed"}, break_on_error=True, batches=1).go()
    assert begun(run) == "a/s1 a/s2 b/s2"


@pytest.mark.parametrize("kind", KINDS)
def test_with_more_failed_sites_than_may_nothing_more_starts(kind):
    ends = {f"{job}/{site}": "failed" for job in "ab" for site in ("s1", "s2")}
    terms = {"schedule": kind, "max_fail": 1, "max_parallel": 1}
    run = Run("a b", "s1 s2 s3", ends=ends, **terms).go()
    assert begun(run) == "a/s1 a/s2"
    assert set(run.reasons.values()) == {"more than 1 site failed"}


def test_a_site_that_fails_twice_is_one():
    run = Run("a b", "s1 s2", ends={"a/s1": "failed", "b/s1": "failed"}, max_fail=1).go()
    assert len(run.ran) == 4


def test_where_none_may_fail_the_first_stops_all():
    run = Run("a", "s1 s2 s3", ends={"a/s1": "lost"}, max_fail=0, max_parallel=1).go()
    assert run.reasons == {"a/s2": "a was lost on s1", "a/s3": "a was lost on s1"}


def test_a_share_of_the_sites_may_fail():
    ends = {f"a/{site}": "failed" for site in HUNDRED}
    run = Run("a", Sites(*HUNDRED), ends=ends, max_fail="29%", max_parallel=1).go()
    assert len(run.ran) == 30
    assert set(run.reasons.values()) == {"more than 29 sites failed"}


@pytest.mark.parametrize("kind", ["site-sequential", "sequential", "parallel"])
def test_what_runs_is_stopped_where_that_is_asked_for(kind):
    run = Run(
        "a b",
        "s1 s2 s3 s4",
        ends={"a/s2": "failed"},
        lasts={"a/s2": 0.5},
        schedule=kind,
        max_fail=0,
        max_parallel=3,
        cancel_running=True,
    ).go()
    assert begun(run) == "a/s1 a/s2 a/s3"
    assert run.cancelled == ["a/s1", "a/s3"]


def test_what_runs_goes_on_where_nothing_is_said():
    run = Run("a b", "s1 s2", ends={"a/s1": "failed"}, lasts={"a/s2": 9}, max_fail=0).go()
    assert run.cancelled == []
    assert run.failed == ["a/s1"]


def test_a_job_whose_running_pairs_are_stopped_is_not_finished_first():
    terms = {"schedule": "sequential", "break_on_error": True, "cancel_running": True}
    run = Run("a b", "s1 s2 s3", ends={"a/s1": "failed"}, lasts=SLOW_AND_QUICK | {"s1": 1},
              max_parallel=2, **terms).go()  # fmt: skip
    assert begun(run) == "a/s1 a/s2"
    assert run.cancelled == ["a/s2"]
    assert run.reasons["a/s3"] == "a failed on s1"


def test_a_failure_that_ends_a_site_stops_nothing_that_runs():
    run = Run("a b", "s1 s2", ends={"a/s1": "failed"}, break_on_error=True, cancel_running=True)
    assert run.go().cancelled == []


def test_what_is_to_be_stopped_is_said_once():
    sites = Sites("s1", "s2", "s3")
    schedule = Schedule("a", sites.resolve, Terms(max_fail=0, cancel_running=True))
    one, two, three = schedule.startable()
    schedule.ended(one, "failed")
    assert schedule.cancel() == [two, three]
    schedule.ended(two, "failed")
    assert schedule.cancel() == []


def test_what_ended_meanwhile_is_not_to_be_stopped():
    sites = Sites("s1", "s2")
    schedule = Schedule("a", sites.resolve, Terms(max_fail=0, cancel_running=True))
    one, two = schedule.startable()
    schedule.ended(one, "failed")
    schedule.ended(two, "ok")
    assert schedule.cancel() == []
    assert schedule.done


# --- stopping, and what becomes of sites ----------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_after_a_stop_nothing_starts_and_what_runs_ends(kind):
    run = Run("a b", "s1 s2", schedule=kind, max_parallel=1, batches=1)
    run.take()
    run.schedule.stop("interrupted")
    run.schedule.stop("again")
    assert not run.schedule.done
    run.go()
    assert begun(run) == "a/s1"
    assert set(run.reasons.values()) == {"interrupted"}
    assert len(run.reasons) == 3


def test_what_is_over_cannot_be_stopped():
    run = Run("a", "s1").go()
    run.schedule.stop("interrupted")
    assert run.schedule.skipped() == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fate", "reason"),
    [("left", "the site left"), ("lost", "the site is lost"), ("gone fishing", "gone fishing")],
)
def test_a_site_that_is_gone_before_its_turn_is_skipped(kind, fate, reason):
    sites = Sites("s1", "s2")
    run = Run("a b", sites, schedule=kind, max_parallel=1, break_on_error=True, max_fail=0)
    run.take()
    sites.fates["s2"] = fate
    run.schedule.changed()
    run.go()
    assert begun(run) == "a/s1 b/s1"
    assert run.reasons == {"a/s2": reason, "b/s2": reason}


def test_it_is_done_when_all_that_is_left_has_gone():
    sites = Sites("s1", "s2")
    run = Run("a b", sites, schedule="sequential")
    run.take()
    sites.fates = {"s1": "left", "s2": "lost"}
    run.end(Pair(0, "a", "s1"))
    run.end(Pair(0, "a", "s2"))
    assert run.schedule.done


def test_a_site_that_is_back_by_its_turn_runs():
    sites = Sites("s1", "s2")
    run = Run("a b", sites, schedule="atomic")
    run.take()
    sites.fates["s2"] = "left"
    run.at(1.5, sites.fates.clear)
    run.go()
    assert begun(run) == "a/s1 b/s1 b/s2"


def test_only_what_runs_can_end_and_only_as_something():
    schedule = Schedule("a", Sites("s1").resolve, Terms())
    (pair,) = schedule.startable()
    assert schedule.startable() == []
    with pytest.raises(ValueError, match="'skipped': one of 'ok', 'failed'"):
        schedule.ended(pair, "skipped")
    assert set(schedule.running) == {pair}
    schedule.ended(pair, "ok")
    with pytest.raises(KeyError):
        schedule.ended(pair, "ok")


# --- retries --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_retry_is_of_what_was_not_done(kind):
    run = Run("a b c", "s1 s2", schedule=kind, only={(0, "s2"), (2, "s1")}).go()
    assert sorted(run.ran) == ["a/s2", "c/s1"]
    assert run.reasons == {}
    assert run.schedule.resolved == {(0, "a"): ("s2",), (1, "b"): (), (2, "c"): ("s1",)}


def test_a_retry_of_a_site_that_no_longer_matches_says_so():
    sites = Sites("s1", "s3")
    sites.fates["s3"] = "lost"
    run = Run("a b", sites, only={(0, "s1"), (0, "s2"), (1, "s3")}).go()
    assert begun(run) == "a/s1"
    assert run.reasons == {
        "a/s2": "the site no longer has a role of a",
        "b/s3": "the site is lost",
    }


def test_a_retry_of_the_second_time_a_job_is_listed_is_of_that_one():
    run = Run("a b a", "s1", only={(2, "s1")}).go()
    assert [pair.position for pair in run.statuses] == [2]


def test_a_retry_of_a_position_that_no_job_has_is_refused():
    with pytest.raises(ConfigError, match="only=: positions from 0 to 1"):
        Run("a b", "s1", only={(2, "s1")})


def test_a_retry_of_nothing_is_done_at_once():
    assert Run("a", "s1", only=()).schedule.done
