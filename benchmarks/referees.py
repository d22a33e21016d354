"""Other programs that watch over their members: the referees of the part ``losses``."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.netns.host import Host
from tests.netns.sights import Sight, Sights

KINSHIP_PYTHON = "KINSHIP_PYTHON"
"""The environment variable that names a Python which has kinship; its own environment, since we
need nothing of it.
"""

PORT = 7946
KINSHIP_MEMBER = Path(__file__).parent / "members" / "kinship_member.py"
SERF_SAYS = re.compile(r"serf: EventMember(Join|Failed): (\S+)")
SERF_SEES = {"Join": "discovered", "Failed": "lost"}

Command = Callable[[int, str, str], list[str]]
"""Of a member: its number, its address with the port, that of one which is there."""

Read = Callable[[str], tuple[str, str] | None]
"""What a line of its output says that it saw, and of whom."""


class Programs:
    """A nursery (``tests/netns/crowd.py``) of programs, one process a member. A moment is that in
    which its line was read.
    """

    def __init__(self, hosts: Sequence[Host], command: Command, read: Read) -> None:
        self.sights = Sights()
        self._hosts = hosts
        self._command = command
        self._read = read
        self._running: list[tuple[subprocess.Popen[str], threading.Thread]] = []

    def start(self, numbers: Sequence[int], options: dict[str, Any]) -> list[tuple[int, int, str]]:
        """Starts members; their names are their ids."""
        return [(number, self._begin(number), f"m{number}") for number in numbers]

    def _begin(self, number: int) -> int:
        host = self._hosts[number % len(self._hosts)]
        # A seed that is not the member itself, and that is there when others are.
        seed = 1 if number == 0 else 0
        command = host.inside(*self._command(number, self._address(number), self._address(seed)))
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, env=host.environment,
        )  # fmt: skip
        thread = threading.Thread(target=self._watch, args=[process, f"m{number}"])
        thread.start()
        self._running.append((process, thread))
        return process.pid

    def _address(self, number: int) -> str:
        if len(self._hosts) == 1:
            return f"127.0.0.1:{PORT + number}"
        return f"{self._hosts[number].address}:{PORT}"

    def _watch(self, process: subprocess.Popen[str], own: str) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            seen = self._read(line)
            if seen is not None and seen[1] != own:
                what, name = seen
                self.sights.add(Sight(time.monotonic(), process.pid, what, name, name))
        process.wait()

    def ask(self, process: int, expression: str) -> Any:
        """They cannot be asked."""
        raise NotImplementedError

    def close(self) -> None:
        """Kills them all."""
        for process, _ in self._running:
            process.kill()
        for process, thread in self._running:
            thread.join()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()


def serf(hosts: Sequence[Host]) -> Programs:
    """Debian's package."""

    def command(number: int, address: str, seed: str) -> list[str]:
        words = f"serf agent -node=m{number} -bind={address} -profile=lan -log-level=info"
        return [*words.split(), f"-retry-join={seed}", "-retry-interval=1s"]

    def read(line: str) -> tuple[str, str] | None:
        found = SERF_SAYS.search(line)
        return (SERF_SEES[found[1]], found[2]) if found else None

    return Programs(hosts, command, read)


def kinship(hosts: Sequence[Host], preset: str) -> Programs:
    """With its preset for a LAN or for one host."""
    python = os.environ[KINSHIP_PYTHON]

    def command(number: int, address: str, seed: str) -> list[str]:
        return [python, str(KINSHIP_MEMBER), preset, f"m{number}", address, seed]

    def read(line: str) -> tuple[str, str] | None:
        words = line.split()
        return (words[0], words[1]) if len(words) == 2 else None

    return Programs(hosts, command, read)


def absent() -> dict[str, str]:
    """Who cannot take part here, and why."""
    why = {}
    if shutil.which("serf") is None:
        why["serf"] = "the Debian package serf is not installed"
    if KINSHIP_PYTHON not in os.environ:
        why["kinship"] = f"{KINSHIP_PYTHON} does not name a Python that has it"
    return why
