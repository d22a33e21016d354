"""Jobs on sites of this machine, behind ssh and on members of a mesh: in which order they run, what
a failure ends, and that no failure is told as a success.
"""

import asyncio
import signal
import sys
import threading
import time

import psutil
import pytest

from meshcluster import (
    AsyncJobs,
    Cluster,
    Jobs,
    LineWritten,
    MissingJob,
    NoSites,
    PairBegan,
    PairEnded,
)
from meshcluster.jobs.terms import KINDS
from tests.jobs.play import Play, reasons, short, statuses
from tests.ssh.ways import FAKE, lives
from tests.waiting import until

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals"),
]


# --- sites of this machine ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "ends", "trace"),
    [
        (
            "site-sequential", "a/s2 b/s2 a/s1 b/s1",
            "a/s1+ a/s2+ a/s2- b/s2+ b/s2- a/s1- b/s1+ b/s1-",
        ),
        (
            "sequential", "a/s2 a/s1 b/s2 b/s1",
            "a/s1+ a/s2+ a/s2- a/s1- b/s1+ b/s2+ b/s2- b/s1-",
        ),
        (
            "atomic", "a/s1 a/s2 b/s1 b/s2",
            "a/s1+ a/s1- a/s2+ a/s2- b/s1+ b/s1- b/s2+ b/s2-",
        ),
        (
            "parallel", "a/s2 b/s2 a/s1 b/s1",
            "a/s1+ a/s2+ b/s1+ b/s2+ a/s2- b/s2- a/s1- b/s1-",
        ),
    ],
)  # fmt: skip
async def test_ps_a1_the_four_orders(kind, ends, trace):
    """s2 is the quicker one; each action ends when it is told to."""
    play = Play("a b", "s1 s2", schedule=kind)
    play.held = set(ends.split())
    task = play.begin()
    await play.release(*ends.split())
    assert (await task).ok
    assert " ".join(play.trace) == trace


ALL_SIX = "a/s1 a/s2 b/s1 b/s2 c/s1 c/s2"


@pytest.mark.parametrize("break_on_error", [False, True])
@pytest.mark.parametrize(
    ("kind", "broken", "reason"),
    [
        ("site-sequential", "a/s1 a/s2 b/s2 c/s2", "a failed on this site"),
        ("sequential", "a/s1 a/s2", "a failed on s1"),
        ("atomic", "a/s1", "a failed on s1"),
        ("parallel", ALL_SIX, None),
    ],
)
async def test_ps_a2_what_a_failure_ends(kind, broken, reason, break_on_error):
    play = Play("a b c", "s1 s2", schedule=kind, break_on_error=break_on_error)
    play.does["a/s1"] = ValueError("no")
    result = await play.run()
    ran = set(broken.split()) if break_on_error else set(ALL_SIX.split())
    assert set(play.ran) == ran
    assert [short(each.pair) for each in result.failed] == ["a/s1"]
    assert reasons(result, "skipped") == dict.fromkeys(set(ALL_SIX.split()) - ran, reason)
    assert len(result.outcomes) == 6
    assert not result.ok


async def fails(action):
    action.report(f"fails as {action.fragment}")
    raise ValueError(f"{action.fragment} on {action.site.name}")


async def succeeds(action):
    action.report(f"succeeds as {action.fragment}")


@pytest.mark.parametrize(
    ("actions", "bad"),
    [([fails, succeeds], [1]), ([succeeds, fails], [2]), ([fails, fails], [1, 2])],
)
async def test_ps_a3_actions_of_one_job_each_with_its_own_errors_and_lines(actions, bad):
    events = []
    jobs = AsyncJobs()
    jobs.sites.add(["s1", "s2"], "app")
    jobs.add("a", "app", actions)
    result = await jobs.run("a", watch=events.append)
    assert statuses(result) == {"a/s1": "failed", "a/s2": "failed"}
    for outcome in result.outcomes:
        assert [(each.fragment, each.text) for each in outcome.failures] == [
            (number, f"{number} on {outcome.site}") for number in bad
        ]
    lines = [event for event in events if isinstance(event, LineWritten)]
    assert len(lines) == 4
    for line in lines:
        assert line.text.endswith(f"as {line.fragment}")
        assert line.fragments == 2


def test_ps_a4_missing_and_empty():
    did = []
    jobs = Jobs()
    jobs.sites.add("s1", "app")
    jobs.add("known", "app", did.append)
    jobs.add("empty", "app")
    jobs.add("nowhere", "nobody", did.append)
    with pytest.raises(MissingJob):
        jobs.run(["known", "unknown"])
    with pytest.raises(NoSites):
        jobs.run(["known", "nowhere"], require_sites=True)
    assert did == []
    result = jobs.run(["known", "unknown"], allow_missing=True)
    assert (result.ok, result.ignored, len(did)) == (True, ("unknown",), 1)
    result = jobs.run(["empty", "nowhere"])
    assert result.ok
    assert result.warnings == ("empty has no actions", "nowhere matches no site")


async def test_ps_a5_holds(took):
    order = []

    async def held(action):
        loop = asyncio.get_running_loop()
        first, second = action.hold(), action.hold()
        loop.call_later(0.01, lambda: (order.append("first"), first()))
        loop.call_later(0.02, lambda: (order.append("second"), second("no good")))

    async def forgotten(action):
        action.hold()

    async def twice(action):
        first, second = action.hold(), action.hold()
        first()
        first()
        asyncio.get_running_loop().call_later(0.02, lambda: (order.append("twice"), second()))

    async def late(action):
        await asyncio.sleep(0)
        raise KeyError("late")

    def watch(event):
        if isinstance(event, PairEnded):
            order.append(f"end of {event.outcome.job}")

    jobs = AsyncJobs(schedule="parallel")
    jobs.sites.add("s1", "app")
    acts = {"held": held, "forgotten": forgotten, "twice": twice, "late": late, "well": succeeds}
    for name, action in acts.items():
        jobs.add(name, "app", action)
    with took("holds, one of them forgotten, with 0.2 s an action", 3):
        result = await jobs.run([*acts], timeout=0.2, watch=watch)
    assert {each.job: each.reason for each in result.outcomes} == {
        "held": "no good",
        "forgotten": "forgotten took longer than 0.2 s",
        "twice": "a hold was released twice",
        "late": "KeyError: 'late'",
        "well": "",
    }
    assert "in late" in result.of("late", "s1").failures[0].traceback
    assert order.index("first") < order.index("second") < order.index("end of held")
    assert order.index("twice") < order.index("end of twice")


async def test_ps_a9_chaining_and_shared():
    seen = []

    async def leave(action):
        seen.append(action)
        action.shared[action.site.name] = action.id

    jobs = AsyncJobs()
    jobs.sites.add(["s1", "s2"], "app")
    jobs.add("a", "app", leave)
    jobs.add("b", "app", leave)
    batch = jobs.batch(break_on_error=True)
    first = await batch.run(["a", "b"])
    second = await batch.sequential("b", roles="s2")
    assert first.batch == second.batch == batch.id
    assert (first.index, second.index) == (1, 2)
    assert statuses(second) == {"b/s2": "ok"}
    ids = [action.id for action in seen]
    assert len(set(ids)) == len(ids) == 5
    assert all(each.startswith(f"{batch.id}-") for each in ids)
    assert seen[-1].options.break_on_error, "inherited"
    (before,) = [each.id for each in seen if (each.job, each.site.name) == ("b", "s1")]
    assert batch.shared == {"s1": before, "s2": ids[-1]}


# --- behind ssh -----------------------------------------------------------------------------------


def behind(way, *names, **config):
    """Jobs whose sites are hosts behind the way."""
    jobs = Jobs()
    for name in names:
        jobs.sites.add(name, "app", host=name, ssh=list(way.ssh), **config)
    return jobs


def test_ps_a7_one_is_reached_and_two_are_not(way, took):
    jobs = behind(way, "w1", "closed", "dark", connect_timeout=2)
    jobs.add("a", "app", lambda action: action.shell.run("true"))
    with took("one reached, one closed, one dark, with 2 s to connect", 35):
        result = jobs.run("a")
    assert statuses(result) == {"a/w1": "ok", "a/closed": "unreachable", "a/dark": "unreachable"}
    assert "refused" in result.of("a", "closed").reason
    assert "exit status" not in result.of("a", "dark").reason


def test_ps_a7_a_command_that_ends_with_255_has_ended_so(way):
    jobs = behind(way, "w1")
    jobs.add("a", "app", lambda action: action.shell.run("exit 255"))
    (outcome,) = jobs.run("a").outcomes
    assert outcome.status == "failed"
    assert outcome.reason == "w1: 'exit 255': exit status 255"


@pytest.mark.parametrize("way", ["sshd"], indirect=True, scope="session")
def test_ps_a7_a_session_that_is_killed_is_lost_and_the_rest_of_that_site_skipped(way, took):
    jobs = behind(way, "w1", "w2")

    def a(action):
        if action.site.name == "w1":
            action.shell.run("echo $$; sleep 60")

    def watch(event):
        if isinstance(event, LineWritten) and event.stream == "stdout":
            sessions = way.server.sessions_of(int(event.text))
            next(each for each in sessions if "sshd" in each.name()).kill()

    jobs.add("a", "app", a)
    jobs.add("b", "app", lambda action: action.shell.run("true"))
    with took("a session killed and all the rest done", 20):
        result = jobs.run(["a", "b"], break_on_error=True, watch=watch)
    assert statuses(result) == {"a/w1": "lost", "a/w2": "ok", "b/w1": "skipped", "b/w2": "ok"}
    assert result.of("b", "w1").reason == "a was lost on this site"


@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_sites_some_of_them_behind_ssh(kind):
    """Each runs Python; a few of them run a command, by the client that stands for ssh."""
    jobs = Jobs(schedule=kind, per_host=4)
    names = [f"s{number:02}" for number in range(100)]
    jobs.sites.add(names, "app")
    jobs.sites.add(names[::25], "far", host="w1", ssh=FAKE)
    jobs.add("a", "app", [succeeds])
    jobs.add("a", "far | s01 | s02", lambda action: action.shell.run("true"))
    jobs.add("b", "app", succeeds)
    events = []
    result = jobs.run(["a", "b"], watch=events.append)
    assert result.ok, result.recap()
    assert len(result.outcomes) == 200
    began = [event.pair for event in events if isinstance(event, PairBegan)]
    assert sorted(began) == [each.pair for each in result.outcomes]


# --- Ctrl-C ---------------------------------------------------------------------------------------

INTERRUPTED = """
import json, sys
from meshcluster import Jobs, LineWritten, RunEnded

def tell(*words):
    print(json.dumps(words), flush=True)

def watch(event):
    if isinstance(event, LineWritten) and event.stream == "stdout":
        tell("pid", int(event.text))
    elif isinstance(event, RunEnded):
        result = event.result
        tell("ended", result.interrupted, [f"{e.job}/{e.site} {e.status}" for e in result.outcomes])

async def waits(action):
    await action.shell.run("echo $$; trap '' INT; sleep 60")

def blocks(action):
    action.shell.run("echo $$; trap '' INT; sleep 60")

jobs = Jobs()
jobs.sites.add(["s1", "s2"], "app")
jobs.add("a", "s1", waits)
jobs.add("a", "s2", blocks)
jobs.add("b", "app")
try:
    jobs.run(["a", "b"], watch=watch)
except KeyboardInterrupt:
    tell("KeyboardInterrupt")
    if sys.argv[1] == "raise":
        raise
"""


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_ends_what_runs_tells_all_and_is_raised(talk, times):
    program = talk(INTERRUPTED, "catch")
    pids = [program.hear() for _ in range(2)]
    commands = [psutil.Process(pid) for _, pid in pids]
    for _ in range(times):
        program.popen.send_signal(signal.SIGINT)
    ended = ["a/s1 failed", "a/s2 failed", "b/s1 skipped", "b/s2 skipped"]
    assert program.hear() == ["ended", True, ended]
    assert program.hear() == ["KeyboardInterrupt"]
    program.ends(0)
    until(lambda: not any(map(lives, commands)))


def test_a_program_that_does_not_catch_it_ends_by_the_signal(talk):
    program = talk(INTERRUPTED, "raise")
    for _ in range(2):
        program.hear()
    program.popen.send_signal(signal.SIGINT)
    assert program.popen.wait(20) in (-signal.SIGINT, 130)


# --- members of a mesh ----------------------------------------------------------------------------

MEMBER = """
import json, sys
from meshcluster import Cluster, allow_commands

cluster = Cluster()
allow_commands(cluster)
with cluster.join(["app"], port=int(sys.argv[1]), name=sys.argv[2]):
    print(json.dumps("joined"), flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def caller(beacon_port):
    """A member that has others run commands."""
    with Cluster().join(port=beacon_port, name="caller") as cluster:
        yield cluster


@pytest.fixture
def enter(talk, beacon_port, caller):
    """Has a member of that name join, in a process of its own, and waits until it is seen."""

    def enter(name):
        member = talk(MEMBER, beacon_port, name)
        assert member.hear() == "joined"
        until(lambda: name in {each.name for each in caller.live("app").services})
        return member

    return enter


@pytest.fixture
def mesh(caller):
    """Jobs on the members that are in the role "app"."""
    jobs = Jobs()
    jobs.sites.follow(caller.live("app"))
    yield jobs
    jobs.sites.close()


@pytest.mark.parametrize("how", ["plain", "async"])
def test_a_member_that_is_killed_is_lost_at_once_and_the_others_go_on(
    mesh, enter, record_property, how
):
    members = {name: enter(name) for name in ("m1", "m2")}
    killed, gate = {}, threading.Event()

    def plain(action):
        if action.site.name == "m1":
            action.shell.run("echo $$; sleep 60", timeout=50)
        else:
            gate.wait(20)
            action.shell.run("true")

    async def awaited(action):
        if action.site.name == "m1":
            await action.shell.run("echo $$; sleep 60", timeout=50)
        else:
            await asyncio.to_thread(gate.wait, 20)
            await action.shell.run("true")

    def watch(event):
        if isinstance(event, LineWritten) and event.stream == "stdout":
            killed["command"] = psutil.Process(int(event.text))
            killed["at"] = time.monotonic()
            members["m1"].popen.kill()
        elif isinstance(event, PairEnded) and event.outcome.status == "lost":
            killed["told"] = time.monotonic() - killed["at"]
            gate.set()

    mesh.add("a", "app", plain if how == "plain" else awaited)
    mesh.add("b", "app", lambda action: action.shell.run("true"))
    mesh.add("c", "app", succeeds)
    result = mesh.run(["a", "b", "c"], watch=watch)
    assert statuses(result) == {
        "a/m1": "lost", "b/m1": "skipped", "c/m1": "skipped",
        "a/m2": "ok", "b/m2": "ok", "c/m2": "ok",
    }  # fmt: skip
    assert reasons(result, "skipped") == dict.fromkeys(["b/m1", "c/m1"], "the site is lost")
    record_property("a member that was killed is told as lost after", f"{killed['told']:.3f} s")
    assert killed["told"] < 3
    until(lambda: not lives(killed["command"]))


@pytest.mark.parametrize("live", [True, False])
def test_ps_a12_live_roles(mesh, enter, live):
    """A third member joins while a runs."""
    for name in ("m1", "m2"):
        enter(name)

    def a(action):
        action.shell.run("true")
        if action.site.name == "m1":
            enter("m3")
            until(lambda: "m3" in mesh.sites)

    mesh.add("a", "app", a)
    mesh.add("b", "app", lambda action: action.shell.run("true"))
    result = mesh.sequential(["a", "b"], live=live)
    assert result.ok, result.recap()
    more = {"b/m3": "ok"} if live else {}
    assert statuses(result) == dict.fromkeys(["a/m1", "a/m2", "b/m1", "b/m2"], "ok") | more
    both = ("m1", "m2")
    assert {job: set(sites) for (_, job), sites in result.resolved.items()} == {
        "a": set(both), "b": {*both, "m3"} if live else set(both),
    }  # fmt: skip


def test_a_member_that_takes_its_leave_does_nothing_more(mesh, enter):
    leaving = enter("m1")
    enter("m2")

    def a(action):
        if action.site.name == "m1":
            leaving.say()
            leaving.popen.wait(20)
            until(lambda: "m1" not in mesh.sites)

    mesh.add("a", "app", a)
    mesh.add("b", "app", lambda action: action.shell.run("true"))
    result = mesh.run(["a", "b"])
    assert statuses(result) == {"a/m1": "ok", "a/m2": "ok", "b/m1": "skipped", "b/m2": "ok"}
    assert reasons(result, "skipped") == {"b/m1": "the site left"}
