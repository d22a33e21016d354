"""``meshcluster join``: a member that shows what happens and answers with a command."""

import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import meshcluster
from meshcluster import RemoteError, Shell, Site, SiteUnreachable
from meshcluster.cli.join import REFUSED, details, refuses_other_hosts
from meshcluster.cli.options import Settings
from meshcluster.security.text import new_key

pytestmark = pytest.mark.process


@pytest.fixture
def other(member):
    """A member in this process."""
    with meshcluster.join(["here"], name="other", port=port()) as cluster:
        yield cluster


def port() -> int:
    import os

    return int(os.environ["MESHCLUSTER_PORT"])


def test_it_tells_each_thing_that_happens_as_json(member, other) -> None:
    process = member("--tag", "web", "--tag", "blue", "--name", "web-1")
    found = process.fact("discovered", name="other")
    assert found["id"] == found["service"]["id"]
    assert found["service"]["tags"] == ["here"]
    assert abs(found["time"] - time.time()) < 60
    other.wait_for_services(resolve=["web", "blue", "web-1"])
    other.tags.append("there")
    assert process.fact("changed")["service"]["tags"] == ["here", "there"]
    other.send({"n": (1, b"\xff")}, resolve="web")
    event = process.fact("event")
    assert event["data"] == {"n": [1, "/w=="]}
    assert (event["channel"], event["protocol"], event["name"]) == (0, "unix", "other")
    other.leave()
    lost = process.fact("lost")
    assert (lost["name"], lost["service"]["reason"]) == ("other", "left")
    assert process.end(signal.SIGTERM) == 0
    assert [json.loads(line)["what"] for line in process.rest()] == ["left"]
    assert process.err == ""


def test_in_a_pipe_it_writes_cells_with_tabs_between(start, other) -> None:
    process = start("join", "--name", "web-1", "-t", "web")
    stamp, what, name, text = process.line("joined").split("\t")
    assert (what, name, text) == ("joined", "web-1", "cluster 'default'  tags: web")
    assert time.strptime(stamp, "%Y-%m-%dT%H:%M:%S%z")
    other.wait_for_services(resolve="web")
    other.send("one\ttwo\n\x1b[2J", resolve="web")
    assert process.line("event").split("\t")[2:] == ["other", "one\\ttwo\\n\\x1b[2J"]
    assert process.end(signal.SIGINT) == 130


def test_without_a_command_it_shows_questions_and_answers_none(member, other) -> None:
    process = member("--name", "web-1")
    other.wait_for_services()
    query = other.query("anybody?")
    query.wait()
    assert [type(error).__name__ for error in query.errors.values()] == ["NoResponder"]
    assert process.fact("asked")["data"] == "anybody?"


def test_with_a_command_it_answers(member, other) -> None:
    process = member("--name", "web-1", "--exec", "sh -c 'read line; echo you asked \"$line\"'")
    other.wait_for_services()
    assert list(other.query("the time\n").wait().values()) == ["you asked the time"]
    fact = process.fact("answered")
    assert (fact["data"], fact["answer"]) == ("the time\n", "you asked the time")
    assert fact["milliseconds"] > 0


def test_a_command_that_fails_or_is_too_slow_is_told_to_who_asks(member, other) -> None:
    script = "read what; case $what in slow) sleep 60;; *) echo 'disk is full' >&2; exit 7;; esac"
    process = member("--timeout", "0.5", "--exec", f'sh -c "{script}"')
    other.wait_for_services()
    for question, text in (("x", "exit code 7: disk is full"), ("slow", "took longer than 0.5 s")):
        query = other.query(question + "\n")
        assert query.wait() == {}
        (error,) = query.errors.values()
        assert isinstance(error, RemoteError)
        assert error.text == text
        assert process.fact("failed")["error"] == text


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_when_it_leaves_who_waits_is_told_and_nothing_runs_on(
    member, other, tmp_path, number, code
) -> None:
    pid = tmp_path / "pid"
    process = member("--exec", f"sh -c 'echo $$ >{pid}.new; mv {pid}.new {pid}; exec sleep 60'")
    other.wait_for_services()
    query = other.query("x")
    while not pid.exists():
        assert process.process.poll() is None
    started = time.monotonic()
    assert process.end(number) == code
    assert time.monotonic() - started < 10
    query.wait()
    (error,) = query.errors.values()
    assert "the member is leaving" in str(error)
    assert subprocess.run(["kill", "-0", pid.read_text()], stderr=subprocess.DEVNULL).returncode
    what = [json.loads(line)["what"] for line in process.rest()]
    assert set(what) <= {"failed", "left", "discovered"}
    assert "left" in what


def test_meshes_of_two_names_do_not_meet(member, command) -> None:
    red = member("--cluster", "red", "--name", "r")
    member("--cluster", "blue", "--name", "b")
    assert [row[0] for row in command("members", "--cluster", "red").rows] == ["r"]
    assert [row[0] for row in command("--cluster", "blue", "members").rows] == ["b"]
    assert command("members").code == 4
    red.end(signal.SIGTERM)
    assert all('"b"' not in line for line in [*red.seen, *red.rest()])


def test_a_person_sees_lines_that_fit_and_do_no_harm(terminal, other) -> None:
    screen = terminal("join", "--name", "web-1", columns=60)
    screen.until("discovered")
    other.wait_for_services()
    other.broadcast("\x1b[2Jboo" + "x" * 200)
    screen.until("boo")
    screen.press(b"\x03")
    done = screen.done()
    assert done.code == 130
    assert "left" in done.out
    (event,) = (line for line in done.out.splitlines() if "event" in line)
    assert "\\x1b[2Jboo" in event
    assert len(event) == 60
    assert "\x1b[32mdiscovered\x1b[0m" in done.out


def test_when_nobody_reads_it_any_more_it_leaves(other) -> None:
    line = f"{sys.executable} -m meshcluster join --name web-1 | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=20)
    joined, code = done.stdout.splitlines()
    assert "joined" in joined
    assert (code, done.stderr) == ("0", "")


def shell_of(other) -> Shell:
    (service,) = other.wait_for_services()
    return Shell(Site("web-1", service=service, live=other.live()))


def test_with_leave_it_runs_commands_of_others_and_tells_which(start, other) -> None:
    process = start("join", "--name", "web-1", "--allow-commands")
    process.line("joined")
    shell = shell_of(other)
    assert shell.run("echo hi", quiet=True, cwd="/").stdout == "hi\n"
    assert process.line("ran").split("\t")[2:] == ["other", "env -C / sh -c 'echo hi'"]
    assert process.end(signal.SIGTERM) == 0
    assert process.err == ""


def test_what_it_runs_ends_when_it_leaves(member, other) -> None:
    process = member("--name", "web-1", "--allow-commands")
    shell = shell_of(other)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(shell.run, "exec sleep 60")
        fact = process.fact("ran")
        assert (fact["name"], fact["command"]) == ("other", "exec sleep 60")
        assert process.end(signal.SIGTERM) == 0
        assert type(running.exception(20)).__name__ == "SiteLost"


def test_without_leave_it_runs_none(member, other) -> None:
    member("--name", "web-1")
    with pytest.raises(SiteUnreachable, match="meshcluster join --allow-commands"):
        shell_of(other).run("true")


def test_it_says_whom_it_refuses(start, tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("MESHCLUSTER_SECRET", raising=False)
    monkeypatch.delenv("MESHCLUSTER_SECRET_FILE", raising=False)
    process = start("join", "--allow-commands", "--ttl", "1", "--no-mdns")
    process.line("joined")
    assert process.end(signal.SIGTERM) == 0
    process.rest()
    assert process.err.splitlines().count(REFUSED) == 1
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text(new_key())
    assert not refuses_other_hosts(Settings(ttl=1, secret_file=str(secret)))
    assert not refuses_other_hosts(Settings(ttl=0))
    assert refuses_other_hosts(Settings(ttl=1))
    monkeypatch.setenv("MESHCLUSTER_SECRET", "correct horse battery")
    assert not refuses_other_hosts(Settings(ttl=1))


@pytest.mark.parametrize(
    ("fact", "text"),
    [
        ({"what": "lost", "service": {"reason": "crashed"}}, "crashed"),
        ({"what": "suspect", "service": {"tags": ["a"], "address": "::1"}}, "::1  tags: a"),
        ({"what": "event", "data": b"\xff", "channel": 7}, "\\xff (channel 7)"),
        ({"what": "event", "data": [1], "channel": 0}, "[1]"),
        ({"what": "ran", "command": "uname -a"}, "uname -a"),
        (
            {"what": "answered", "data": "q", "channel": 0, "answer": "a", "milliseconds": 1.6},
            "2 ms  q -> a",
        ),
        (
            {"what": "failed", "data": "q", "channel": 3, "error": "bad", "milliseconds": 1.0},
            "1 ms  q (channel 3) -> bad",
        ),
    ],
)
def test_details(fact, text) -> None:
    assert details(fact) == text
