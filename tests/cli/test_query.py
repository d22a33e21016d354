"""``meshcluster query``: the answers, and who is missing and why; the exit code says the same."""

import re
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.process


@pytest.fixture
def echo(member):
    return member("--name", "echo", "--tag", "web", "--exec", "cat")


@pytest.fixture
def hanging(member, tmp_path):
    """A member that never answers; ``started`` waits until it was asked."""
    pid = tmp_path / "pid"
    script = f"echo $$ >{pid}.new; mv {pid}.new {pid}; exec sleep 60"
    process = member("--name", "hanging", "--tag", "slow", "--timeout", "60",
                     "--exec", f"sh -c '{script}'")  # fmt: skip

    def started() -> None:
        while not pid.exists():
            assert process.process.poll() is None
            time.sleep(0.01)

    process.started = started
    yield process
    if pid.exists():  # kill -9 of the member leaves it its child
        subprocess.run(["kill", "-9", pid.read_text()], stderr=subprocess.DEVNULL, check=False)


def test_in_a_pipe_each_answer_is_a_line(command, echo) -> None:
    done = command("query", "hello\tthere")
    assert (done.code, done.err) == (0, "")
    ((name, answer, milliseconds),) = done.rows
    assert (name, answer) == ("echo", "hello\\tthere")
    assert 0 < float(milliseconds) < 10_000


def test_as_json_it_is_one_document(command, echo, member) -> None:
    member("--name", "silent")
    member("--name", "failing", "--exec", "sh -c 'echo no luck >&2; exit 2'")
    member("--name", "binary", "--exec", r"printf '\377'")
    done = command("query", "hello", "--json")
    assert done.code == 3
    found = done.document
    assert found["query"] == "hello"
    assert {each["name"]: each["answer"] for each in found["answers"]} == {
        "echo": "hello", "binary": "/w==",
    }  # fmt: skip
    (error,) = found["errors"]
    assert (error["name"], error["kind"]) == ("failing", "CommandFailed")
    assert error["text"] == "exit code 2: no luck"
    (missing,) = found["missing"]
    assert missing["name"] == "silent"
    assert missing["reason"] == "it has no query hook that answers"
    for each in (*found["answers"], error):
        assert 0 < each["milliseconds"] <= found["milliseconds"]
        assert len(each["id"]) == 32


def test_a_failed_answer_is_exit_code_1(command, member) -> None:
    member("--name", "failing", "--exec", "false")
    done = command("query", "x")
    assert (done.code, done.out) == (1, "")
    assert "failing failed: CommandFailed: exit code 1\n0 of 1 answered in " in done.err


def test_somebody_who_does_not_answer_in_time_is_exit_code_3(command, echo, hanging) -> None:
    done = command("query", "x", "--timeout", "0.7")
    assert done.code == 3
    assert [row[:2] for row in done.rows] == [["echo", "x"]]
    first, second = done.err.splitlines()
    in_time = r"in (7|699)"  # milliseconds: the loop's clock has a grain
    assert re.match(f"hanging is missing: no answer {in_time}", first)
    assert re.match(f"1 of 2 answered {in_time}", second)


def test_one_that_is_killed_meanwhile_is_not_waited_for(start, echo, hanging) -> None:
    query = start("query", "x", "--timeout", "60")
    hanging.started()
    hanging.end(signal.SIGKILL)
    started = time.monotonic()
    assert query.wait() == 3
    assert time.monotonic() - started < 5
    assert query.rest()[0].startswith("echo\tx\t")
    assert "hanging is missing: crashed" in query.err


def test_nobody_who_matches_is_exit_code_4(command, echo) -> None:
    done = command("query", "x", "-r", "db")
    assert (done.code, done.out) == (4, "")
    assert "nobody has 'db'" in done.err


def test_ctrl_c_shows_what_is_there(terminal, echo, hanging) -> None:
    screen = terminal("query", "hello")
    hanging.started()
    screen.until("waiting for hanging; Ctrl-C ends")
    screen.press(b"\x03")
    done = screen.done()
    assert done.code == 130
    assert "echo  hello   " in done.out
    assert "hanging is missing: no answer in " in done.out
    assert "1 of 2 answered" in done.out
    assert "Traceback" not in done.out


def test_a_person_sees_a_table_in_which_long_answers_go_on_below(terminal, member) -> None:
    member("--name", "m", "--exec", r"printf 'one\ntwo \033[31m\nthree\n'")
    done = terminal("query", "x").done()
    header, *rows = done.out.splitlines()
    assert header.split() == ["NAME", "ANSWER", "TIME"]
    assert rows[0].startswith("m     one          ")
    assert rows[0].endswith(" ms")
    assert rows[1:3] == ["      two \\x1b[31m", "      three"]
    assert rows[3].startswith("1 of 1 answered in ")


def test_a_closed_pipe_is_no_trouble(member) -> None:
    member("--name", "a", "--exec", "head -c 300000 /dev/zero")
    line = f"{sys.executable} -m meshcluster query x | head -c 10; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("0\n")
    assert done.stderr == ""
