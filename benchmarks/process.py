"""The parent's side: starts the members of one measurement, hears them, and ends them all."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from .task import BODY_BYTES, Task

HEAR_SECONDS = 30.0
"""A member that says nothing for so long, and what it measures, is ended: the run fails."""

END_SECONDS = 5.0
FIRST_PORT, LAST_PORT = 20_000, 29_000  # below the range that systems give out by themselves
ROOT = Path(__file__).resolve().parents[1]


class MemberFailed(Exception):
    """A member ended or fell silent in the middle of a measurement."""


class Process:
    """One member, as its parent sees it."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.members", json.dumps(asdict(task))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env=os.environ | {"MESHCLUSTER_RUNTIME_DIR": task.folder},
        )  # fmt: skip

    def hear(self) -> dict[str, float]:
        """The next figures.

        Raises:
            MemberFailed: none came.
        """
        assert self._process.stdout is not None
        timer = threading.Timer(HEAR_SECONDS + self._task.seconds, self._process.kill)
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        if not line:
            raise MemberFailed(f"{self._task.member} ({self._task.role}) ended without a word")
        figures: dict[str, float] = json.loads(line)
        return figures

    def go(self) -> None:
        """Lets it go on."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def ask_to_end(self) -> None:
        """The end of its stdin ends a member."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def end(self) -> None:
        """Waits until it has ended, a few seconds at most."""
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Crew:
    """The members of one measurement, with a folder and ports that nobody else uses."""

    def __init__(
        self, member: str, way: str, *, seconds: float = 1.0, uvloop: bool,
        body_bytes: int = BODY_BYTES,
    ) -> None:  # fmt: skip
        self._folder = tempfile.mkdtemp(prefix="mcb-", dir="/tmp" if os.name == "posix" else None)
        self._common = Task(
            member=member, role="", way=way, folder=self._folder, port=_free_port(),
            seconds=seconds, uvloop=uvloop, body_bytes=body_bytes,
        )  # fmt: skip
        self._processes: list[Process] = []

    def start(self, role: str, *, number: int = 0, count: int = 1) -> Process:
        """Starts a member; it says when it is ready."""
        told = {"role": role, "number": number, "count": count}
        process = Process(Task(**asdict(self._common) | told))
        self._processes.append(process)
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        for process in self._processes:
            process.ask_to_end()
        for process in self._processes:
            process.end()
        shutil.rmtree(self._folder, ignore_errors=True)


def _free_port() -> int:
    """A port that is free now for UDP, and with the next one for TCP."""
    while True:
        port = random.randrange(FIRST_PORT, LAST_PORT, 2)
        if all(
            _is_free(kind, number)
            for kind, number in (
                (socket.SOCK_DGRAM, port),
                (socket.SOCK_STREAM, port),
                (socket.SOCK_STREAM, port + 1),
            )
        ):
            return port


def _is_free(kind: socket.SocketKind, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
