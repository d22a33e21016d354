"""What an action is given, and how it is held to its end."""

import asyncio
import re
import threading
from contextlib import suppress

import pytest

from meshcluster import AsyncJobs, ConfigError, JobError, Jobs, LineWritten, PairEnded
from tests.jobs.play import alive
from tests.waiting import until

FOREVER_SECONDS = 60


def one(*actions, watch=None, shared=None, **options):
    """What became of a job with these actions on one site."""
    jobs = Jobs()
    jobs.sites.add("s1", ["app"], colour="red")
    jobs.add("a", "app", list(actions))
    (outcome,) = jobs.run("a", watch=watch, shared=shared, **options).outcomes
    return outcome


def texts(outcome):
    return [each.text for each in outcome.failures]


# --- what it knows --------------------------------------------------------------------------------


def test_an_action_knows_where_it_is():
    seen = {}

    def look(action):
        seen[action.fragment] = action

    outcome = one(look, look, shared={"by": "hand"}, timeout=20)
    first, second = seen[1], seen[2]
    assert first.job == "a"
    assert (first.fragments, second.fragments) == (2, 2)
    assert (first.site.name, first.site["colour"]) == ("s1", "red")
    assert first.shared == {"by": "hand"}
    assert first.shared is second.shared
    assert first.options.timeout == 20
    assert first.id == f"{outcome.id}.1"
    assert second.id == f"{outcome.id}.2"
    assert first.id.startswith(first.batch + "-1-")
    assert re.fullmatch(r"[\w.-]+", first.id), "it can be the name of a file"
    assert first.issuer == f"[{first.id}] s1"
    assert repr(first) == f"<Action a [{first.id}] s1>"


def test_the_only_action_of_a_job_has_the_id_of_its_pair():
    seen = []
    outcome = one(lambda action: seen.append(action.id))
    assert seen == [outcome.id]


def test_its_site_is_a_copy():
    def change(action):
        action.site.config["colour"] = "blue"

    seen = []
    jobs = Jobs()
    jobs.sites.add("s1", colour="red")
    jobs.add("s1", actions=[change, lambda action: seen.append(action.site["colour"])])
    jobs.run("s1")
    assert seen == ["red"]
    assert jobs.sites.get("s1")["colour"] == "red"


def test_shared_is_a_dict_unless_another_thing_is_given():
    seen = []
    one(lambda action: seen.append(action.shared))
    one(lambda action: seen.append(action.shared), shared=[])
    assert seen == [{}, []]


def test_local_runs_commands_of_this_machine():
    jobs = Jobs()
    jobs.sites.add("s1", host="nowhere.invalid", ssh="false")
    seen = []
    jobs.add("s1", actions=lambda action: seen.append(action.local.run("echo here").stdout))
    assert jobs.run("s1").ok
    assert seen == ["here\n"]


# --- lines ----------------------------------------------------------------------------------------


def written(watched):
    return [(e.fragment, e.stream, e.text) for e in watched if isinstance(e, LineWritten)]


def test_reports_and_lines_of_commands_carry_their_own_fragment():
    watched = []

    def first(action):
        action.report("one\ntwo")
        action.report("")

    async def second(action):
        await action.shell.run("printf 'x\\ny'; echo z >&2", quiet=False)
        action.report(3)

    one(first, second, watch=watched.append)
    found = written(watched)
    assert [each[1:] for each in found if each[0] == 1] == [
        ("report", "one"), ("report", "two"), ("report", ""),
    ]  # fmt: skip
    of_second = [each[1:] for each in found if each[0] == 2]
    assert of_second[0][0] == "log"
    assert of_second[-1] == ("report", "3")
    assert [text for stream, text in of_second if stream == "stdout"] == ["x", "y"]
    assert [text for stream, text in of_second if stream == "stderr"] == ["z"]
    assert {e.fragments for e in watched if isinstance(e, LineWritten)} == {2}


def test_what_is_quiet_is_told_to_nobody():
    watched, got = [], []
    one(lambda action: got.append(action.shell.run("echo x", silent=True)), watch=watched.append)
    assert got[0].stdout == "x\n"
    assert [stream for _, stream, _ in written(watched) if stream != "log"] == []


def test_the_lines_of_a_plain_function_come_before_its_end():
    watched = []

    def many(action):
        for number in range(200):
            action.report(number)

    one(many, watch=watched.append)
    assert [text for _, _, text in written(watched)] == [str(number) for number in range(200)]
    at = next(at for at, event in enumerate(watched) if isinstance(event, PairEnded))
    assert not any(isinstance(event, LineWritten) for event in watched[at:])


# --- fail -----------------------------------------------------------------------------------------


def test_fail_may_be_told_often_and_none_is_none():
    after = []

    def failing(action):
        action.fail()
        action.fail(None)
        action.fail("first")
        action.fail(ValueError("second"))
        after.append(True)

    outcome = one(failing)
    assert texts(outcome) == ["first", "second"]
    assert [each.kind for each in outcome.failures] == ["JobError", "ValueError"]
    assert outcome.reason == "first"
    assert after == [True]


def test_the_result_of_a_command_is_a_failure_if_it_failed():
    def failing(action):
        action.fail(action.shell.run("exit 0", check=False))
        action.fail(action.shell.run("exit 3", check=False))

    assert texts(one(failing)) == ["'exit 3': exit status 3"]


def test_an_error_that_was_caught_and_told_has_its_traceback():
    def failing(action):
        try:
            raise ValueError("x")
        except ValueError as error:
            action.fail(error)

    (failure,) = one(failing).failures
    assert 'raise ValueError("x")' in failure.traceback


def test_none_of_it_is_no_failure():
    assert one(lambda action: action.fail()).status == "ok"


# --- holds ----------------------------------------------------------------------------------------


@pytest.fixture
def threads():
    """Begins functions on threads of their own, which end with the test."""
    begun = []

    def begin(function):
        begun.append(threading.Thread(target=function))
        begun[-1].start()

    yield begin
    for each in begun:
        each.join(20)


def test_a_plain_action_ends_when_each_hold_was_released(threads):
    order = []

    def held(action):
        first, second = action.hold(), action.hold()

        def release():
            first()
            order.append("first")
            second("no good")
            order.append("second")

        threads(release)

    outcome = one(held, watch=lambda e: order.append("end") if isinstance(e, PairEnded) else None)
    assert texts(outcome) == ["no good"]
    assert order.index("first") < order.index("end")


async def test_an_async_action_is_held_too():
    released = asyncio.Event()
    jobs = AsyncJobs()
    jobs.sites.add("s1")

    async def held(action):
        hold = action.hold()

        def release():
            released.set()
            hold()

        asyncio.get_running_loop().call_later(0.01, release)

    jobs.add("s1", actions=held)
    assert (await jobs.run("s1")).ok
    assert released.is_set()


def test_more_may_be_held_while_something_is(threads):
    def held(action):
        first = action.hold()

        def release():
            second = action.hold()
            first()
            threads(lambda: second("late, but not too late"))

        threads(release)

    assert texts(one(held)) == ["late, but not too late"]


def test_a_hold_takes_the_result_of_a_command():
    def held(action):
        action.hold()(action.shell.run("true"))
        action.hold()(action.shell.run("exit 3", check=False))

    assert texts(one(held)) == ["'exit 3': exit status 3"]


def test_a_hold_that_is_released_twice_is_an_error_and_ends_nothing_early(threads):
    gate, ended = threading.Event(), []

    def held(action):
        first, second = action.hold(), action.hold()
        first()
        first()

        def release():
            gate.wait(20)
            ended.append("second")
            second()

        threads(release)
        threading.Timer(0.05, gate.set).start()

    outcome = one(held, watch=lambda e: ended.append("end") if isinstance(e, PairEnded) else None)
    assert texts(outcome) == ["a hold was released twice"]
    assert ended == ["second", "end"]


def test_one_that_is_never_released_ends_by_the_timeout():
    outcome = one(lambda action: action.hold(), timeout=0.05)
    assert texts(outcome) == ["a took longer than 0.05 s"]


def test_who_is_held_may_still_run_commands(threads):
    """The function has returned; a thread of its goes on."""

    def held(action):
        hold = action.hold()
        threads(lambda: hold(action.shell.run("exit 4", check=False)))

    assert texts(one(held)) == ["'exit 4': exit status 4"]


# --- what comes too late --------------------------------------------------------------------------


def test_what_comes_after_the_end_raises_in_nobody_and_is_logged(caplog):
    kept = []

    def held(action):
        kept.append((action, action.hold()))

    assert one(held, timeout=0.3).status == "failed"
    action, hold = kept[0]
    hold("too late")
    hold()
    action.fail("later still")
    action.report("and this")
    with pytest.raises(JobError, match="a has ended on s1: nothing can be held"):
        action.hold()
    with pytest.raises(JobError, match="a was stopped on s1"):
        action.shell.run("true")
    assert "after the end of a: too late" in caplog.text
    assert "after the end of a: a hold was released twice" in caplog.text
    assert "after the end of a: later still" in caplog.text


async def test_what_comes_after_the_run_is_told_to_nobody():
    """The run has ended, its loop goes on."""
    kept, watched = [], []
    jobs = AsyncJobs()
    jobs.sites.add("s1")
    jobs.add("s1", actions=kept.append)
    await jobs.run("s1", watch=watched.append)
    before = len(watched)
    await asyncio.to_thread(kept[0].report, "late")
    await asyncio.to_thread(kept[0].fail, "late")
    await asyncio.sleep(0)
    assert len(watched) == before


async def test_an_error_between_the_end_of_an_action_and_that_of_the_run_is_a_line():
    kept, watched = [], []
    jobs = AsyncJobs()
    jobs.sites.add("s1")

    async def late(action):
        kept[0].fail("late")

    jobs.add("a", "s1", lambda action: kept.append(action))
    jobs.add("b", "s1", late)
    result = await jobs.run(["a", "b"], watch=watched.append)
    assert result.ok
    assert [(e.pair.job, e.stream, e.text) for e in watched if isinstance(e, LineWritten)] == [
        ("a", "log", "after the end of a: late")
    ]


def test_a_shell_of_a_plain_action_does_not_wait_in_the_loop_that_runs_it():
    """It would for ever."""
    kept, raised = [], []

    def look(event):
        if isinstance(event, LineWritten) and kept:
            try:
                kept[0].shell.run("true")
            except ConfigError as error:
                raised.append(str(error))

    def reporting(action):
        kept.append(action)
        action.report("now")

    assert one(reporting, watch=look).status == "ok"
    assert "cannot wait here" in raised[0]


def test_stopped_is_seen_by_a_function_that_looks():
    ended = threading.Event()

    def looking(action):
        until(lambda: action.stopped)
        ended.set()

    assert one(looking, timeout=0.3).status == "failed"
    assert ended.is_set()


async def test_what_a_task_of_an_async_action_runs_is_ended_with_the_action(tmp_path):
    mark, tasks, alive_then = tmp_path / "pid", [], []

    async def begin(action):
        work = action.shell.run(f"echo $$ > {mark}; sleep {FOREVER_SECONDS}")
        tasks.append(asyncio.create_task(work))
        async with asyncio.timeout(20):
            while not (mark.exists() and mark.read_text().strip()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    jobs = AsyncJobs()
    jobs.sites.add("s1")
    jobs.add("a", "s1", begin)
    jobs.add("b", "s1", lambda action: alive_then.append(alive(mark)))
    first, second = (await jobs.run(["a", "b"])).outcomes
    assert first.reason.startswith("a command still ran at the end, and was ended")
    assert (second.status, alive_then) == ("ok", [False])
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]


@pytest.mark.parametrize("what", ["run", "detached", "upload"])
async def test_what_a_task_of_an_async_action_begins_later_is_refused(tmp_path, what):
    mark, tasks = tmp_path / "late", []

    async def begin(action):
        shell = action.shell
        work = (
            shell.upload(tmp_path, str(mark))
            if what == "upload"
            else shell.run(f"touch {mark}", detach=what == "detached")
        )
        tasks.append(asyncio.create_task(work))

    jobs = AsyncJobs()
    jobs.sites.add("s1")
    jobs.add("a", "s1", begin)
    (outcome,) = (await jobs.run("a")).outcomes
    assert outcome.reason.endswith("was not awaited: nothing was done")
    with pytest.raises(JobError, match="a has ended on s1: its shells run nothing more"):
        await tasks[0]
    assert not mark.exists()


async def test_one_that_goes_on_after_its_command_was_ended_keeps_nobody_waiting():
    began, tasks = asyncio.Event(), []

    async def stubborn(action):
        began.set()
        with suppress(asyncio.CancelledError):
            await action.shell.run(f"sleep {FOREVER_SECONDS}")
        await asyncio.Event().wait()

    async def begin(action):
        tasks.append(asyncio.create_task(stubborn(action)))
        await began.wait()

    jobs = AsyncJobs()
    jobs.sites.add("s1")
    jobs.add("a", "s1", begin)
    async with asyncio.timeout(20):
        (outcome,) = (await jobs.run("a")).outcomes
    assert outcome.reason.startswith("a command still ran at the end, and was ended")
    assert not tasks[0].done()
    tasks[0].cancel()
    await asyncio.wait(tasks)


async def test_what_nobody_awaits_is_told_as_not_done(tmp_path):
    async def forget(action):
        action.shell.run(f"touch {tmp_path}/never")

    async def gather(action):
        await asyncio.gather(action.shell.run("true"), action.local.run("true"))

    jobs = AsyncJobs()
    jobs.sites.add("s1")
    jobs.add("a", "s1", forget)
    jobs.add("b", "s1", gather)
    result = await jobs.run(["a", "b"])
    assert result.of("a", "s1").reason == "AsyncShell.run was not awaited: nothing was done"
    assert result.of("b", "s1").status == "ok"
    assert not (tmp_path / "never").exists()
