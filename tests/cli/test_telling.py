"""What is shown of a run: lines behind names in a pipe, objects as JSON, a panel on a terminal."""

import io
import json
import logging
import re
import sys

import pytest

from meshcluster.cli import telling
from meshcluster.cli.telling import Teller
from meshcluster.jobs.events import LineWritten, PairEnded, RunBegan
from meshcluster.jobs.outcomes import Outcome, Pair
from meshcluster.jobs.plan import Plan
from meshcluster.jobs.terms import Terms


def told(teller, *events, sites=("a", "long"), jobs=("update",)):
    resolved = dict.fromkeys(enumerate(jobs), sites)
    teller.take(RunBegan("b-1", Plan(Terms(), jobs, resolved, {}, ())))
    for event in events:
        teller.take(event)


def line(text, stream="stdout", site="a", job="update"):
    return LineWritten(Pair(0, job, site), stream, text)


def ended(status, reason="", site="a", began=0.0):
    return PairEnded(Outcome(Pair(0, "update", site), status, reason, (), began, 1.5))


def test_lines_stand_behind_the_name_of_their_site(capsys) -> None:
    told(
        Teller(json=False, verbose=False), line("one"), line("two", site="long"), line(""),
        line("reported", "report"), line("bad", "stderr"), line("$ make", "log"),
    )  # fmt: skip
    assert capsys.readouterr() == (
        "a    | one\nlong | two\na    |\na    > reported\n",
        "a    ! bad\n",
    )


def test_the_job_is_named_where_there_are_several(capsys) -> None:
    told(Teller(json=False, verbose=False), line("x"), jobs=("update", "restart"))
    assert capsys.readouterr().out == "a update     | x\n"


def test_only_what_went_wrong_is_said_at_its_end(capsys) -> None:
    told(
        Teller(json=False, verbose=False), ended("ok"), ended("skipped", "x failed", began=None),
        ended("failed", "a: exit status 3"), ended("unreachable", "a is unreachable: no route"),
    )  # fmt: skip
    assert capsys.readouterr() == (
        "", "a    = failed: exit status 3\na    = unreachable: no route\n",
    )  # fmt: skip


def test_who_wants_more_sees_commands_and_all_endings(capsys) -> None:
    told(
        Teller(json=False, verbose=True), line("$ make", "log"), ended("ok"),
        ended("skipped", "x failed", site="long", began=None),
    )  # fmt: skip
    assert capsys.readouterr().err == (
        "a    # $ make\na    = ok, 1.5 s\nlong = skipped: x failed\n"
    )


def test_what_commands_write_cannot_disturb_a_terminal(capsys) -> None:
    told(Teller(json=False, verbose=False), line("\x1b[2J\ttab\\"))
    assert capsys.readouterr().out == "a    | \\x1b[2J\ttab\\\n"


def test_a_site_that_comes_later_makes_names_wider(capsys) -> None:
    told(Teller(json=False, verbose=False), line("x", site="longest"), line("y"))
    assert capsys.readouterr().out == "longest | x\na       | y\n"


def test_as_json_each_line_and_each_end_is_an_object(capsys) -> None:
    told(Teller(json=True, verbose=False), line("one"), line("$ make", "log"), ended("failed", "x"))
    out, err = capsys.readouterr()
    first, second = map(json.loads, out.splitlines())
    assert (first.pop("time") > 0, second.pop("time") > 0, err) == (True, True, "")
    assert first == {
        "what": "line", "site": "a", "job": "update", "stream": "stdout", "text": "one",
    }  # fmt: skip
    assert second == {
        "what": "ended", "site": "a", "job": "update", "status": "failed", "reason": "x",
        "seconds": 1.5,
    }  # fmt: skip


def test_that_nobody_reads_is_kept_and_no_more_is_written(monkeypatch, capsys) -> None:
    teller = Teller(json=False, verbose=False)

    class Closed:
        def write(self, text):
            raise BrokenPipeError

        def flush(self):
            pass

    monkeypatch.setattr(sys, "stdout", Closed())
    told(teller, line("one"), ended("failed", "x"))
    assert isinstance(teller.broken, BrokenPipeError)
    assert capsys.readouterr().err == ""


def test_what_is_printed_and_logged_goes_above_the_panel(monkeypatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(telling, "is_possible", lambda: True)
    handler = logging.StreamHandler(screen)
    logging.getLogger().addHandler(handler)
    try:
        with Teller(json=False, verbose=False):
            logging.getLogger("some").warning("logged")
            print("printed", file=sys.stderr)
            print("begun", end="", file=sys.stderr)
            assert screen.getvalue() == ""
        assert screen.getvalue() == "logged\nprinted\nbegun\n"
        logging.getLogger("some").warning("later")
        assert screen.getvalue().endswith("later\n")
    finally:
        logging.getLogger().removeHandler(handler)


# --- on a terminal -----------------------------------------------------------------------------

PROGRAM = """
from meshcluster import Jobs
jobs = Jobs()
jobs.sites.add(["a", "b"], "app")

@jobs.job(roles="app")
def greet(action):
    print(f"printed in {action.site.name}\\n", end="")
    action.shell.run("echo said; echo bad >&2; while [ ! -e go ]; do sleep 0.02; done")
    if action.site.name == "b":
        action.shell.run("exit 3")
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "greet_of_tests.py").write_text(PROGRAM)
    return "greet_of_tests.py"


@pytest.mark.process
def test_on_a_terminal_what_runs_is_below_what_is_said(file, terminal, tmp_path) -> None:
    screen = terminal("jobs", file, "greet")
    screen.until("0/2 sites  2 running")
    (tmp_path / "go").touch()
    done = screen.done()
    assert done.code == 1
    assert "a | said\n" in done.out
    assert "b \x1b[33m! bad\x1b[0m\n" in done.out
    assert "printed in a\n" in done.out
    assert "a  0:01  said\n" in done.out or "a  0:01  bad\n" in done.out
    recap = done.out.rpartition("\x1b[J")[2]
    assert recap.startswith("\x1b[1m\x1b[31mfailed\x1b[0m: greet on b: 'exit 3': exit status 3\n")
    assert "RECAP" in recap


@pytest.mark.process
def test_no_color_has_a_panel_without_colors(file, terminal, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    screen = terminal("jobs", file, "greet")
    screen.until("0/2 sites  2 running")
    (tmp_path / "go").touch()
    done = screen.done()
    assert "\x1b[J" in done.out
    assert not re.search("\x1b\\[[0-9;]*m", done.out)


@pytest.mark.process
def test_a_dumb_terminal_has_lines_alone(file, terminal, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("TERM", "dumb")
    (tmp_path / "go").touch()
    done = terminal("jobs", file, "greet").done()
    assert "\x1b" not in done.out
    assert "b = failed: 'exit 3': exit status 3\n" in done.out


@pytest.mark.process
def test_what_is_read_elsewhere_goes_there(file, terminal, tmp_path) -> None:
    (tmp_path / "go").touch()
    with (tmp_path / "out").open("w") as out:
        done = terminal("jobs", file, "greet", stdout=out).done()
    assert sorted((tmp_path / "out").read_text().splitlines()) == [
        "a | said", "b | said", "printed in a", "printed in b",
    ]  # fmt: skip
    assert "said" not in done.out.replace("  said", "")
