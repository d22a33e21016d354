"""``CommandResult``: what a command has written, and how it ended."""

from __future__ import annotations

import signal as signals
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What became of one command. It is true when the command ended with status 0.

    Attributes:
        command: as it was given to the shell.
        site: where it ran.
        returncode: its exit status; the negative number of a signal that ended it.
        stdout_bytes, stderr_bytes: what was kept of what it wrote.
        truncated: it wrote more than ``limit``, so that there is less of it.
        seconds: how long it took.
    """

    command: str
    site: str
    returncode: int | None
    stdout_bytes: bytes = b""
    stderr_bytes: bytes = b""
    truncated: bool = False
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it ended with status 0."""
        return self.returncode == 0

    def __bool__(self) -> bool:
        return self.ok

    @property
    def signal(self) -> int | None:
        """The signal that ended it; None if it ended by itself."""
        return -self.returncode if self.returncode is not None and self.returncode < 0 else None

    @property
    def stdout(self) -> str:
        """What it wrote, as UTF-8; bytes that are none are shown as such."""
        return self.stdout_bytes.decode("utf-8", "backslashreplace")

    @property
    def stderr(self) -> str:
        """What it wrote to standard error."""
        return self.stderr_bytes.decode("utf-8", "backslashreplace")

    @property
    def ending(self) -> str:
        """How it ended, in a few words."""
        if self.returncode is None:
            return "did not end"
        if self.signal is None:
            return f"exit status {self.returncode}"
        try:
            return f"ended by {signals.Signals(self.signal).name}"
        except ValueError:
            return f"ended by signal {self.signal}"
