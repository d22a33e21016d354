"""Work behind ssh whose way is cut, whose workers hang, whose caller closes, cancels or is killed,
and whose workers are members of a mesh that come and go: what is asked ends, and nothing is left.
"""

import json
import math
import sys
import threading
from concurrent.futures import CancelledError, wait

import psutil
import pytest

import meshcluster
from tests.ssh.ways import lives
from tests.waiting import until

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals"),
]

REAL = pytest.mark.parametrize("way", ["sshd"], indirect=True, scope="session")
FAKE = pytest.mark.parametrize("way", ["fake"], indirect=True, scope="session")
ALL = pytest.mark.parametrize("way", ["sshd", "asyncssh", "fake"], indirect=True, scope="session")


def tries(future):
    """Where it was tried, and how that ended."""
    return [(attempt.server, attempt.outcome) for attempt in future.attempts]


def running(dispatcher):
    """How many tasks each server has."""
    return {server.name: server.running for server in dispatcher.servers}


@REAL
def test_sd_a9_a_network_that_falls_silent(far, tmp_path, took):
    dispatcher = far.warmed("w1", "w2", keep_alive=1, ssh_options=["ServerAliveCountMax=2"])
    future = dispatcher(["hold", str(tmp_path / "go"), "held"])
    until(lambda: running(dispatcher) == {"w1": 1, "w2": 0})
    cut = far.way.server.sessions_of(far.worker("w1").pid)
    assert cut
    for session in cut:
        session.suspend()
    try:
        with took("the way there falls silent: tried elsewhere after", 40):
            until(lambda: running(dispatcher)["w2"])
        (tmp_path / "go").touch()
        assert future.result(20) == "held"
    finally:
        for session in cut:
            session.resume()
    assert tries(future) == [("w1", "lost"), ("w2", "done")]
    far.ends()


def test_sd_a9_a_worker_that_hangs_is_known_by_its_silence(far, tmp_path, took):
    dispatcher = far.warmed("w1", "w2", heartbeat=0.3)
    future = dispatcher(["hold", str(tmp_path / "go"), "held"])
    until(lambda: running(dispatcher) == {"w1": 1, "w2": 0})
    far.worker("w1").suspend()
    with took("silent, with a heartbeat of 0.3 s: tried elsewhere after", 10):
        until(lambda: running(dispatcher)["w2"])
    (tmp_path / "go").touch()
    assert future.result(20) == "held"
    assert tries(future) == [("w1", "lost"), ("w2", "done")]
    assert future.attempts[0].reason.startswith("silent for ")
    until(lambda: not far.workers("w1"))


@FAKE
def test_sd_a10_a_worker_that_hangs_is_killed_there_when_its_dispatcher_is_closed(far, tmp_path):
    """It sees no end of its input, and ssh's own end is none of its."""
    dispatcher = far.warmed("w1", heartbeat=2)
    future = dispatcher(["hold", str(tmp_path / "go")])
    until(lambda: running(dispatcher) == {"w1": 1})
    hung = far.worker("w1")
    hung.suspend()
    (slot,) = dispatcher._engine.pool.places[0].slots
    until(lambda: slot.pinged_at < math.inf)
    assert lives(hung), "it was asked, and has some time to answer"
    dispatcher.close(drain=False)
    until(lambda: not lives(hung))
    with pytest.raises(meshcluster.DispatcherClosed):
        future.result(0)


@FAKE
def test_sd_a9_a_worker_that_only_works_is_not_silent(far):
    dispatcher = far.warmed("w1", heartbeat=0.1)
    future = dispatcher(["nap", 1, "slept"])
    assert future.result(20) == "slept"
    assert tries(future) == [("w1", "done")]


def test_sd_a9_a_worker_that_hangs_is_ended_when_its_task_takes_too_long(far, took):
    dispatcher = far.warmed("w1")
    hung = far.worker("w1")
    hung.suspend()
    future = dispatcher.options(timeout=0.3, attempts=1)(["echo", 1])
    with took("hung, with a timeout of 0.3 s: told after", 10):
        with pytest.raises(meshcluster.TaskTimeout, match=r"w1: it took more than 0\.3 s"):
            future.result(20)
    assert tries(future) == [("w1", "timeout")]
    until(lambda: not lives(hung))
    assert dispatcher(["pid"]).result(20) != hung.pid


@FAKE
def test_sd_a9_a_task_that_takes_too_long_is_tried_again_where_that_is_asked_for(far, tmp_path):
    dispatcher = far.warmed("w1", "w2")
    far.worker("w1").suspend()
    terms = dispatcher.options(timeout=0.3, retry_on=meshcluster.TaskTimeout)
    future = terms(["echo", "done"])
    assert future.result(20) == "done"
    assert tries(future) == [("w1", "timeout"), ("w2", "done")]


def test_sd_a10_close_waits_for_what_runs_and_what_waits(far, took):
    dispatcher = far.warmed("w1", "w2")
    futures = [dispatcher(["nap", 0.2, number]) for number in range(6)]
    with took("closed, with six naps of 0.2 s to wait for, in", 10):
        dispatcher.close()
    assert [future.result(0) for future in futures] == [*range(6)]
    assert far.clients == set()
    until(lambda: far.workers() == [])
    dispatcher.close()
    with pytest.raises(meshcluster.DispatcherClosed):
        dispatcher(["echo", 1])


@ALL
def test_sd_a10_close_gives_up_what_runs_and_what_waits(far, tmp_path, took):
    dispatcher = far.warmed("w1", "w2")
    runs = [dispatcher(["parent", str(tmp_path / name)]) for name in ("one", "two")]
    until(lambda: (tmp_path / "one").exists() and (tmp_path / "two").exists())
    assert len(far.workers()) == 4, "each has started a process"
    waits = [dispatcher(["echo", number]) for number in range(6)]
    with took("closed, and all gone, in", 20):
        dispatcher.close(drain=False)
        assert far.clients == set()
        until(lambda: far.workers() == [])
    for future in runs:
        with pytest.raises(meshcluster.DispatcherClosed):
            future.result(0)
    assert all(future.cancelled() for future in waits)
    dispatcher.close(drain=False)
    dispatcher.close()


@FAKE
def test_sd_a10_close_gives_up_what_takes_too_long(far, took):
    dispatcher = far.warmed("w1")
    future = dispatcher(["nap", 30])
    with took("closed, with 0.2 s for what runs, in", 10):
        with pytest.raises(TimeoutError, match="they were given up"):
            dispatcher.close(timeout=0.2)
    with pytest.raises(meshcluster.DispatcherClosed):
        future.result(0)
    far.ends()


CALLER = """
import json, sys, time
import meshcluster

ssh, servers, file = map(json.loads, sys.argv[1:])
dispatcher = meshcluster.Dispatcher(servers, ssh=ssh, callback="chores:do")
chores = ["parent", "heedless"] * 4
futures = [dispatcher([chore, f"{file} {number}"]) for number, chore in enumerate(chores)]
print(json.dumps("begun"), flush=True)
time.sleep(60)
"""


@ALL
def test_sd_a10_the_caller_is_killed(far, talk, tmp_path, took):
    servers = {name: far.server(name) for name in ("w1", "w2")}
    file = str(tmp_path / "begun")
    caller = talk(CALLER, json.dumps(far.way.ssh), json.dumps(servers), json.dumps(file))
    assert caller.hear() == "begun"
    until(lambda: len([*tmp_path.glob("begun *")]) == 2)
    assert len(far.workers()) == 3, "one has started a process, one cannot be interrupted"
    clients = psutil.Process(caller.popen.pid).children()
    assert len(clients) == 2
    with took("the caller is killed: all workers, and what one started, are gone after", 20):
        caller.popen.kill()
        until(lambda: far.workers() == [])
    until(lambda: not any(map(lives, clients)))


@REAL
def test_sd_a10_a_caller_that_just_ends_leaves_nothing(far, talk, tmp_path):
    servers = {name: far.server(name) for name in ("w1", "w2")}
    file = str(tmp_path / "begun")
    script = CALLER.replace("time.sleep(60)", "sys.stdin.readline()")
    caller = talk(script, json.dumps(far.way.ssh), json.dumps(servers), json.dumps(file))
    until(lambda: len([*tmp_path.glob("begun *")]) == 2)
    clients = psutil.Process(caller.popen.pid).children()
    caller.say()
    caller.ends()
    assert not any(map(lives, clients))
    until(lambda: far.workers() == [])


@FAKE
def test_sd_a11_a_task_that_waits_and_is_cancelled_never_runs(far, tmp_path):
    dispatcher = far.warmed("w1")
    first = dispatcher(["hold", str(tmp_path / "go")])
    second = dispatcher(["told_of_cancelling", str(tmp_path)])
    assert second.cancel()
    (tmp_path / "go").touch()
    assert first.result(20) is None
    assert dispatcher(["echo", 1]).result(20) == 1
    assert second.cancelled()
    assert not (tmp_path / "begun").exists()
    with pytest.raises(CancelledError):
        second.result(0)
    assert wait([second], 0).done == {second}


def test_sd_a11_a_task_that_runs_and_is_cancelled_ends_there(far, tmp_path, took):
    dispatcher = far.warmed("w1")
    pid = dispatcher(["pid"]).result(20)
    future = dispatcher(["told_of_cancelling", str(tmp_path)])
    until((tmp_path / "begun").exists)
    assert future.running()
    with took("cancelled, and the same worker has done another, in", 10):
        assert future.cancel()
        assert future.cancelled()
        assert dispatcher(["pid"]).result(20) == pid
    assert (tmp_path / "TaskCancelled").exists(), "it was told"


def test_sd_a11_a_worker_that_does_not_heed_is_replaced(far, tmp_path, took):
    dispatcher = far.warmed("w1")
    pid = dispatcher(["pid"]).result(20)
    future = dispatcher(["heedless", str(tmp_path / "begun")])
    until((tmp_path / "begun").exists)
    with took("cancelled, and another worker has done another, in", 10):
        assert future.cancel()
        other = dispatcher(["pid"])
        assert other.result(20) != pid
    assert tries(other) == [("w1", "done")]


MEMBER = """
import json, os, sys, time
import meshcluster

port, name, *tags = sys.argv[1:]

def work(order):
    what, file = order
    print(json.dumps(["begun", what]), flush=True)
    while file and not os.path.exists(file):
        time.sleep(0.002)
    return [name, what]

cluster = meshcluster.Cluster()
cluster.expose(work, name="work")
cluster.join(tags, name=name, port=int(port))
print(json.dumps(["joined"]), flush=True)
with cluster:
    for line in sys.stdin:
        change, tag = line.split()
        getattr(cluster.tags, change)(tag)
        print(json.dumps([change]), flush=True)
"""


@pytest.fixture
def member(talk, beacon_port):
    """`member("m1", "role=worker")` starts one."""

    def member(name, *tags):
        talker = talk(MEMBER, beacon_port, name, *tags)
        assert talker.hear() == ["joined"]
        return talker

    return member


def ask_each(dispatcher, members, file, what):
    """A task that every one of these has begun, which each does until there is a file."""
    futures = [dispatcher([what, str(file)]) for _ in members]
    for each in members.values():
        assert each.hear() == ["begun", what]
    return futures


def leave(members):
    """They end, and have been asked nothing more."""
    for each in members.values():
        each.popen.stdin.close()
        each.ends()
        assert each.said.empty()


def test_sd_a12_a_member_joins_and_gets_work(member, beacon_port, tmp_path, took):
    members = {name: member(name, "role=worker") for name in ("m1", "m2")}
    member("stranger", "role=other")
    with meshcluster.join(name="caller", port=beacon_port) as cluster:
        with meshcluster.Dispatcher(cluster.live("role=worker")) as dispatcher:
            futures = ask_each(dispatcher, members, tmp_path / "go", "hold")
            members["m3"] = member("m3", "role=worker")
            with took("a third member has joined, and begins its first task after", 10):
                futures.append(dispatcher(["hold", str(tmp_path / "go")]))
                assert members["m3"].hear() == ["begun", "hold"]
            (tmp_path / "go").touch()
            assert sorted(future.result(20)[0] for future in futures) == ["m1", "m2", "m3"]
    leave(members)


def test_sd_a12_a_member_loses_its_tag_and_ends_what_it_does(member, beacon_port, tmp_path):
    members = {name: member(name, "role=worker") for name in ("m1", "m2", "m3")}
    changed = threading.Event()
    with meshcluster.join(name="caller", port=beacon_port) as cluster:
        with meshcluster.Dispatcher(cluster.live("role=worker")) as dispatcher:
            cluster.hook("service.changed")(lambda service: changed.set())  # after its own
            last = ask_each(dispatcher, members, tmp_path / "go", "last")
            members["m3"].say("remove role=worker")
            assert members["m3"].hear() == ["remove"]
            assert changed.wait(20)
            more = [dispatcher([f"more {number}", ""]) for number in range(20)]
            (tmp_path / "go").touch()
            assert sorted(future.result(20)[0] for future in last) == ["m1", "m2", "m3"]
            assert {future.result(20)[0] for future in more} <= {"m1", "m2"}
            until(lambda: len(dispatcher.servers) == 2)
            assert members["m3"].said.empty(), "it was asked nothing more"
            members["m3"].say("append role=worker")
            until(lambda: len(dispatcher.servers) == 3)
            assert members["m3"].hear() == ["append"]
    leave({"m3": members["m3"]})


def test_sd_a12_a_member_that_is_killed_is_lost_with_its_task(member, beacon_port, tmp_path):
    killed = member("m1", "role=worker")
    with meshcluster.join(name="caller", port=beacon_port) as cluster:
        with meshcluster.Dispatcher(cluster.live("role=worker")) as dispatcher:
            future = dispatcher(["it", str(tmp_path / "go")])
            assert killed.hear() == ["begun", "it"]
            other = member("m2", "role=worker")
            killed.popen.kill()
            assert other.hear() == ["begun", "it"]
            (tmp_path / "go").touch()
            assert future.result(20) == ["m2", "it"]
            assert tries(future) == [("m1", "lost"), ("m2", "done")]
    leave({"m2": other})


@REAL
def test_sd_a12_members_that_are_reached_by_ssh(far, beacon_port, tmp_path):
    """The mesh says who there is; tasks go by ssh, so members need not expose anything."""
    meeting = tmp_path / "meeting"
    meeting.mkdir()

    def via(service):
        return meshcluster.Server(name=service.name, **far.server(service.name))

    with (
        meshcluster.join(name="caller", port=beacon_port) as cluster,
        meshcluster.join(["role=worker"], name="w1", port=beacon_port),
        meshcluster.Dispatcher(
            cluster.live("role=worker"), via=via, ssh=far.way.ssh, callback="chores:do"
        ) as dispatcher,
    ):
        first = dispatcher(["pid"])
        assert first.result(20) == far.worker("w1").pid
        with meshcluster.join(["role=worker"], name="w2", port=beacon_port):
            until(lambda: len(dispatcher.servers) == 2)
            both = [dispatcher(["meet", str(meeting), 2]) for _ in range(2)]
            assert [future.result(20) for future in both] == [None, None]
            assert {future.attempts[0].server for future in both} == {"w1", "w2"}
        until(lambda: far.workers("w2") == [])
        assert dispatcher(["pid"]).result(20) == far.worker("w1").pid


def test_sd_a12_nobody_for_long(beacon_port):
    with meshcluster.join(name="caller", port=beacon_port) as cluster:
        live = cluster.live("role=worker")
        with meshcluster.Dispatcher(live, patience=0.2) as dispatcher:
            with pytest.raises(meshcluster.NoWorkers, match=r"there was no server for 0\.2 s"):
                dispatcher(["it", 0]).result(20)
