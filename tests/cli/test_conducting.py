"""A run with somebody watching: its exit code, what it leaves behind, and how it is ended."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from meshcluster.cli.conducting import Leaving, code_of, left_behind
from tests.jobs.runs import crowd, deployment, outcome, run


@pytest.mark.parametrize(("statuses", "code"), [
    (["ok", "ok"], 0),
    (["ok", "failed", "unreachable"], 1),
    (["ok", "unreachable"], 3),
    (["lost", "skipped"], 3),
    (["ok", "skipped"], 3),
    ([], 4),
])  # fmt: skip
def test_the_exit_code_says_what_became_of_it(statuses, code) -> None:
    found = [outcome("test", f"s{at}", status, 0, 1) for at, status in enumerate(statuses)]
    assert code_of(run(*found)) == code


def test_one_that_was_interrupted_is_that_whatever_became_of_it() -> None:
    assert code_of(run(outcome("test", "a", "failed", 0, 1), interrupted=True)) == 130


def test_recap_and_reports_are_left_behind(tmp_path, capsys) -> None:
    leaving = Leaving(junit=tmp_path / "j.xml", gantt=tmp_path / "g.svg")
    assert left_behind(deployment(), leaving)
    assert "<testsuites" in (tmp_path / "j.xml").read_text()
    assert "<svg" in (tmp_path / "g.svg").read_text()
    out, err = capsys.readouterr()
    assert (out, "RECAP" in err, "\x1b" in err) == ("", True, False)


def test_who_wants_no_recap_has_none(capsys) -> None:
    assert left_behind(crowd(3), Leaving(recap=False))
    assert capsys.readouterr() == ("", "")


def test_a_report_that_cannot_be_written_is_said_and_the_others_are(tmp_path, capsys) -> None:
    leaving = Leaving(recap=False, junit=tmp_path / "no" / "j.xml", gantt=tmp_path / "g.svg")
    assert not left_behind(crowd(3), leaving)
    assert capsys.readouterr().err.endswith("j.xml: No such file or directory\n")
    assert (tmp_path / "g.svg").exists()


STUBBORN = "trap '' TERM INT HUP; echo $$ >{0}.new; mv {0}.new {0}; while :; do sleep 0.05; done"
"""It has to be killed."""


def begun(path):
    """Waits for the command to begin; its process."""
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return psutil.Process(int(path.read_text()))


@pytest.mark.process
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 3)])
def test_told_to_end_it_ends_what_runs_and_says_what_became_of_it(
    start, tmp_path, number, code
) -> None:
    process = start("run", "--local", "--", f"echo $$ >{tmp_path}/x; mv {tmp_path}/x "
                    f"{tmp_path}/pid; exec sleep 600")  # fmt: skip
    command = begun(tmp_path / "pid")
    assert process.end(number) == code
    process.rest()
    command.wait(20)
    assert "failed: run on local: interrupted" in process.err
    assert "RECAP" in process.err
    assert process.err.rstrip().endswith("interrupted")


@pytest.mark.process
def test_told_twice_it_does_not_wait_for_what_will_not_end(terminal, tmp_path) -> None:
    path = tmp_path / "pid"
    screen = terminal("run", "--local", "--", STUBBORN.format(path))
    command = begun(path)
    screen.press(b"\x03")
    screen.until("1 ending")
    screen.press(b"\x03")
    done = screen.done()
    assert done.code == 130
    assert done.out.rstrip().endswith(", interrupted\x1b[0m")
    assert "Traceback" not in done.out
    command.wait(20)


@pytest.mark.process
def test_that_nobody_reads_us_ends_what_runs_and_is_no_trouble(tmp_path) -> None:
    path = tmp_path / "pid"
    line = (
        f"{sys.executable} -m meshcluster run --local --no-recap -- "
        f"'echo $$ >{path}; exec yes' | head -1; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout == "local | y\n0\n"
    assert not psutil.pid_exists(int(path.read_text()))
