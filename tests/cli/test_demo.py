"""The demo shows all it promises, with real processes, in under ten seconds."""

import subprocess
import sys
import time

import pytest

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


def test_members_that_cannot_join_say_why_at_once(runtime_dir) -> None:
    runtime_dir.chmod(0o755)
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "meshcluster", "demo"],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == f"Error: ada: runtime directory {runtime_dir} is open to others: " + (
        f"chmod 700 {runtime_dir}\n"
    )
    assert time.monotonic() - started < 8


def test_nothing_of_it_is_left(runtime_dir) -> None:
    subprocess.run([sys.executable, "-m", "meshcluster", "demo"], check=True, capture_output=True)
    left = [path.name for path in runtime_dir.rglob("*") if path.is_file() or path.is_socket()]
    assert len(left) <= 2, "only what the killed one could not remove, for the next to sweep"
