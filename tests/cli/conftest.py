"""The command as its users run it: members in processes, commands in others, on a real terminal."""

import fcntl
import json
import os
import pty
import queue
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

WAIT_SECONDS = 20.0
PROGRAM = [sys.executable, "-m", "meshcluster"]


class Done(NamedTuple):
    """What a command that has ended wrote, and its exit code; on a terminal all is ``out``."""

    code: int
    out: str
    err: str = ""

    @property
    def rows(self) -> list[list[str]]:
        """The cells of what was written to a pipe."""
        return [line.split("\t") for line in self.out.splitlines()]

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def heed_ctrl_c() -> None:
    """Whoever runs the tests in the background may have it ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Process:
    """A command that runs: its lines as they come, and the ways to end it."""

    def __init__(self, arguments: tuple[str, ...], given: Any) -> None:
        self.process = subprocess.Popen(
            [*PROGRAM, *arguments], stdin=given, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, encoding="utf-8", preexec_fn=heed_ctrl_c,
        )  # fmt: skip
        self.lines: queue.Queue[str] = queue.Queue()
        self.seen: list[str] = []
        self._err: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.lines.put)),
            threading.Thread(target=self._read, args=(self.process.stderr, self._err.append)),
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream: Any, put: Callable[[str], None]) -> None:
        for line in stream:
            put(line.removesuffix("\n"))

    @property
    def err(self) -> str:
        return "\n".join(self._err)

    def line(self, *words: str) -> str:
        """The next line that has all these words."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"no line with {words} among {self.seen}; stderr: {self._err}")
            self.seen.append(line)
            if all(word in line for word in words):
                return line

    def fact(self, what: str, **wanted: Any) -> Any:
        """The next JSON object of that kind."""
        while True:
            fact = json.loads(self.line(f'"what": "{what}"'))
            if wanted.items() <= fact.items():
                return fact

    def end(self, number: int) -> int:
        """Sends a signal; returns the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        return self.process.wait(WAIT_SECONDS)

    def rest(self) -> list[str]:
        """All lines that have not been asked for; it must have ended."""
        for reader in self._readers:
            reader.join(WAIT_SECONDS)
        lines = []
        while not self.lines.empty():
            lines.append(self.lines.get())
        return lines

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.rest()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture(autouse=True)
def mesh_of_its_own(beacon_port, monkeypatch) -> None:
    """Nobody else's members, no settings of whoever runs the tests."""
    for name in ("CLUSTER", "TTL", "TIMEOUT"):
        monkeypatch.delenv(f"MESHCLUSTER_{name}", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("MESHCLUSTER_PORT", str(beacon_port))
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def command() -> Callable[..., Done]:
    """Runs a command in a pipe to its end; ``given`` is its input."""

    def run(*arguments: str, given: bytes = b"") -> Done:
        done = subprocess.run(
            [*PROGRAM, *arguments], input=given, capture_output=True, check=False,
            timeout=WAIT_SECONDS,
        )  # fmt: skip
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """Starts a command in a pipe, which reads ``given``; killed at the end if it still runs."""
    processes: list[Process] = []

    def begin(*arguments: str, given: Any = subprocess.DEVNULL) -> Process:
        processes.append(Process(arguments, given))
        return processes[-1]

    yield begin
    for process in processes:
        process.close()


@pytest.fixture
def member(start) -> Callable[..., Process]:
    """Starts ``meshcluster join --json`` and waits until it has joined."""

    def join(*arguments: str) -> Process:
        process = start("join", "--json", *arguments)
        process.fact("joined")
        return process

    return join


class Terminal:
    """A command on a terminal of its own, with a person's keys. What it reads and writes instead
    is given by ``files``.
    """

    def __init__(self, arguments: tuple[str, ...], columns: int, **files: Any) -> None:
        self._near, far = pty.openpty()
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

        def take_terminal() -> None:
            heed_ctrl_c()
            fcntl.ioctl(far, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [*PROGRAM, *arguments], start_new_session=True, preexec_fn=take_terminal,
            env={**os.environ},  # without what readline put into the environment behind its back
            **{"stdin": far, "stdout": far, "stderr": far, **files},
        )  # fmt: skip
        os.close(far)
        self.text = ""

    def until(self, text: str) -> None:
        """Reads until that was written."""
        while text not in self.text:
            assert self._read(), f"no {text!r} in {self.text!r}"

    def _read(self) -> bool:
        try:
            piece = os.read(self._near, 65536)
        except OSError:  # the other end is closed
            return False
        self.text += piece.decode().replace("\r\n", "\n")
        return bool(piece)

    def press(self, keys: bytes) -> None:
        os.write(self._near, keys)

    def done(self) -> Done:
        """Reads to the end."""
        while self._read():
            pass
        return Done(self.process.wait(WAIT_SECONDS), self.text)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._near)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    """Starts a command on a terminal that is ``columns`` wide."""
    open_ones: list[Terminal] = []

    def begin(*arguments: str, columns: int = 80, **files: Any) -> Terminal:
        open_ones.append(Terminal(arguments, columns, **files))
        return open_ones[-1]

    yield begin
    for each in open_ones:
        each.close()


JOBS = """
import os, time

def double(x):
    return x * 2

def root(x):
    if x < 0:
        raise ValueError(f"{x} has none")
    return int(x ** 0.5)

def say(x):
    print("now", x)
    return x

def die_of_3(x):
    if x == 3:
        os._exit(9)
    return x

def same_as(x):
    cycle = [x]
    cycle.append(cycle)
    return cycle

def wait_for(name):
    open(f"{name}-begun", "w").write(str(os.getpid()))
    while not os.path.exists(name):
        time.sleep(0.01)
    return name

def late_after_soon(name):
    if name == "late":
        wait_for("soon-is-done")
    else:
        open("soon-is-done", "w").close()
    return name
"""


@pytest.fixture
def jobs(tmp_path, monkeypatch) -> str:
    """A module in the directory where commands are run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "jobs_of_tests.py").write_text(JOBS)
    return "jobs_of_tests"


@pytest.fixture
def client(tmp_path) -> str:
    """An ssh client that finds each host here, with nothing installed; but not one called down."""
    script = tmp_path / "client"
    script.write_text("""#!/bin/sh
while [ "$1" != -- ]; do shift; done
if [ "$2" = down ]; then echo "ssh: no route to down" >&2; exit 255; fi
shift 2
cd / && unset PYTHONPATH && sh -c "$*"
""")
    script.chmod(0o755)
    return str(script)
