"""Each action of a job on a site is called, comes to an end, and what it raised is told."""

import asyncio
import functools
import os
import re
import subprocess
import sys
import threading

import pytest

from meshcluster import Action, AsyncAction, AsyncJobs, Jobs, SiteLost, SiteUnreachable
from meshcluster.jobs import fragment as fragment_module
from meshcluster.jobs.fragment import Fragment, failure_of
from meshcluster.jobs.outcomes import Failure
from tests.jobs.play import alive, statuses
from tests.waiting import until

FOREVER_SECONDS = 60


def one(*actions, jobs=None, **options):
    """What became of a job with these actions on one site."""
    jobs = jobs or Jobs()
    jobs.sites.add("s1")
    jobs.add("a", "s1", list(actions))
    (outcome,) = jobs.run("a", **options).outcomes
    return outcome


def told(outcome):
    return [(each.fragment, each.kind, each.text) for each in outcome.failures]


# --- what may be an action ------------------------------------------------------------------------


class Deploying:
    """Something with methods."""

    def __init__(self):
        self.got = []

    def plain(self, action):
        self.got.append(type(action))

    async def awaited(self, action):
        self.got.append(type(action))


class Called(Deploying):
    """Something that is called itself."""

    func = "not that of a partial"

    def __call__(self, action):
        self.got.append(type(action))


class Awaited(Deploying):
    """Something whose call is awaited."""

    async def __call__(self, action):
        self.got.append(type(action))


def test_a_plain_function_gets_an_action_and_an_async_one_an_async_action():
    got = {}

    def plain(action, key="plain"):
        got[key] = type(action), threading.current_thread() is threading.main_thread()

    async def awaited(action, key="awaited"):
        got[key] = type(action), threading.current_thread() is threading.main_thread()

    part, parts = functools.partial(plain, key="p"), functools.partial(awaited, key="q")
    assert one(plain, awaited, part, functools.partial(parts)).status == "ok"
    assert got == {
        "plain": (Action, False),
        "awaited": (AsyncAction, True),
        "p": (Action, False),
        "q": (AsyncAction, True),
    }


def test_methods_and_objects_that_can_be_called_are_functions_too():
    made, called, awaited = Deploying(), Called(), Awaited()
    assert one(made.plain, made.awaited, called, awaited).status == "ok"
    assert sorted(map(repr, made.got)) == sorted(map(repr, (Action, AsyncAction)))
    assert called.got == [Action]
    assert awaited.got == [AsyncAction]


@pytest.mark.parametrize("value", [0, False, "text", Exception("not raised"), [1]])
def test_what_an_action_returns_is_not_looked_at(value):
    async def awaited(action):
        return value

    assert one(lambda action: value, awaited).status == "ok"


async def coroutine(action):
    pass


def generator(action):
    yield


async def async_generator(action):
    yield


@pytest.mark.parametrize("action", [lambda action: coroutine(action), generator, async_generator])
def test_an_action_that_would_do_nothing_has_failed(action):
    outcome = one(action)
    assert outcome.status == "failed"
    assert "which nobody runs" in outcome.reason


# --- what actions raise ---------------------------------------------------------------------------


class Odd(BaseException):
    """No Exception."""


ERRORS = [
    ValueError("port 80"),
    KeyError("port"),
    Odd("odd"),
    SystemExit(3),
    KeyboardInterrupt(),
    asyncio.CancelledError(),
    TimeoutError("its own"),
]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("when", ["plain", "before an await", "after an await"])
def test_whatever_an_action_raises_is_its_failure_and_the_others_go_on(error, when):
    async def awaited(action):
        if when == "after an await":
            await asyncio.sleep(0)
        raise error

    def plain(action):
        raise error

    done = []
    outcome = one(plain if when == "plain" else awaited, lambda action: done.append(1))
    text = str(error) or type(error).__name__
    assert outcome.status == "failed"
    assert told(outcome) == [(1, type(error).__name__, text)]
    assert "raise error" in outcome.failures[0].traceback
    assert re.findall(r'File ".*?(\w+\.py)"', outcome.failures[0].traceback)[0] == (
        "test_fragment.py"
    ), "what called it is ours, and tells nobody anything"
    assert done == [1]


def test_the_reason_of_an_exception_has_its_kind():
    def wrong(action):
        return {}["port"]

    assert one(wrong).reason == "KeyError: 'port'"


def test_a_plain_function_that_raises_stop_iteration_has_failed():
    def wrong(action):
        next(iter([]))

    assert one(wrong).status == "failed"


def test_of_errors_that_were_raised_together_each_is_told():
    async def both(action):
        async with asyncio.TaskGroup() as group:
            group.create_task(action.shell.run("exit 3"))
            group.create_task(action.shell.run("exit 3"))
            await asyncio.sleep(FOREVER_SECONDS)

    async def three(action):
        two = ExceptionGroup("two", [KeyError("y"), OSError("z")])
        raise ExceptionGroup("three", [ValueError("x"), two])

    assert {kind for _, kind, _ in told(one(both))} == {"CommandFailed"}
    assert told(one(three)) == [(1, "ValueError", "x"), (1, "KeyError", "'y'"), (1, "OSError", "z")]


async def test_what_is_awaited_and_was_cancelled_by_somebody_else_is_a_failure():
    """It must not look as if all were well."""

    async def wrong(action):
        waiting = asyncio.create_task(asyncio.sleep(FOREVER_SECONDS))
        waiting.cancel()
        await waiting

    jobs = AsyncJobs()
    jobs.sites.add("s1")
    jobs.add("s1", actions=wrong)
    (outcome,) = (await jobs.run("s1")).outcomes
    assert (outcome.status, outcome.reason) == ("failed", "CancelledError")


def test_a_command_that_failed_has_no_traceback():
    outcome = one(lambda action: action.shell.run("echo no; echo why >&2; exit 3"))
    (failure,) = outcome.failures
    assert (failure.kind, failure.traceback) == ("CommandFailed", "")
    assert "exit status 3: why" in outcome.reason


@pytest.mark.parametrize(("command", "code"), [("exit 3", 3), ("kill -9 $$", -9)])
def test_a_command_that_failed_has_its_status(command, code):
    outcome = one(lambda action: action.shell.run(command))
    assert [each.returncode for each in outcome.failures] == [code]
    assert one(lambda action: action.fail("no")).failures[0].returncode is None


# --- how long they may take -----------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(fragment_module, "PATIENCE_SECONDS", 0.05)


async def endless(action):
    await asyncio.sleep(FOREVER_SECONDS)


async def heedless(action):
    try:
        await asyncio.sleep(FOREVER_SECONDS)
    except asyncio.CancelledError:
        pass


async def heedless_and_held(action):
    action.hold()
    await heedless(action)


@pytest.mark.parametrize("action", [endless, heedless, heedless_and_held])
def test_an_action_that_takes_too_long_has_failed(action):
    outcome = one(action, timeout=0.05)
    assert told(outcome) == [(1, "CommandTimeout", "a took longer than 0.05 s")]
    assert outcome.status == "failed"


def test_each_action_has_its_own_time():
    outcome = one(endless, lambda action: None, endless, timeout=0.5)
    assert [number for number, _, _ in told(outcome)] == [1, 3]


def test_a_command_of_a_plain_function_that_takes_too_long_is_ended(tmp_path):
    """Its process is gone when the job has ended."""
    mark = tmp_path / "pid"
    outcome = one(lambda action: action.shell.run(f"echo $$ > {mark}; sleep 60"), timeout=1.5)
    assert told(outcome) == [(1, "CommandTimeout", "a took longer than 1.5 s")]
    until(lambda: not alive(mark), seconds=2)


def test_the_next_job_of_a_site_begins_when_that_command_has_ended(tmp_path):
    """One that takes its time when it is told to end."""
    begun, mark, seen = tmp_path / "begun", tmp_path / "ended", []
    slow = f"""
        trap 'sleep 0.3; echo > {mark}; exit 1' TERM
        echo > {begun}
        while :; do sleep 9; done
    """
    jobs = Jobs()
    jobs.sites.add("s1")
    jobs.add("a", "s1", lambda action: action.shell.run(slow))
    jobs.add("b", "s1", lambda action: seen.append((begun.exists(), mark.exists())))
    assert statuses(jobs.run(["a", "b"], timeout=1.5)) == {"a/s1": "failed", "b/s1": "ok"}
    assert seen == [(True, True)]


def test_a_stopped_function_is_told_so_at_its_next_command(impatient):
    seen, going, done = [], threading.Event(), threading.Event()

    def slow(action):
        going.wait(20)
        seen.append(action.stopped)
        try:
            action.shell.run("true")
        except Exception as error:
            seen.append(type(error).__name__)
            action.fail(error)
        done.set()

    try:
        assert one(slow, timeout=0.3).reason == "a took longer than 0.3 s"
    finally:
        going.set()
    assert done.wait(20)
    assert seen == [True, "Interrupted"]


def test_a_stopped_function_that_tells_its_stop_as_an_error_does_not_stop_the_run():
    def slow(action):
        try:
            action.shell.run("sleep 60")
        except Exception as error:
            action.fail(error)

    jobs = Jobs()
    jobs.add("b", "s1", lambda action: None)
    jobs.sites.add("s1")
    jobs.add("a", "s1", slow)
    result = jobs.run(["a", "b"], timeout=1)
    assert not result.interrupted
    assert statuses(result) == {"a/s1": "failed", "b/s1": "ok"}


def test_a_function_that_does_not_return_is_left_alone_and_the_run_ends(impatient, caplog):
    gate = threading.Event()
    try:
        assert one(lambda action: gate.wait(), timeout=0.05).status == "failed"
    finally:
        gate.set()
    assert "does not return; it is left alone" in caplog.text


BLOCKED = """
import sys, threading
from meshcluster import Jobs
from meshcluster.jobs import fragment
fragment.PATIENCE_SECONDS = 0.05
jobs = Jobs(timeout=0.05)
jobs.sites.add("s1")
jobs.add("s1", actions=lambda action: threading.Event().wait())
result = jobs.run("s1")
sys.exit(7 if result.failed else 1)
"""


@pytest.mark.process
def test_such_a_function_does_not_keep_the_process_from_ending():
    found = subprocess.run(
        [sys.executable, "-c", BLOCKED], timeout=20, capture_output=True, text=True
    )
    assert found.returncode == 7
    assert "Traceback" not in found.stderr


# --- the time of typing ---------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="needs sh")
@pytest.mark.parametrize("where", ["command", "action"])
def test_the_time_of_typing_a_password_does_not_count(tmp_path, monkeypatch, where):
    """A sudo that asks, and somebody who thinks for longer than all may take."""
    from meshcluster import Passwords

    sudo = tmp_path / "sudo"
    sudo.write_text(SUDO)
    sudo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    async def slowly(question):
        await asyncio.sleep(1.2)
        return "secret"

    jobs = Jobs(passwords=Passwords(slowly))
    mine, whole = (1.0, None) if where == "command" else (None, 1.0)
    outcome = one(
        lambda action: action.shell.sudo("echo done", timeout=mine), jobs=jobs, timeout=whole
    )
    assert (outcome.status, outcome.reason) == ("ok", "")


SUDO = """#!/bin/sh
# Asks as sudo -S -p PROMPT does, then runs the rest.
prompt=
while [ $# -gt 0 ]; do
    case $1 in
        -p) prompt=$2; shift 2 ;;
        -u) shift 2 ;;
        --) shift; break ;;
        -n) exit 1 ;;
        -*) shift ;;
        *) break ;;
    esac
done
printf %s "$prompt" >&2
IFS= read -r given
[ "$given" = secret ] || exit 1
exec "$@"
"""


# --- what the errors of a site make of its job ----------------------------------------------------


class Ended(Fragment):
    """One with these errors."""

    def __init__(self, *errors):
        self._errors = [(each, Failure(1, type(each).__name__, str(each))) for each in errors]

    @property
    def failures(self):
        return self._errors


@pytest.mark.parametrize(
    ("errors", "status", "reason"),
    [
        ([], "ok", ""),
        ([ValueError("x"), ValueError("y")], "failed", "x"),
        ([ValueError("x"), SiteUnreachable("no", "s1")], "unreachable", "no"),
        ([SiteUnreachable("no", "s1"), SiteLost("gone", "s1")], "lost", "gone"),
        ([SiteLost("gone", "s1"), ValueError("x")], "lost", "gone"),
        ([SiteLost("gone", "s2")], "failed", "gone"),
        ([SiteUnreachable("no", "s2")], "failed", "no"),
    ],
)
def test_a_site_that_was_lost_or_could_not_be_reached_is_told_as_such(errors, status, reason):
    found = failure_of([Ended(*errors)], "s1")
    assert found[:2] == (status, reason)
    assert len(found[2]) == len(errors)


# --- two Ctrl-C, and the like ---------------------------------------------------------------------


async def test_a_run_that_is_cancelled_twice_ends_its_commands_all_the_same(tmp_path):
    mark = tmp_path / "pid"
    jobs = AsyncJobs()
    jobs.sites.add("s1")
    jobs.add("s1", actions=lambda action: action.shell.run(f"echo $$ > {mark}; sleep 60"))
    task = asyncio.create_task(jobs.run("s1"))
    await asyncio.to_thread(until, lambda: mark.exists() and mark.read_text().strip())
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    until(lambda: not alive(mark), seconds=2)


def test_no_thread_is_left():
    before = threading.active_count()
    assert one(*[lambda action: None] * 8).status == "ok"
    until(lambda: threading.active_count() == before)
