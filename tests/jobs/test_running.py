"""One run, from plan to result: what it tells, how it is stopped, and what is left of it."""

import asyncio
import os
import sys
import threading
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from meshcluster import (
    AsyncJobs,
    ConfigError,
    Interrupted,
    Jobs,
    LineWritten,
    PairBegan,
    PairEnded,
    Passwords,
    RunBegan,
    RunEnded,
    SiteLost,
)
from meshcluster.jobs.running import Running
from meshcluster.jobs.schedule import Schedule
from meshcluster.jobs.terms import KINDS
from tests.jobs.play import Play, alive, reasons, short, statuses
from tests.ssh.here import children
from tests.ssh.ways import FAKE
from tests.waiting import until

FOREVER_SECONDS = 60


async def forever(action):
    await asyncio.sleep(FOREVER_SECONDS)


# --- what it tells --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("break_on_error", [False, True])
async def test_it_tells_of_its_begin_of_each_pair_and_of_its_end(kind, break_on_error):
    play = Play("a b c", "s1 s2 s3")
    play.does["a/s2"] = ValueError("no")

    async def report(action):
        action.report("hello")

    play.does["a/s1"] = report
    result = await play.run(schedule=kind, break_on_error=break_on_error)
    first, *between, last = play.events
    assert isinstance(first, RunBegan)
    assert first.id == result.id
    assert last == RunEnded(result)
    began = [event for event in between if isinstance(event, PairBegan)]
    ended = [event.outcome for event in between if isinstance(event, PairEnded)]
    assert Counter(each.pair for each in ended) == Counter(first.plan.pairs), "each ends once"
    assert max(Counter(event.pair for event in began).values()) == 1
    for event in began:
        (outcome,) = [each for each in ended if each.pair == event.pair]
        assert outcome.id == event.id
        assert play.events.index(event) < play.events.index(PairEnded(outcome))
    assert {each.pair for each in ended if each.status == "skipped"} == {
        each.pair for each in ended
    } - {event.pair for event in began}
    assert {each.pair: each for each in ended} == {each.pair: each for each in result.outcomes}
    assert [each.pair for each in result.outcomes] == first.plan.pairs, "in the order of the plan"
    lines = [event for event in between if isinstance(event, LineWritten)]
    assert [(short(line.pair), line.text) for line in lines] == [("a/s1", "hello")]


async def test_who_watches_and_raises_disturbs_nobody(caplog):
    play = Play()
    seen = []

    def watch(event):
        seen.append(event)
        raise ValueError("not now")

    result = await play.jobs.run(play.names, watch=watch)
    assert result.ok
    assert len(seen) == 2 + 2 * 4
    (record,) = [each for each in caplog.records if "who watches" in each.getMessage()]
    assert record.exc_info, "once, with its traceback"


@pytest.mark.parametrize("watch", [forever, "print", 7])
async def test_who_watches_is_a_plain_function(watch):
    with pytest.raises(ConfigError, match="a plain function of an event"):
        await Play().jobs.run("a", watch=watch)


async def test_times_count_from_the_begin_of_the_run():
    play = Play("a b", "s1")
    play.held = {"a/s1"}
    task = play.begin()
    await play.release("a/s1")
    result = await task
    a, b = result.outcomes
    assert 0 <= a.began <= a.ended <= b.began <= b.ended <= result.seconds
    assert a.seconds == a.ended - a.began
    assert result.began > 1e9


# --- it is stopped --------------------------------------------------------------------------------


async def test_a_run_that_is_cancelled_ends_what_runs_and_tells_all():
    play = Play("a b", "s1 s2 s3")
    play.held = {"a/s1", "a/s2", "b/s3"}
    task = play.begin()
    await play.saw("b/s3+")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    result = play.events[-1].result
    assert result.interrupted
    assert not result.ok
    assert reasons(result, "failed", "skipped") == dict.fromkeys(
        ["a/s1", "a/s2", "b/s1", "b/s2", "b/s3"], "interrupted"
    )
    assert statuses(result)["a/s3"] == "ok"
    assert statuses(result)["b/s1"] == "skipped"


async def test_a_run_may_have_a_time_limit_from_outside():
    play = Play()
    play.does = {"a/s1": forever}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await play.run()
    assert isinstance(play.events[-1], RunEnded)


async def test_an_action_that_takes_no_notice_of_the_cancelling_is_waited_for():
    play = Play("a b", "s1")
    done = []

    async def heedless(action):
        try:
            await forever(action)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            done.append(1)

    play.does["a/s1"] = heedless
    task = play.begin()
    await play.saw("a/s1+")
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [1]
    assert statuses(play.events[-1].result) == {"a/s1": "failed", "b/s1": "skipped"}


async def test_interrupting_the_question_for_a_password_stops_the_run_at_once():
    """Also what other actions of the same job do."""
    play = Play("a b", "s1 s2")

    async def asked(action):
        await play.saw("a/s2+")
        raise Interrupted("interrupted at the question for the sudo password")

    play.does = {"a/s1": asked, "a/s2": forever}
    play.jobs.add("a", "s1", forever)
    result = await play.run()
    assert result.interrupted
    assert statuses(result) == {
        "a/s1": "failed", "a/s2": "failed", "b/s1": "skipped", "b/s2": "skipped",
    }  # fmt: skip
    assert [each.kind for each in result.of("a", "s1").failures] == ["Interrupted"]


async def test_a_pair_that_begins_in_that_moment_is_stopped_too():
    """An action that ends the run before the first step of others that have begun."""

    async def interrupt(action):
        raise Interrupted("no")

    play = Play("a b", "s1 s2 s3 s4", schedule="parallel")
    play.does = dict.fromkeys((f"{job}/s{n}" for job in "ab" for n in range(1, 5)), forever)
    play.does["a/s1"] = interrupt
    async with asyncio.timeout(20):
        result = await play.run()
    assert result.interrupted
    assert set(statuses(result).values()) == {"failed"}


def test_an_interrupt_at_the_provider_reaches_the_run(tmp_path, monkeypatch):
    """As Ctrl-C at the terminal does; who waits for the same answer is stopped with it."""
    fake = tmp_path / "sudo"
    fake.write_text(ASKING)
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def ask(question):
        raise Interrupted("^C")

    jobs = Jobs(passwords=Passwords(ask))
    jobs.sites.add(["s1", "s2"], "app")
    jobs.add("a", "app", lambda action: action.shell.sudo("true"))
    jobs.add("b", "app", lambda action: None)
    result = jobs.run(["a", "b"])
    assert result.interrupted
    assert statuses(result) == {
        "a/s1": "failed", "a/s2": "failed", "b/s1": "skipped", "b/s2": "skipped",
    }  # fmt: skip


def test_one_who_gives_up_at_the_question_interrupts_nobody_else(tmp_path, monkeypatch):
    fake = tmp_path / "sudo"
    fake.write_text(
        ASKING.replace("exit 1", 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"')
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    asked, gave_up = threading.Event(), threading.Event()

    def ask(question):
        asked.set()
        assert gave_up.wait(20)
        return "secret"

    async def act(action):
        if action.site.name != "s1":
            await asyncio.to_thread(asked.wait, 20)
            await action.shell.sudo("true")
            return
        work = asyncio.create_task(action.shell.sudo("true"))
        await asyncio.to_thread(asked.wait, 20)
        async with asyncio.timeout(20):
            while len(passwords._asked.waiting) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        work.cancel()
        await asyncio.wait([work])
        gave_up.set()

    passwords = Passwords(ask)
    jobs = Jobs(passwords=passwords)
    jobs.sites.add(["s1", "s2", "s3"], "app")
    jobs.add("a", "app", act)
    jobs.add("b", "app", lambda action: None)
    result = jobs.run(["a", "b"])
    assert (result.ok, result.interrupted) == (True, False)


ASKING = """#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in -p) printf %s "$2" >&2; read -r answer; exit 1 ;; esac
    shift
done
"""


async def test_cancel_running_stops_what_runs_elsewhere():
    play = Play("a b", "s1 s2", schedule="sequential", break_on_error=True, cancel_running=True)
    play.does = {"a/s1": ValueError("no"), "a/s2": forever}
    result = await play.run()
    assert not result.interrupted
    assert reasons(result, "failed") == {
        "a/s1": "ValueError: no", "a/s2": "stopped, for others failed",
    }  # fmt: skip
    assert reasons(result, "skipped") == dict.fromkeys(["b/s1", "b/s2"], "a failed on s1")


# --- sites come and go ----------------------------------------------------------------------------


async def test_a_site_that_is_removed_ends_what_it_does_and_begins_nothing():
    play = Play("a b", "s1 s2")
    play.held = {"a/s1", "a/s2"}
    task = play.begin()
    await play.saw("a/s1+", "a/s2+")
    play.jobs.sites.remove("s1")
    await play.release("a/s2", "a/s1")
    result = await task
    assert statuses(result) == {"a/s1": "ok", "a/s2": "ok", "b/s1": "skipped", "b/s2": "ok"}
    assert reasons(result, "skipped") == {"b/s1": "the site left"}


async def test_a_site_that_is_added_while_it_runs_has_no_part_in_it():
    play = Play("a b", "s1", schedule="sequential")
    play.held = {"a/s1"}
    task = play.begin()
    await play.saw("a/s1+")
    play.jobs.sites.add("s2", "app")
    await play.release("a/s1")
    assert statuses(await task) == {"a/s1": "ok", "b/s1": "ok"}


async def test_in_a_live_run_it_has():
    play = Play("a b", "s1", schedule="sequential", live=True)
    play.held = {"a/s1"}
    task = play.begin()
    await play.saw("a/s1+")
    play.jobs.sites.add("s2", "app")
    await play.release("a/s1")
    result = await task
    assert statuses(result) == {"a/s1": "ok", "b/s1": "ok", "b/s2": "ok"}
    assert result.resolved == {(0, "a"): ("s1",), (1, "b"): ("s1", "s2")}


async def test_a_site_that_lost_its_role_does_what_was_planned():
    """It must not be told as ok with nothing done."""
    play = Play("a b", "s1")
    play.held = {"a/s1"}
    did = []

    async def b(action):
        did.append(action.site.name)

    play.does["b/s1"] = b
    task = play.begin()
    await play.saw("a/s1+")
    play.jobs.sites.discard_roles("s1", "app")
    await play.release("a/s1")
    assert (await task).ok
    assert did == ["s1"]


async def test_in_a_live_run_it_is_skipped():
    play = Play("a b", "s1", live=True)
    play.held = {"a/s1"}
    task = play.begin()
    await play.saw("a/s1+")
    play.jobs.sites.discard_roles("s1", "app")
    await play.release("a/s1")
    assert reasons(await task, "skipped") == {"b/s1": "the site no longer has a role of b"}


async def test_what_was_planned_stays_though_actions_are_added():
    play = Play("a b", "s1")
    play.held = {"a/s1"}
    task = play.begin()
    await play.saw("a/s1+")
    play.jobs.add("b", "app", forever)
    await play.release("a/s1")
    assert (await task).ok


async def test_a_site_whose_config_is_changed_has_the_new_one():
    play = Play("a b", "s1")
    play.held = {"a/s1"}
    seen = []

    async def b(action):
        seen.append(action.site["colour"])

    play.does["b/s1"] = b
    task = play.begin()
    await play.saw("a/s1+")
    play.jobs.sites.add("s1", colour="blue")
    await play.release("a/s1")
    await task
    assert seen == ["blue"]


async def test_a_site_that_goes_in_the_moment_its_job_begins_has_not_done_it():
    play = Play("a b", "s1")

    def watch(event):
        play.watch(event)
        if isinstance(event, PairBegan):
            play.jobs.sites.remove("s1")

    result = await play.jobs.run(play.names, watch=watch)
    assert statuses(result) == {"a/s1": "unreachable", "b/s1": "skipped"}
    assert reasons(result, "unreachable", "skipped") == dict.fromkeys(
        ["a/s1", "b/s1"], "the site left"
    )


async def test_a_lost_site_ends_its_job_at_once(monkeypatch):
    play = Play("a b", "s1 s2", break_on_error=True)
    play.does = {"a/s1": forever}
    task = play.begin()
    await play.saw("b/s2-")
    sites = play.jobs.sites
    monkeypatch.setattr(type(sites), "fate", lambda self, name: "lost" if name == "s1" else "")
    sites.remove("s1")
    result = await task
    assert statuses(result) == {"a/s1": "lost", "a/s2": "ok", "b/s1": "skipped", "b/s2": "ok"}
    assert reasons(result, "lost", "skipped") == {
        "a/s1": "the site is lost", "b/s1": "a was lost on this site",
    }  # fmt: skip


async def test_a_member_that_a_command_knows_to_be_gone_begins_nothing_more(monkeypatch):
    """The command knows it a moment before the sites do."""
    play = Play("a b", "s1")
    gone, get = [], type(play.jobs.sites).get

    def moment(sites, name):
        service = SimpleNamespace(state="gone", host="") if gone else None
        return replace(get(sites, name), service=service)

    async def lose(action):
        monkeypatch.setattr(type(play.jobs.sites), "get", moment)
        gone.append(action.site.name)
        raise SiteLost("s1 was lost", "s1")

    play.does["a/s1"] = lose
    result = await play.run()
    assert statuses(result) == {"a/s1": "lost", "b/s1": "skipped"}
    assert reasons(result, "skipped") == {"b/s1": "the site is lost"}


@pytest.mark.parametrize("end", ["done", "cancelled", "raised"])
async def test_nobody_watches_the_sites_when_it_has_ended(end, monkeypatch):
    play = Play("a", "s1 s2")
    task = play.begin()
    if end == "cancelled":
        play.held = {"a/s1"}
        await play.saw("a/s1+")
        assert len(play.jobs.sites._watchers) == 1
        task.cancel()
    elif end == "raised":
        monkeypatch.setattr(Schedule, "skipped", lambda self: 1 / 0)
    await asyncio.wait([task], timeout=20)
    assert task.done()
    assert play.jobs.sites._watchers == {}
    assert task.cancelled() or bool(task.exception()) == (end == "raised")


async def test_an_error_of_our_own_leaves_nothing_running(monkeypatch):
    """Whatever it is: the run ends."""
    ended = []

    async def act(action):
        try:
            await forever(action)
        finally:
            ended.append(action.site.name)

    play = Play("a", "s1 s2 s3")
    play.does = {f"a/s{n}": act for n in (1, 2, 3)}
    task = play.begin()
    await play.saw("a/s3+")
    await asyncio.sleep(0)
    monkeypatch.setattr(Running, "_stop_lost", lambda self: 1 / 0)
    play.jobs.sites.add("s4")
    with pytest.raises(ZeroDivisionError):
        await task
    assert sorted(ended) == ["s1", "s2", "s3"]


# --- with real shells -----------------------------------------------------------------------------

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs sh")
DETACHED = "echo $$ > {mark}; trap '' HUP; sleep 60"


def written(path):
    return path.exists() and path.read_text().strip() != ""


@POSIX
@pytest.mark.parametrize("how", ["plain", "async"])
def test_what_is_detached_outlives_its_action_and_not_the_run(tmp_path, how):
    mark, seen = tmp_path / "pid", []

    def plain(action):
        action.shell.run(DETACHED.format(mark=mark), detach=True)

    async def awaited(action):
        await action.shell.run(DETACHED.format(mark=mark), detach=True)

    def look(action):
        until(lambda: written(mark))
        seen.append(alive(mark))

    jobs = Jobs()
    jobs.sites.add("s1")
    jobs.add("a", "s1", plain if how == "plain" else awaited)
    jobs.add("b", "s1", look)
    assert jobs.run(["a", "b"]).ok
    assert seen == [True]
    until(lambda: not alive(mark), seconds=2)


@POSIX
def test_what_is_detached_and_fails_is_logged(caplog, tmp_path):
    mark = tmp_path / "done"
    jobs = Jobs()
    jobs.sites.add("s1")

    def begin(action):
        action.shell.run(f"echo > {mark}.tmp; mv {mark}.tmp {mark}; exit 3", detach=True)
        until(lambda: "exit status 3" in caplog.text)

    jobs.add("s1", actions=begin)
    assert jobs.run("s1").ok
    assert "what was detached: s1: " in caplog.text


@POSIX
async def test_a_run_is_stopped_while_plain_functions_run_commands(tmp_path):
    before, marks = children(), [tmp_path / f"s{n}" for n in range(4)]
    jobs = AsyncJobs()
    jobs.sites.add([f"s{n}" for n in range(4)], "app")
    raised, events = [], []

    def act(action):
        try:
            action.shell.run(f"echo $$ > {tmp_path / action.site.name}; sleep 60")
        except Interrupted as error:
            raised.append(str(error))
            raise

    jobs.add("a", "app", act)
    task = asyncio.create_task(jobs.run("a", watch=events.append))
    await asyncio.to_thread(until, lambda: all(map(written, marks)))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(raised) == [f"a was stopped on s{n}" for n in range(4)]
    until(lambda: not any(map(alive, marks)), seconds=2)
    assert children() <= before
    assert set(statuses(events[-1].result).values()) == {"failed"}


@POSIX
@pytest.mark.parametrize(
    ("options", "most"), [({"max_parallel": 3}, 3), ({"per_host": 2}, 4), ({}, 8)]
)
def test_no_more_commands_run_at_once_than_may(tmp_path, options, most):
    """Eight sites on two hosts; each command waits until as many as may are there."""
    jobs = Jobs(timeout=30)
    for number in range(8):
        jobs.sites.add(f"s{number}", "app", host=f"h{number % 2}", ssh=FAKE)
    meeting = f"""
        cd {tmp_path}; echo > in-$$
        while [ $(ls in-* | wc -l) -lt {most} ] && [ ! -e met ]; do sleep 0.01; done
        echo > met; ls in-* | wc -l; [ -e left-$$ ]; rm in-$$; exit 0
    """
    found = []
    jobs.add("a", "app", lambda action: found.append(int(action.shell.run(meeting).stdout)))
    result = jobs.run("a", **options)
    assert result.ok, result.recap()
    assert len(found) == 8
    assert max(found) == most


@POSIX
def test_two_runs_at_once_on_one_jobs_know_nothing_of_each_other():
    jobs = Jobs()
    jobs.sites.add(["s1", "s2"], "app")
    meeting = threading.Barrier(4)
    shared = []

    def act(action):
        meeting.wait(20)
        shared.append((action.batch, id(action.shared)))
        action.shell.run("true")

    jobs.add("a", "app", act)
    results = []
    runs = [threading.Thread(target=lambda: results.append(jobs.run("a"))) for _ in range(2)]
    for each in runs:
        each.start()
    for each in runs:
        each.join(30)
    assert [result.ok for result in results] == [True, True]
    assert len({result.id for result in results}) == 2
    assert len(set(shared)) == 2


async def test_two_runs_at_once_in_one_loop():
    play = Play()
    play.held = {"a/s1", "a/s2"}
    other = Play()
    first, second = play.begin(), asyncio.create_task(play.jobs.run(["b"], watch=other.watch))
    assert (await second).ok
    assert other.ran == ["b/s1", "b/s2"]
    assert not first.done()
    await play.release("a/s1", "a/s2")
    assert (await first).ok
