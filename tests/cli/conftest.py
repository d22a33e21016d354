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

    def __init__(self, arguments: tuple[str, ...]) -> None:
        self.process = subprocess.Popen(
            [*PROGRAM, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
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
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
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
    """Runs a command in a pipe to its end."""

    def run(*arguments: str) -> Done:
        done = subprocess.run(
            [*PROGRAM, *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False,
            text=True, encoding="utf-8", timeout=WAIT_SECONDS,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """Starts a command in a pipe; killed at the end if it still runs."""
    processes: list[Process] = []

    def begin(*arguments: str) -> Process:
        processes.append(Process(arguments))
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
    """A command on a terminal of its own, with a person's keys."""

    def __init__(self, arguments: tuple[str, ...], columns: int) -> None:
        self._near, far = pty.openpty()
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

        def take_terminal() -> None:
            heed_ctrl_c()
            fcntl.ioctl(far, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [*PROGRAM, *arguments], stdin=far, stdout=far, stderr=far, start_new_session=True,
            preexec_fn=take_terminal,
            env={**os.environ},  # without what readline put into the environment behind its back
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

    def begin(*arguments: str, columns: int = 80) -> Terminal:
        open_ones.append(Terminal(arguments, columns))
        return open_ones[-1]

    yield begin
    for each in open_ones:
        each.close()
