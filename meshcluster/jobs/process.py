"""One command that runs, here or behind the ssh client: a process, and what it says."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import stat
import sys
from asyncio.subprocess import SubprocessStreamProtocol
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..errors import ConfigError, JobError
from .envelope import GRACE_SECONDS, Envelope, Mark, Reader

READ_BYTES = 1 << 16
LAST_SECONDS = 1.0
"""When a command has ended, the end of its output is waited for so long: something that it has left
running may hold that open.
"""
DRAIN_SECONDS = 30.0
"""Of what has gone without a word the rest is read so long: something else may write there, too."""
STOP_SECONDS = GRACE_SECONDS + 1.5
TOKEN_BYTES = 12


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

    def around(self, token: str, stdin_bytes: int) -> str:
        """The text that a shell is given."""
        return Envelope(token).script(
            self.command, cwd=self.cwd, env=self.env, sh=self.sh, stdin_bytes=stdin_bytes,
            sudo=self.sudo,
        )  # fmt: skip

    def check(self) -> None:
        """Does nothing where it can be run.

        Raises:
            ConfigError: it cannot be like that.
        """
        self.around("x" * 2 * TOKEN_BYTES, self.stdin_bytes)

    @property
    def stdin_bytes(self) -> int:
        """How many it reads.

        Raises:
            ConfigError: there is no such file, or one that has no size.
        """
        if isinstance(self.stdin, bytes):
            return len(self.stdin)
        if not isinstance(self.stdin, Path):
            return self.stdin.size
        try:
            found = self.stdin.stat()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise ConfigError(f"stdin={str(self.stdin)!r}: {why}") from None
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError(f"stdin={str(self.stdin)!r}: not a file that can be read to its end")
        return found.st_size

    async def pieces(self) -> AsyncIterator[bytes]:
        """What it reads, piece by piece."""
        if isinstance(self.stdin, bytes):
            for at in range(0, len(self.stdin), READ_BYTES):
                yield self.stdin[at : at + READ_BYTES]
        elif isinstance(self.stdin, Path):
            try:
                with self.stdin.open("rb") as file:
                    while piece := file.read(READ_BYTES):
                        yield piece
            except OSError as error:
                raise JobError(f"stdin={str(self.stdin)!r}: {error.strerror}") from error
        else:
            async for piece in self.stdin.pieces():
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
    token, stdin_bytes = secrets.token_hex(TOKEN_BYTES), script.stdin_bytes
    argv = argv_of(script.around(token, stdin_bytes))
    if sys.platform == "win32" and argv[0] == "sh":
        raise JobError("commands of this machine need sh; behind ssh and on members they work")
    starting = asyncio.create_task(_started(argv))
    cancelled = await _undisturbed(starting)
    if cancelled is not None and starting.exception() is not None:
        raise cancelled
    process = starting.result()
    return await _Conducting(process, script, stdin_bytes, listener, token).to_the_end(cancelled)


async def _undisturbed(task: asyncio.Task[Any]) -> asyncio.CancelledError | None:
    """Returns when it is done, also where this is cancelled meanwhile: then with that."""
    cancelled = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    return cancelled


async def _started(argv: Sequence[str]) -> _Process:
    """Is not to be cancelled: asyncio (3.11.7) kills the process then, but not what that has
    started, and may wait for ever for the end of pipes that it connects nevertheless.

    Raises:
        JobError: there is no such program here, or no room for another process.
    """
    loop = asyncio.get_running_loop()
    try:
        transport, streams = await loop.subprocess_exec(
            lambda: _Streams(limit=READ_BYTES, loop=loop), *argv,
            start_new_session=sys.platform != "win32",  # Ctrl-C is for us alone
            preexec_fn=_keep_no_ends if type(loop).__module__.startswith("uvloop") else None,
        )  # fmt: skip
    except OSError as error:
        raise JobError(f"{argv[0]} cannot be started: {error.strerror or error}") from error
    return _Process(transport, streams)


def _keep_no_ends() -> None:
    """In the new process. uvloop lets it have its ends of the pipes twice: what it leaves running
    would hold its output open though it writes elsewhere.
    """
    for name in os.listdir("/dev/fd"):
        with suppress(OSError):
            if int(name) > 2:
                os.set_inheritable(int(name), False)


class _Streams(SubprocessStreamProtocol):
    """Knows when the process has exited, though others may hold its output open: ``Process.wait``
    waits for these too.
    """

    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit, loop)
        self.exited = asyncio.Event()

    def process_exited(self) -> None:
        super().process_exited()
        self.exited.set()


class _Process:
    """A process and its pipes."""

    def __init__(self, transport: asyncio.SubprocessTransport, streams: _Streams) -> None:
        assert streams.stdin is not None
        assert streams.stdout is not None
        assert streams.stderr is not None
        self.stdin, self.stdout, self.stderr = streams.stdin, streams.stdout, streams.stderr
        self.exited = streams.exited
        self._transport = transport

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        return self._transport.get_returncode()

    async def write(self, data: bytes) -> bool:
        """Whether it still reads."""
        if self.stdin.transport.is_closing():  # uvloop raises then
            return False
        try:
            self.stdin.write(data)
            await self.stdin.drain()
        except (ConnectionError, RuntimeError):  # how it ends will be told; uvloop's is the latter
            return False
        return not self.stdin.transport.is_closing()

    def end_stdin(self) -> None:
        """Nothing more comes, and what it has not taken yet is dropped: also where asyncio has
        begun to close it, after the process' end, and waits for somebody to take that.
        """
        stdin = self.stdin.transport
        if not stdin.is_closing() or stdin.get_write_buffer_size():
            stdin.abort()

    def kill(self, *, all_of_it: bool) -> None:
        """It, or all that it has started as well."""
        if self.returncode is not None:
            return
        with suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32" or not all_of_it:
                self._transport.kill()
            else:
                os.killpg(self._transport.get_pid(), signal.SIGKILL)

    def close(self) -> None:
        """After its end. What it has left running may hold the other ends of its pipes."""
        self._transport.close()


class _Conducting:
    """A process that runs a script."""

    def __init__(
        self, process: _Process, script: Script, stdin_bytes: int,
        listener: Listener, token: str,
    ) -> None:  # fmt: skip
        self._process = process
        self._script = script
        self._stdin_bytes = stdin_bytes
        self._listener = listener
        self._reader = Reader(token)
        self._returncode: int | None = None
        self._began = False
        self._asked = False
        self._tasks: list[asyncio.Task[None]] = []
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ended = asyncio.Event()
        self._whole = asyncio.Event()
        self._pieces = 0
        self._telling = 0

    async def to_the_end(self, cancelled: asyncio.CancelledError | None = None) -> Ending:
        """``cancelled``: so it was before it could begin."""
        process = self._process
        if cancelled is not None:
            await self._close()
            raise cancelled
        out = self._begin(self._read("stdout", process.stdout))
        err = self._begin(self._read("stderr", process.stderr))
        over = self._begin(self._over(out, err))
        try:
            await asyncio.wait([over, self._failed], return_when=asyncio.FIRST_COMPLETED)
            if self._failed.done():
                self._failed.result()
        finally:
            await self._close()
        if self._returncode is not None:
            return Ending("exited", self._returncode)
        what = "lost" if self._began else "never"
        noise = self._reader.noise.decode("utf-8", "backslashreplace").strip()
        return Ending(what, process.returncode or 0, noise, self._asked)

    async def _read(self, name: str, stream: asyncio.StreamReader) -> None:
        while data := await stream.read(READ_BYTES):
            written, marks = self._reader.take(name, data)
            await self._tell(name, written)
            for mark in marks:
                self._heard(mark)
        await self._tell(name, self._reader.end(name))

    async def _tell(self, name: str, written: bytes) -> None:
        self._pieces += 1
        if not written:
            return
        self._telling += 1
        await self._listener.wrote(name, written)
        self._telling -= 1

    def _heard(self, mark: Mark) -> None:
        if mark.what == "began" and not self._began:
            self._began = True
            self._listener.began()
            self._begin(self._feed())
        elif mark.what == "asks" and not self._began and self._script.sudo is not None:
            self._asked = True  # later it is the command that says so, and must not be answered
            self._begin(self._answer())
        elif mark.what == "whole":
            self._whole.set()
        elif mark.what == "ended":
            self._returncode = mark.returncode
            self._ended.set()

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.append(task)
        task.add_done_callback(self._note_failure)
        return task

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        """What a listener raises, for one, ends it."""
        if not task.cancelled() and (error := task.exception()) and not self._failed.done():
            self._failed.set_exception(error)

    async def _feed(self) -> None:
        left = self._stdin_bytes
        if not left:
            return
        async for piece in self._script.pieces():
            if not await self._process.write(piece[:left]):
                return
            left -= len(piece)
            if left <= 0:
                return
        if left > 0:  # it would be waited for
            raise JobError(f"what is read as stdin has become {left} bytes shorter")

    async def _answer(self) -> None:
        password = await self._listener.password()
        await self._process.write(password.encode("utf-8", "surrogateescape") + b"\n")

    async def _over(self, *reading: asyncio.Task[None]) -> None:
        """Returns when it has ended, and all that it wrote is told. What it has left running is
        heard for a moment.
        """
        told = asyncio.create_task(self._ended.wait())
        gone = asyncio.create_task(self._process.exited.wait())
        whole = asyncio.create_task(self._whole.wait())
        try:
            await asyncio.wait([told, gone], return_when=asyncio.FIRST_COMPLETED)
            self._process.end_stdin()
            await asyncio.wait([whole, gone], return_when=asyncio.FIRST_COMPLETED)
            if not whole.done():  # or what it wrote is still to be read
                await self._drained(whole, *reading)
            await asyncio.wait([gone, *reading], timeout=LAST_SECONDS)
        finally:
            for task in (told, gone, whole):
                task.cancel()

    async def _drained(self, whole: asyncio.Task[Any], *reading: asyncio.Task[None]) -> None:
        """Returns when all is there, or nothing more has come for a while, or for too long."""
        until = asyncio.get_running_loop().time() + DRAIN_SECONDS
        while asyncio.get_running_loop().time() < until or self._telling:
            before = self._pieces
            waited = [whole, *(each for each in reading if not each.done())]
            await asyncio.wait(waited, timeout=LAST_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            ended = all(each.done() for each in reading)
            if whole.done() or ended or (self._pieces == before and not self._telling):
                return

    async def _close(self) -> None:
        """Nothing of it is left, however it comes to its end; also where that is hurried on."""
        ending = asyncio.create_task(self._end())
        hurried = await _undisturbed(ending)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if not self._failed.cancel():
            self._failed.exception()  # no second one is of interest
        ending.result()
        if hurried is not None:
            raise hurried

    async def _end(self) -> None:
        process = self._process
        process.end_stdin()  # upon this the script ends the command
        if process.returncode is None and self._began and self._returncode is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(process.exited.wait(), STOP_SECONDS)
        # What a command that ended by itself has left running is left alone.
        process.kill(all_of_it=self._returncode is None)
        await process.exited.wait()
        process.close()
