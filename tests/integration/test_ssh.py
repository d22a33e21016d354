"""Work behind ssh, by a real server and by a client that stands for it: what is asked is done once,
who is lost or cannot be reached is told, and nothing is left behind. The bounds of time leave ten
times the room where the promise is shorter.
"""

import sys

import pytest

import meshcluster
from meshcluster.ssh import dispatcher as dispatcher_module
from tests.waiting import until

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals"),
]

ALL = pytest.mark.parametrize("way", ["sshd", "asyncssh", "fake"], indirect=True, scope="session")


def tries(future):
    """Where it was tried, and how that ended."""
    return [(attempt.server, attempt.outcome) for attempt in future.attempts]


def status(dispatcher, name):
    """A server as its dispatcher sees it."""
    (found,) = [server for server in dispatcher.servers if server.name == name]
    return found


@ALL
def test_sd_a1_ten_futures_out_of_order(far, tmp_path, took):
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    with took("two workers started and ten tasks done in", 20):
        dispatcher = far.dispatcher("w1", "w2", max_servers=2)
        orders = [["meet", str(meeting), 2, number] for number in range(2)]
        orders += [["echo", number] for number in range(2, 10)]
        futures = [dispatcher(order) for order in orders]
        assert [future.result(20) for future in reversed(futures)] == [*range(9, -1, -1)]
    assert [server for server, _ in far.started()] == ["w1", "w2"]
    served = {(future.attempts[0].server, future.attempts[0].pid) for future in futures}
    assert sorted(served) == far.started(), "each has done some"


def test_sd_a2_the_limit_holds_and_idle_workers_are_used_again(far, tmp_path, took):
    dispatcher = far.dispatcher("w1", "w2", "w3", "w4", max_servers=3)
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    for future in [dispatcher(["meet", str(meeting), 3]) for _ in range(3)]:
        future.result(20)
    with took("six naps of 0.5 s by three workers", 5):
        futures = [dispatcher(["nap", 0.5, number]) for number in range(6)]
        assert len(far.clients) >= 3
        assert [future.result(20) for future in futures] == [*range(6)]
    assert {len(server_naps) for server_naps in by_server(futures).values()} == {2}
    with took("one more", 0.2):
        last = dispatcher(["pid"])
        pid = last.result(20)
    assert len(far.started()) == 3
    assert (last.attempts[0].server, pid) in far.started()


def by_server(futures):
    """What each server has done."""
    done = {}
    for future in futures:
        done.setdefault(future.attempts[-1].server, []).append(future)
    return done


def test_sd_a3_a_worker_is_killed_mid_task(far, took):
    dispatcher = far.warmed("w1", "w2", window=1)
    with took("five naps of 0.4 s by two workers, one of them killed", 10):
        futures = [dispatcher(["nap", 0.4, number]) for number in range(5)]
        far.worker("w1").kill()
        assert [future.result(20) for future in futures] == [*range(5)]
    (lost,) = [future for future in futures if len(future.attempts) > 1]
    assert tries(lost) == [("w1", "lost"), ("w2", "done")]
    assert lost.attempts[0].pid != lost.attempts[1].pid
    assert "before it said hello" not in lost.attempts[0].reason


def test_sd_a3_who_is_killed_rests_and_comes_back(far, tmp_path):
    dispatcher = far.warmed("w1", "w2")
    held = [dispatcher(["hold", str(tmp_path / "go"), number]) for number in range(3)]
    far.worker("w1").kill()
    until(lambda: status(dispatcher, "w1").resting > 0)
    assert status(dispatcher, "w1").workers == 0
    until(lambda: status(dispatcher, "w1").running)
    assert status(dispatcher, "w1").resting == 0
    (tmp_path / "go").touch()
    assert [future.result(20) for future in held] == [0, 1, 2]


REASONS = {"closed": "Connection refused", "dark": "timed out"}


def test_sd_a4_hosts_that_cannot_be_reached(far, took):
    dispatcher = far.dispatcher("closed", "dark", "w1", connect_timeout=2)
    futures = [dispatcher(["echo", number]) for number in range(6)]
    hopeless = far.dispatcher("closed", "dark", connect_timeout=2)
    with took("nobody can be reached, with 2 s to connect, told after", 10):
        with pytest.raises(meshcluster.NoWorkers) as caught:
            hopeless(["echo", 1]).result(20)
    assert caught.value.attempts == (), "it has run nowhere"
    assert [future.result(20) for future in futures] == [*range(6)]
    assert {tuple(tries(future)) for future in futures} == {(("w1", "done"),)}
    for name, reason in REASONS.items():
        assert reason in str(caught.value)
        for each in (dispatcher, hopeless):
            until(lambda each=each, name=name: status(each, name).why)
            assert "before it said hello" in status(each, name).why
            assert reason in status(each, name).why
    assert status(dispatcher, "w1").why == ""


@pytest.mark.parametrize("way", ["fake"], indirect=True, scope="session")
def test_sd_a4_a_host_that_can_be_reached_and_says_nothing(far, monkeypatch):
    monkeypatch.setattr(dispatcher_module, "START_MARGIN_SECONDS", 0.2)
    dispatcher = far.dispatcher("mute", "w1", connect_timeout=1)
    futures = [dispatcher(["echo", number]) for number in range(6)]
    assert [future.result(20) for future in futures] == [*range(6)]
    assert {tuple(tries(future)) for future in futures} == {(("w1", "done"),)}
    until(lambda: status(dispatcher, "mute").why)
    assert "no hello within 1.2 s" in status(dispatcher, "mute").why


def test_sd_a5_poison(far):
    dispatcher = far.warmed("w1", "w2", "w3", attempts=3)
    future = dispatcher(["die", "what a poison"])
    with pytest.raises(meshcluster.WorkerLost, match="3 workers were lost with it"):
        future.result(20)
    assert sorted(tries(future)) == [(name, "lost") for name in ("w1", "w2", "w3")]
    assert future.exception().attempts == future.attempts
    for attempt in future.attempts:
        assert attempt.reason == "ended with exit status 3"
        assert "what a poison" in attempt.stderr
    assert dispatcher(["echo", "well"]).result(20) == "well"


@ALL
def test_sd_a6_errors_are_final_and_keep_their_structure(far):
    dispatcher = far.dispatcher("w1", "w2")
    pid = dispatcher(["pid"]).result(20)
    future = dispatcher(["wrong", "x", {"code": 42}])
    with pytest.raises(ValueError, match="x") as caught:
        future.result(20)
    assert type(caught.value) is ValueError
    assert caught.value.args == ("x", {"code": 42})
    there = caught.value.__cause__
    assert isinstance(there, meshcluster.TaskRaised)
    assert "raise ValueError(*args)" in there.traceback
    assert "chores.py" in there.traceback
    assert [(attempt.outcome, attempt.pid) for attempt in future.attempts] == [("raised", pid)]
    assert dispatcher(["pid"]).result(20) == pid


@ALL
def test_sd_a7_noise(far):
    lines = []
    greets = far.server("w1")
    greets["python"] = f"echo Welcome, $USER; echo ok >&2; {greets['python']}"
    dispatcher = meshcluster.Dispatcher(
        {"w1": greets, "w2": far.server("w2")},
        ssh=far.way.ssh,
        callback="chores:do",
        on_log=lines.append,
    )
    with dispatcher:
        futures = [dispatcher(["noise", number]) for number in range(50)]
        assert [future.result(20) for future in futures] == [*range(50)]
    for number, future in enumerate(futures):
        mine = [line for line in lines if line.task == future.number]
        assert {line.server for line in mine} == {future.attempts[0].server}
        for stream, word in (("stdout", "out"), ("stderr", "err")):
            texts = [line.text for line in mine if line.stream == stream]
            assert texts == [f"{word} {number} {each}" for each in range(3)]
    assert len(lines) == 300
