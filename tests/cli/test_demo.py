"""The demo shows all it promises, with real processes, in under ten seconds."""

import subprocess
import sys
import time

import pytest

from meshcluster.cli.demo import STEP_SECONDS

pytestmark = pytest.mark.process


def test_three_processes_meet_talk_answer_and_one_is_killed() -> None:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "meshcluster", "demo"],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    told = done.stdout
    assert done.returncode == 0, told + done.stderr
    assert told.count("joined, its sockets open") == 3
    assert "over unix" in told
    assert "over tcp" in told
    assert "has all 2 answers" in told
    assert "noticed that cleo is gone" in told
    assert "was told" in told
    assert time.monotonic() - started < 10


def test_no_color_turns_its_colours_off(terminal, monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    screen = terminal("demo")
    screen.until("joined")
    screen.press(b"\x03")
    assert "\x1b" not in screen.done().out


@pytest.mark.parametrize("spoilt", ["a file", "a folder in which nothing can be made"])
def test_what_keeps_it_from_joining_is_said_once_and_at_once(runtime_dir, monkeypatch, spoilt):
    if spoilt == "a file":
        place = runtime_dir / "file"
        place.touch()
    else:
        place = runtime_dir / ("x" * 80)  # a socket's path would be too long
    monkeypatch.setenv("MESHCLUSTER_RUNTIME_DIR", str(place))
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "meshcluster", "demo"],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert time.monotonic() - started < STEP_SECONDS
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("meshcluster: ")
    assert "MESHCLUSTER_RUNTIME_DIR" in line


def test_nothing_of_it_is_left(runtime_dir) -> None:
    subprocess.run([sys.executable, "-m", "meshcluster", "demo"], check=True, capture_output=True)
    left = {path.stem for path in runtime_dir.rglob("*") if path.is_file() or path.is_socket()}
    left.remove("host-key")  # every member's, and it stays
    assert len(left) <= 1, "only what the killed one could not remove, for the next to sweep"
