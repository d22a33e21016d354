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
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, cast

from .task import BODY_BYTES, Task

HEAR_SECONDS = 90.0
"""A member that says nothing for so long, and what it measures, is ended: the run fails."""

END_SECONDS = 5.0
FIRST_PORT, LAST_PORT = 20_000, 29_000  # below the range that systems give out by themselves
ROOT = Path(__file__).resolve().parents[1]


class MemberFailed(Exception):
    """A member ended or fell silent in the middle of a measurement."""


class Play(Protocol):
    """What a program is told: a dataclass."""

    @property
    def folder(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def role(self) -> str: ...


class Process:
    """One program of ours, a member of a mesh mostly, as its parent sees it."""

    def __init__(
        self, module: str, name: str, told: Play, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._silence_seconds = HEAR_SECONDS + told.seconds
        self._name = f"{name} ({told.role})"
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, json.dumps(asdict(cast(Any, told)))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**environment, "MESHCLUSTER_RUNTIME_DIR": told.folder},
        )  # fmt: skip

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def hear(self) -> dict[str, float]:
        """The next figures.

        Raises:
            MemberFailed: none came.
        """
        assert self._process.stdout is not None
        timer = threading.Timer(self._silence_seconds, self._process.kill)
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        if not line:
            raise MemberFailed(f"{self._name} ended without a word")
        figures: dict[str, float] = json.loads(line)
        return figures

    def go(self) -> None:
        """Lets it go on.

        Raises:
            MemberFailed: it has ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise MemberFailed(f"{self._name} ended early") from None

    def ask(self) -> dict[str, float]:
        """Has it look, and hears what it sees."""
        self.go()
        return self.hear()

    def ask_to_end(self) -> None:
        """The end of its stdin ends it."""
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


class Stage:
    """The programs of one measurement, which all end with it, in a folder that nobody else uses."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="mcb-", dir="/tmp" if os.name == "posix" else None)
        self._processes: list[Process] = []

    def add(self, process: Process) -> Process:
        """One more."""
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
        shutil.rmtree(self.folder, ignore_errors=True)


class Crew(Stage):
    """The members of one measurement, with ports that nobody else uses."""

    def __init__(
        self, member: str, way: str, *, seconds: float = 1.0, uvloop: bool,
        body_bytes: int = BODY_BYTES, echo: bool = True, ssh: str = "", port: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._common = Task(
            member=member, role="", way=way, folder=self.folder, port=port or free_port(),
            seconds=seconds, uvloop=uvloop, body_bytes=body_bytes, echo=echo, ssh=ssh,
        )  # fmt: skip

    def start(
        self, role: str, *, member: str = "", number: int = 0, count: int = 1, held: int = 1,
        waits: bool = False,
    ) -> Process:  # fmt: skip
        """Starts a member, of another kind if one is named; it says when it is ready. Who waits
        plays when it is told to go on: it imports what it needs while others make ready.
        """
        told = {"role": role, "number": number, "count": count, "held": held, "waits": waits}
        if member:
            told["member"] = member
        task = Task(**asdict(self._common) | told)
        return self.add(Process("benchmarks.members", task.member, task))


def free_port() -> int:
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
