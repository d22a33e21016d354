"""``Hearing``: listens to one command; what is kept of it, shown of it, and answered to sudo."""

from __future__ import annotations

import io
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..lettering import harmless
from .capture import Capture
from .limit import Limit
from .process import Script
from .result import CommandResult

if TYPE_CHECKING:
    from .passwords import Tries
    from .site import Site

SEEN = "\n\t"
"""Of commands in the log; all else that cannot be seen is written out."""


class Told:
    """Where the output of a shell's commands is shown. Each may be anything with ``write``, of
    bytes or of text; None: this process's own. ``log`` None: nowhere.
    """

    def __init__(self, stdout: Any = None, stderr: Any = None, log: Any = None) -> None:
        for name, stream in (("stdout", stdout), ("stderr", stderr), ("log", log)):
            if stream is not None and not hasattr(stream, "write"):
                raise ConfigError(f"{name}={stream!r:.80}: something with write")
        self._streams = {"stdout": stdout, "stderr": stderr}
        self._log = log

    def one(self) -> Told:
        """That for one command, which is ended."""
        return self

    def end(self) -> None:
        """The command shows nothing more."""

    def asking(self) -> AbstractContextManager[object]:
        """Meanwhile somebody is asked for a password."""
        return nullcontext()

    def show(self, site: Site, stream: str, data: bytes) -> None:
        """What a command has written."""
        where = self._streams[stream]
        _write(where if where is not None else getattr(sys, stream), data)

    def note(self, site: Site, text: str) -> None:
        """What is said about a command."""
        if self._log is not None:
            line = f"{site.name}: {harmless(text, keep=SEEN)}\n"
            _write(self._log, line.encode("utf-8", "surrogateescape"))


def _write(stream: Any, data: bytes) -> None:
    if stream is None:  # a process without
        return
    binary = getattr(stream, "buffer", None)
    if binary is not None:
        stream.flush()
        binary.write(data)
        binary.flush()
    elif isinstance(stream, io.TextIOBase):
        stream.write(data.decode("utf-8", "backslashreplace"))
    else:
        stream.write(data)


class Hearing:
    """Listens to one command."""

    def __init__(
        self, site: Site, told: Told, script: Script, limit: int, tail: bool, quiet: bool,
        silent: bool, tries: Tries | None = None,
    ) -> None:  # fmt: skip
        if type(limit) is not int or limit < 0:
            raise ConfigError(f"limit={limit!r}: bytes, 0 or more")
        self._site = site
        self._told = told.one()
        self._command = script.command
        self._captures = {name: Capture(limit, tail=tail) for name in ("stdout", "stderr")}
        self._hidden = {"stdout": quiet or silent, "stderr": silent}
        self._tries = tries
        self.limit = Limit(None)
        """How long the command may take; it stands still while somebody is asked."""
        self._held: dict[str, bytes] = {}
        self._began = time.monotonic()
        self._seconds: float | None = None

    def began(self) -> None:
        """See ``Listener``."""
        self._began = time.monotonic()

    async def wrote(self, stream: str, data: bytes) -> None:
        """See ``Listener``."""
        self._captures[stream].take(data)
        if self._hidden[stream]:
            return
        data = self._held.pop(stream, b"") + data
        if broken := _broken(data):
            self._held[stream] = data[-broken:]
            data = data[:-broken]
        if data:
            self._told.show(self._site, stream, data)

    async def password(self) -> str:
        """See ``Listener``."""
        assert self._tries is not None
        with self._told.asking(), self.limit.paused():
            return await self._tries.next()

    def refused(self) -> None:
        """sudo was not content with what it was given at last."""
        if self._tries is not None:
            self._tries.refused()

    def end(self) -> None:
        """Nothing more comes."""
        self._seconds = time.monotonic() - self._began
        while self._held:
            self._told.show(self._site, *self._held.popitem())
        self._told.end()

    def result(self, returncode: int | None) -> CommandResult:
        """What became of it."""
        out, err = self._captures["stdout"], self._captures["stderr"]
        seconds = self._seconds if self._seconds is not None else time.monotonic() - self._began
        return CommandResult(
            self._command, self._site.name, returncode, out.kept, err.kept,
            out.truncated or err.truncated, seconds,
        )  # fmt: skip


def _broken(data: bytes) -> int:
    """How many bytes at the end are the beginning of a character of UTF-8."""
    for size in range(1, min(3, len(data)) + 1):
        byte = data[-size]
        if byte >= 0xC0:
            return size if size < 2 + (byte >= 0xE0) + (byte >= 0xF0) else 0
        if byte < 0x80:
            return 0
    return 0
