"""Jobs are declared by name and role, run in batches, and run again where they failed."""

import asyncio
import functools
import threading

import pytest

from meshcluster import (
    AsyncJobs,
    ConfigError,
    Jobs,
    JobsFailed,
    MissingJob,
    NoSites,
    PairBegan,
    Sites,
)
from meshcluster.jobs.terms import KINDS
from tests.jobs.play import Play, reasons, short, statuses


def nothing(action):
    pass


def jobs(*sites, **options):
    """Jobs with sites that are in the role "app"."""
    made = Jobs(**options)
    made.sites.add(list(sites) or ["s1", "s2"], "app")
    return made


# --- declared -------------------------------------------------------------------------------------


def test_a_job_without_roles_is_for_the_role_of_its_own_name():
    all_ = jobs()
    all_.add("app", actions=nothing)
    assert statuses(all_.run("app")) == {"app/s1": "ok", "app/s2": "ok"}


def test_a_job_without_actions_is_there_and_does_nothing():
    all_ = jobs()
    all_.add("app")
    result = all_.run("app")
    assert result.ok
    assert result.warnings == ("app has no actions",)


def test_a_function_may_stand_in_the_place_of_the_roles():
    all_ = jobs()
    all_.add("s1", nothing)
    assert all_.plan("s1").actions == {(0, "s1"): 1}


def test_more_actions_of_a_job_add_up_each_with_its_roles():
    all_, did = jobs(), []
    all_.add("a", "app", [lambda action: did.append(("one", action.site.name))])
    all_.add("a", "s2", lambda action: did.append(("two", action.site.name)))
    assert all_.run("a").ok
    assert sorted(did) == [("one", "s1"), ("one", "s2"), ("two", "s2")]


def test_it_is_declared_by_a_decorator():
    all_ = jobs()

    @all_.job
    def s1(action):
        pass

    @all_.job(roles="app")
    async def deploy(action):
        pass

    @all_.job("restart", roles="s2")
    def anything(action):
        pass

    assert [job.name for job in all_] == ["s1", "deploy", "restart"]
    assert all_["deploy"].roles == "app"
    assert "restart" in all_
    assert "anything" not in all_
    assert repr(all_) == "<Jobs s1, deploy, restart on 2 sites>"
    assert all_.run(["s1", "deploy", "restart"]).ok


@pytest.mark.parametrize("name", ["", "two words", 7, ["a"], None])
def test_a_name_that_can_be_none_is_refused(name):
    all_ = jobs()
    with pytest.raises(ConfigError, match="a name has"):
        all_.add(name, "app", nothing)
    assert list(all_) == []


def test_what_is_no_function_is_refused_and_nothing_is_declared():
    all_ = jobs()
    with pytest.raises(ConfigError, match="is no function"):
        all_.add("a", "app", [nothing, "restart"])
    with pytest.raises(ConfigError):
        all_.add("a", "app &", nothing)
    assert list(all_) == []


def test_what_has_no_name_of_its_own_needs_one():
    all_ = jobs()
    unnamed = functools.partial(nothing)
    with pytest.raises(ConfigError, match="it has no name of its own"):
        all_.job(unnamed)
    with pytest.raises(ConfigError, match="it has no name of its own"):
        all_.job(roles="app")(unnamed)
    with pytest.raises(ConfigError, match="a name"):
        all_.job("")(unnamed)
    with pytest.raises(ConfigError, match="a name, or roles="):
        all_.job(7)
    assert all_.job("a", roles="app")(unnamed) is unnamed


def test_several_may_share_their_sites():
    sites = Sites()
    sites.add("s1", "app")
    first, second = Jobs(sites), AsyncJobs(sites)
    assert first.sites is second.sites


# --- what is run, and where -----------------------------------------------------------------------


def test_a_job_may_be_declared_before_its_sites():
    all_ = Jobs()
    all_.add("a", "app", nothing)
    all_.sites.add("s1", "app")
    assert statuses(all_.run("a")) == {"a/s1": "ok"}


def test_a_site_that_matches_twice_does_it_once_and_a_job_listed_twice_is_run_twice():
    all_, ids = jobs("s1"), []
    all_.sites.add("s1", "web")
    all_.add("a", ["app", "web", "s1"], lambda action: ids.append(action.id))
    assert all_.run(["a", ["a"]]).ok
    assert len(set(ids)) == 2


def test_a_run_may_be_limited_to_some_sites():
    all_ = jobs("s1", "s2", "s3")
    all_.add("a", "app", nothing)
    assert statuses(all_.run("a", roles="s1, s3")) == {"a/s1": "ok", "a/s3": "ok"}
    assert statuses(all_.run("a", roles="app & !s1")) == {"a/s2": "ok", "a/s3": "ok"}


def test_a_missing_job_is_refused_before_anything_begins():
    all_, did = jobs(), []
    all_.add("deploy", "app", did.append)
    with pytest.raises(MissingJob, match=r"'deploi'.*did you mean 'deploy'"):
        all_.run(["deploy", "deploi"])
    assert did == []
    result = all_.run(["deploy", "deploi"], allow_missing=True)
    assert result.ok
    assert result.ignored == ("deploi",)
    assert result.jobs == ("deploy",)


def test_where_a_job_matches_no_site_it_is_ok_with_a_warning_or_refused():
    all_, did = jobs(), []
    all_.add("a", "app", did.append)
    all_.add("b", "nobody", nothing)
    with pytest.raises(NoSites, match="b matches 0 of at least 1"):
        all_.run(["a", "b"], require_sites=True)
    assert did == []
    result = all_.run(["a", "b"])
    assert result.ok
    assert result.warnings == ("b matches no site",)


@pytest.mark.parametrize("wrong", [None, 7, ["a", None], nothing])
def test_jobs_are_named(wrong):
    with pytest.raises(ConfigError, match="names"):
        jobs().run(wrong)


def test_an_option_that_there_is_not_is_told_with_what_was_meant():
    all_ = jobs()
    all_.add("a", "app", nothing)
    meant = "brek_on_error=: there is no such option.*break_on_error"
    for call in (
        lambda: all_.run("a", brek_on_error=True),
        lambda: all_.plan("a", brek_on_error=True),
        lambda: all_.batch(brek_on_error=True),
        lambda: Jobs(brek_on_error=True),
    ):
        with pytest.raises(ConfigError, match=meant):
            call()


@pytest.mark.parametrize("kind", KINDS)
def test_each_schedule_has_its_method(kind):
    all_ = jobs()
    all_.add("a", "app", nothing)
    named = {"site-sequential": all_.run, "sequential": all_.sequential}
    call = {**named, "atomic": all_.atomic, "parallel": all_.parallel}[kind]
    assert call("a").schedule == kind


def test_a_plan_runs_nothing():
    all_, did = jobs(), []
    all_.add("a", "app", [did.append, did.append])
    all_.add("b", "s2", did.append)
    plan = all_.plan(["a", "b"], schedule="sequential")
    assert plan.actions == {(0, "s1"): 2, (0, "s2"): 2, (1, "s2"): 1}
    assert plan.resolved == {(0, "a"): ("s1", "s2"), (1, "b"): ("s2",)}
    assert did == []
    with pytest.raises(MissingJob):
        all_.plan("c")


# --- the result -----------------------------------------------------------------------------------


def test_errors_are_raised_where_that_is_asked_for():
    all_ = jobs()
    all_.add("a", "app", lambda action: action.fail(f"no {action.site.name}"))
    all_.add("b", "app", nothing)
    result = all_.run(["a", "b"], break_on_error=True)
    with pytest.raises(JobsFailed, match="a on s1: no s1; a on s2: no s2; 2 skipped") as raised:
        result.raise_for_errors()
    assert raised.value.result is result
    assert not result
    all_.run("b").raise_for_errors()


# --- batches --------------------------------------------------------------------------------------


def test_the_runs_of_a_batch_have_an_id_a_state_and_options_in_common():
    all_, seen = jobs(), []
    all_.add("a", "app", lambda action: seen.append(action))
    batch = all_.batch(shared={"by": "hand"}, timeout=20)
    first = batch.run("a", break_on_error=True)
    second = batch.sequential("a", roles="s1")
    third = batch.run("a")
    assert [each.index for each in batch.results] == [1, 2, 3]
    assert {each.batch for each in (first, second, third)} == {batch.id}
    assert [each.id for each in batch.results] == [f"{batch.id}-{n}" for n in (1, 2, 3)]
    ids = [action.id for action in seen]
    assert len(set(ids)) == len(ids) == 4
    assert all(each.startswith(batch.id) for each in ids)
    assert all(action.shared is batch.shared for action in seen)
    assert third.schedule == "sequential", "options stay"
    last = seen[-1].options
    assert (last.timeout, last.break_on_error, last.roles) == (20, True, "s1")


def test_each_run_of_its_own_is_a_new_batch():
    all_ = jobs()
    all_.add("a", "app", nothing)
    first, second = all_.run("a"), all_.run("a")
    assert first.batch < second.batch or first.batch[:11] == second.batch[:11]
    assert first.batch != second.batch
    assert (first.index, second.index) == (1, 1)
    assert first.shared is not second.shared


def test_a_run_that_was_refused_changes_nothing_in_its_batch():
    all_ = jobs()
    all_.add("a", "app", nothing)
    batch = all_.batch()
    for options in ({"schedule": "atomic", "require_sites": 7}, {"schedule": "atomic", "max": 1}):
        with pytest.raises((ConfigError, NoSites)):
            batch.run("a", **options)
    with pytest.raises(MissingJob):
        batch.run("b", schedule="atomic")
    assert batch.results == []
    result = batch.run("a")
    assert (result.index, result.schedule) == (1, "site-sequential")


def test_who_watches_a_batch_watches_its_runs():
    all_, first, second = jobs("s1"), [], []
    all_.add("a", "app", nothing)
    batch = all_.batch(watch=first.append)
    batch.run("a")
    batch.run("a", watch=second.append)
    assert len(first) == len(second) == 4


async def test_a_batch_in_an_event_loop():
    play = Play("a", "s1 s2")
    batch = play.jobs.batch(shared=[])
    results = [
        await batch.run("a"), await batch.sequential("a"), await batch.atomic("a"),
        await batch.parallel("a"),
    ]  # fmt: skip
    assert [each.schedule for each in results] == list(KINDS)
    assert batch.results == results
    assert batch.shared == []


# --- again ----------------------------------------------------------------------------------------


async def test_a_retry_does_what_was_not_ok_and_nothing_else():
    play = Play("a b c", "s1 s2 s3", break_on_error=True)
    play.does = {"a/s1": ValueError("no"), "b/s2": ValueError("no")}
    first = await play.run()
    assert sorted(statuses(first).items())[:3] == [
        ("a/s1", "failed"), ("a/s2", "ok"), ("a/s3", "ok"),
    ]  # fmt: skip
    play.does.clear()
    play.trace.clear()
    again = await play.jobs.run(retry=first, watch=play.watch)
    assert again.ok
    assert sorted(play.ran) == ["a/s1", "b/s1", "b/s2", "c/s1", "c/s2"]
    assert again.jobs == first.jobs
    assert again.warnings == ()
    nothing_left = await play.jobs.run(retry=again)
    assert nothing_left.ok
    assert nothing_left.outcomes == []
    assert nothing_left.warnings == ()


async def test_a_retry_of_a_run_that_was_interrupted_goes_on_with_it():
    play = Play("a b", "s1 s2")
    play.held = {"a/s1"}
    task = play.begin()
    await play.saw("a/s1+", "b/s2-")
    task.cancel()
    await asyncio.wait([task])
    play.held = set()
    play.trace.clear()
    assert (await play.jobs.run(retry=play.events[-1].result, watch=play.watch)).ok
    assert play.ran == ["a/s1", "b/s1"]


async def test_a_retry_leaves_out_what_its_roles_leave_out_and_says_so():
    play = Play("a b", "s1 s2 s3")
    play.jobs.sites.add("s1", "p")
    play.does = {f"a/{site}": ValueError("no") for site in ("s1", "s2", "s3")}
    first = await play.run()
    play.does.clear()
    play.jobs.sites.remove("s3")
    again = await play.jobs.run(retry=first, roles="p")
    assert statuses(again) == {"a/s1": "ok", "a/s3": "skipped"}
    assert reasons(again, "skipped") == {"a/s3": "the site left"}
    assert again.warnings == ("left out, not among roles='p': a on s2",)


async def test_a_retry_leaves_out_nothing_of_a_site_that_no_longer_has_the_role_of_a_job():
    play = Play("a", "s1")
    play.jobs.sites.add("s2", "p")
    play.jobs.add("a", "p", play._act)
    play.does = {"a/s1": ValueError("no"), "a/s2": ValueError("no")}
    first = await play.run()
    play.jobs.sites.remove("s1")
    play.jobs.sites.add("s1", "other")
    play.does.clear()
    again = await play.jobs.run(retry=first, roles="p | other")
    assert statuses(again) == {"a/s1": "skipped", "a/s2": "ok"}
    assert reasons(again, "skipped") == {"a/s1": "the site no longer has a role of a"}
    assert again.warnings == ()


async def test_a_retry_is_of_the_same_jobs():
    play = Play("a b", "s1")
    first = await play.run()
    with pytest.raises(ConfigError, match="that run was of a, b"):
        await play.jobs.run("b", retry=first)
    with pytest.raises(ConfigError, match="the result of a run"):
        await play.jobs.run("a", retry=True)


async def test_a_site_that_is_gone_by_then_is_skipped():
    play = Play("a", "s1 s2")
    play.does = {"a/s1": ValueError("no")}
    first = await play.run()
    play.jobs.sites.remove("s1")
    assert reasons(await play.jobs.run(retry=first), "skipped") == {"a/s1": "the site left"}


# --- loops and threads ----------------------------------------------------------------------------


async def test_jobs_in_a_thread_with_a_loop_say_what_to_use_there():
    all_ = jobs()
    all_.add("a", "app", nothing)
    for call in (lambda: all_.run("a"), lambda: all_.batch().run("a"), lambda: all_.plan("a")):
        with pytest.raises(ConfigError, match="use AsyncShell and AsyncJobs there"):
            call()
    assert (await asyncio.to_thread(all_.run, "a")).ok


def test_jobs_run_in_any_thread_and_the_watch_is_called_there():
    all_, seen, results = jobs(), set(), []
    all_.add("a", "app", lambda action: action.shell.run("true"))

    def run():
        watch = lambda event: seen.add(threading.get_ident())  # noqa: E731
        results.append((all_.run("a", watch=watch).ok, threading.get_ident()))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    assert results == [(True, thread.ident)]
    assert seen == {thread.ident}


# --- a hundred ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_a_hundred_sites_in_order(kind):
    names = [f"s{number:03}" for number in range(100)]
    play = Play("a b", " ".join(names), schedule=kind)
    result = await play.run()
    assert result.ok
    by_job = [f"{job}/{name}" for job in "ab" for name in names]
    assert sorted(play.ran) == by_job
    if kind in ("sequential", "atomic", "parallel"):
        assert play.ran == by_job
    if kind == "atomic":
        assert play.trace == [each for name in by_job for each in (f"{name}+", f"{name}-")]
    if kind == "sequential":
        assert play.trace.index("b/s000+") > max(play.trace.index(f"a/{name}-") for name in names)
    began = [short(event.pair) for event in play.events if isinstance(event, PairBegan)]
    assert [short(each.pair) for each in result.outcomes] == by_job
    assert began == play.ran


def test_a_hundred_plain_functions_at_once_leave_no_thread():
    all_ = jobs(*(f"s{number}" for number in range(100)))
    meeting = threading.Barrier(100)
    before = threading.active_count()
    all_.add("a", "app", lambda action: meeting.wait(20))
    assert all_.run("a").ok
    assert threading.active_count() <= before + 1


def test_a_retry_needs_all_jobs_of_the_run_that_it_retries():
    first = Jobs(allow_missing=True)
    first.sites.add("s1", "app")
    for name in ("a", "b"):
        first.add(name, "app", lambda action: action.fail("no"))
    failed = first.run(["a", "b"])
    later = Jobs(first.sites, allow_missing=True)
    later.add("b", "app", lambda action: None)
    with pytest.raises(MissingJob, match="'a'"):
        later.run(retry=failed)
