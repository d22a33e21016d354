"""One command that runs, here or behind the ssh client: a process, and what it says."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..errors import ConfigError, JobError
from .envelope import GRACE_SECONDS, Envelope, Mark, Reader

READ_BYTES = 1 << 16
TOKEN_BYTES = 12
LAST_SECONDS = 1.0
"""When a command has ended, the end of its output is waited for so long: something that it has left
running may hold that open.
"""
STOP_SECONDS = GRACE_SECONDS + 1.5


class Source(Protocol):
    """Bytes that come from elsewhere, and how many these will be."""

    @property
    def size(self) -> int:
        """How many."""

    def pieces(self) -> AsyncIterator[bytes]:
        """All of them, piece by piece."""


@dataclass(frozen=True, slots=True)
class Script:
    """What is to be run, wherever that is.

    Attributes:
        command: for the shell ``sh``.
        cwd: where; "~/" is the home directory there.
        env: variables besides those that are there.
        stdin: what it reads: bytes, or a file of this machine.
        sudo: the user whose command it is ("" is root's); None: no other.
    """

    command: str
    cwd: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    sh: str = "sh"
    stdin: bytes | Path | Source = b""
    sudo: str | None = None

    def around(self, token: str) -> str:
        """The text that a shell is given."""
        return Envelope(token).script(
            self.command, cwd=self.cwd, env=self.env, sh=self.sh, stdin_bytes=self.stdin_bytes,
            sudo=self.sudo,
        )  # fmt: skip

    def check(self) -> None:
        """Does nothing.

        Raises:
            ConfigError: no command can be like that.
        """
        self.around("0" * 2 * TOKEN_BYTES)

    @property
    def stdin_bytes(self) -> int:
        """How many it reads.

        Raises:
            ConfigError: there is no such file.
        """
        if isinstance(self.stdin, bytes):
            return len(self.stdin)
        if not isinstance(self.stdin, Path):
            return self.stdin.size
        try:
            return self.stdin.stat().st_size
        except OSError as error:
            raise ConfigError(f"stdin={str(self.stdin)!r}: {error.strerror}") from None

    async def pieces(self) -> AsyncIterator[bytes]:
        """What it reads, piece by piece."""
        if isinstance(self.stdin, bytes):
            for at in range(0, len(self.stdin), READ_BYTES):
                yield self.stdin[at : at + READ_BYTES]
            return
        if not isinstance(self.stdin, Path):
            async for piece in self.stdin.pieces():
                yield piece
            return
        left = self.stdin_bytes
        with self.stdin.open("rb") as file:
            while left and (piece := file.read(min(READ_BYTES, left))):
                left -= len(piece)
                yield piece


class Listener(Protocol):
    """Who is told what a command does; in the loop."""

    def began(self) -> None:
        """It was reached, and runs."""

    async def wrote(self, stream: str, data: bytes) -> None:
        """It wrote something to "stdout" or "stderr"; nothing more is read before this returns."""

    async def password(self) -> str:
        """sudo asks for one. What this raises ends the command."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended.

    Attributes:
        what: "exited"; "lost": it began, and no end was seen; "never": it did not begin.
        returncode: as ``CommandResult`` has it; of what never began that of the program that should
            have begun it.
        noise: what came before it began.
        asked: sudo asked for a password.
    """

    what: str
    returncode: int = 0
    noise: str = ""
    asked: bool = False


async def conduct(
    argv_of: Callable[[str], Sequence[str]], script: Script, listener: Listener
) -> Ending:
    """Runs a command to its end. Where it is cancelled the command is ended first.

    ``argv_of``: the program and its arguments that have a shell run the text it is given.

    Raises:
        ConfigError: the command cannot be like that.
        JobError: there is no such program here, or no room for another process.
        Exception: what ``listener`` raises.
    """
    token = secrets.token_hex(TOKEN_BYTES)
    argv = argv_of(script.around(token))
    if sys.platform == "win32" and argv[0] == "sh":
        raise JobError("commands of this machine need sh; behind ssh and on members they work")
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, limit=READ_BYTES,
            start_new_session=sys.platform != "win32",  # Ctrl-C is for us alone
        )  # fmt: skip
    except OSError as error:
        raise JobError(f"{argv[0]} cannot be started: {error.strerror or error}") from error
    return await _Conducting(process, script, listener, token).to_the_end()


class _Conducting:
    """A process that runs a script."""

    def __init__(
        self, process: asyncio.subprocess.Process, script: Script, listener: Listener, token: str
    ) -> None:
        self._process = process
        self._script = script
        self._listener = listener
        self._reader = Reader(token)
        self._returncode: int | None = None
        self._began = False
        self._asked = False
        self._helping: list[asyncio.Task[None]] = []
        self._ended = asyncio.Event()

    async def to_the_end(self) -> Ending:
        process = self._process
        assert process.stdout is not None
        assert process.stderr is not None
        out = asyncio.create_task(self._read("stdout", process.stdout))
        err = asyncio.create_task(self._read("stderr", process.stderr))
        over = asyncio.create_task(self._over(out, err))
        try:
            while not over.done():
                waited = [over, out, err, *self._helping]
                done, _ = await asyncio.wait(
                    [each for each in waited if each is over or not each.done()],
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in done:
                    task.result()  # what a listener raises ends it
            for task in (out, err, *self._helping):
                if task.done():
                    task.result()
        finally:
            await self._close([over, out, err, *self._helping])
        if self._returncode is not None:
            return Ending("exited", self._returncode)
        what = "lost" if self._began else "never"
        noise = self._reader.noise.decode("utf-8", "backslashreplace").strip()
        return Ending(what, process.returncode or 0, noise, self._asked)

    async def _read(self, name: str, stream: asyncio.StreamReader) -> None:
        while data := await stream.read(READ_BYTES):
            written, marks = self._reader.take(name, data)
            if written:
                await self._listener.wrote(name, written)
            for mark in marks:
                self._heard(mark)
        if rest := self._reader.end(name):
            await self._listener.wrote(name, rest)

    def _heard(self, mark: Mark) -> None:
        if mark.what == "began" and not self._began:
            self._began = True
            self._listener.began()
            self._help(self._feed())
        elif mark.what == "asks" and not self._began and self._script.sudo is not None:
            self._asked = True  # later it is the command that says so, and must not be answered
            self._help(self._answer())
        elif mark.what == "ended":
            self._returncode = mark.returncode
            self._ended.set()

    def _help(self, work: Awaitable[None]) -> None:
        self._helping.append(asyncio.ensure_future(work))

    async def _feed(self) -> None:
        async for piece in self._script.pieces():
            if not await self._write(piece):
                return

    async def _answer(self) -> None:
        password = await self._listener.password()
        await self._write(password.encode("utf-8", "surrogateescape") + b"\n")

    async def _write(self, data: bytes) -> bool:
        """False: it reads no more; how it ends will be told."""
        stdin = self._process.stdin
        assert stdin is not None
        if stdin.is_closing():  # asyncio writes a line for each piece then, uvloop raises
            return False
        with suppress(ConnectionError):
            stdin.write(data)
            await stdin.drain()
            return True
        return False

    async def _over(self, *reading: asyncio.Task[None]) -> None:
        """Returns when it has ended, and its output too."""
        told = asyncio.create_task(self._ended.wait())
        gone = asyncio.create_task(self._process.wait())
        try:
            await asyncio.wait([told, gone], return_when=asyncio.FIRST_COMPLETED)
            self._close_stdin()
            await asyncio.wait([gone, *reading], timeout=LAST_SECONDS)
        finally:
            told.cancel()
            gone.cancel()

    def _close_stdin(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def _close(self, tasks: list[asyncio.Task[None]]) -> None:
        """Nothing of it is left, however it comes to its end; also where that is hurried on."""
        ending = asyncio.create_task(self._end())
        hurried: asyncio.CancelledError | None = None
        while not ending.done():
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError as error:
                hurried = error
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        ending.result()
        if hurried is not None:
            raise hurried

    async def _end(self) -> None:
        process = self._process
        self._close_stdin()  # upon this the script ends the command
        if process.returncode is None and self._began and self._returncode is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
        self._kill()
        await process.wait()
        transport = process._transport  # type: ignore[attr-defined]
        transport.close()

    def _kill(self) -> None:
        """All that the program started here. What a command that ended by itself has left running
        is left alone.
        """
        if self._process.returncode is not None:
            return
        with suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32" or self._returncode is not None:
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)
