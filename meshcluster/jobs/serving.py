"""``allow_commands``: a member that runs commands for others; off until it is asked for.

Two calls of its caller are open while a command runs: ``run``, from its beginning to its end, so
that whatever ends a call ends the command (who called is lost or gives it up, or we leave); and
``more``, again and again, which brings what it writes and holds it up where nobody takes that.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import shlex
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import ConfigError, JobError
from ..model import Service
from ..rpc.execution import current_call
from .process import Script
from .ways import Local

if TYPE_CHECKING:
    from .faces import AnyCluster

NAME = "commands"
"""Of what is exposed: ``commands.run`` and so on."""
WAITING_BYTES = 1 << 20
"""So much output waits for who asked for it, and so much of what a command reads waits for that;
then they do.
"""
POLL_SECONDS = 10.0
"""A question for more is answered after this, though there is nothing."""
MOST = 256
"""So many run at once for others."""
MOST_STDIN_BYTES = (1 << 63) - 1
"""What ``head -c`` can count."""
UNPROVEN = (
    "commands are run for members of the same user on this host, and for those that have our "
    "secret: join both with secret="
)

Allow: TypeAlias = Callable[[Service, str], bool]
_LOG = logging.getLogger("meshcluster.jobs")


class _Fed:
    """What a command reads, as its caller brings it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._promised = size
        self._pieces: deque[bytes] = deque()
        self._bytes = 0
        self._came = asyncio.Event()
        self._room = asyncio.Event()
        self._putting = False
        self._over = False

    async def put(self, data: bytes) -> None:
        if len(data) > self._promised or self._putting:
            raise JobError("more than the command was to read, or two pieces at once")
        self._promised -= len(data)
        self._bytes += len(data)
        self._pieces.append(data)
        self._came.set()
        self._putting = True
        try:
            while self._bytes > WAITING_BYTES and not self._over:
                self._room.clear()
                await self._room.wait()
        finally:
            self._putting = False

    async def pieces(self) -> AsyncIterator[bytes]:
        left = self.size
        while left > 0:
            while not self._pieces:
                self._came.clear()
                await self._came.wait()
            piece = self._pieces.popleft()
            left -= len(piece)
            self._bytes -= len(piece)
            self._room.set()
            yield piece

    def close(self) -> None:
        """Nobody reads it any more."""
        self._over = True
        self._room.set()


class _Running:
    """One command of somebody's: its listener, and what waits to be told."""

    def __init__(self, script: Script, fed: _Fed) -> None:
        self.fed = fed
        self.task = asyncio.current_task()
        self._script = script
        self._events: deque[tuple[str, Any]] = deque()
        self._bytes = 0
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()
        self._password: asyncio.Future[str] | None = None
        self._over = False

    async def to_the_end(self) -> None:
        """Returns when it has ended and its caller has heard of it."""
        try:
            ending = await Local().run(self._script, self)
            self._tell("ended", [ending.what, ending.returncode])
            while self._events:
                await self._until_taken()
        finally:
            self._over = True
            self._changed.set()
            self.fed.close()

    async def _until_taken(self) -> None:
        self._taken.clear()
        await self._taken.wait()

    def _tell(self, what: str, value: Any) -> None:
        self._events.append((what, value))
        self._changed.set()

    def began(self) -> None:
        self._tell("began", None)

    async def wrote(self, stream: str, data: bytes) -> None:
        if self._events and self._events[-1][0] == stream:  # or a byte at a time were a lot
            self._events[-1][1].extend(data)
        else:
            self._tell(stream, bytearray(data))
        self._bytes += len(data)
        while self._bytes > WAITING_BYTES:
            await self._until_taken()

    async def password(self) -> str:
        self._password = asyncio.get_running_loop().create_future()
        self._tell("asks", None)
        return await self._password

    def answer(self, password: str) -> None:
        """What sudo asked for."""
        if self._password is None or self._password.done():
            raise JobError("nothing asks for a password")
        self._password.set_result(password)

    async def more(self) -> list[tuple[str, Any]]:
        """What has happened since; waits for something, not for ever."""
        if not self._events and not self._over:
            self._changed.clear()
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                return []
        events, self._bytes = list(self._events), 0
        self._events.clear()
        self._taken.set()
        return [(what, bytes(v) if type(v) is bytearray else v) for what, v in events]


class Commands:
    """What is exposed: each public method."""

    def __init__(self, allow: Allow | None) -> None:
        self._allow = allow
        self._running: dict[tuple[bytes, int], _Running] = {}

    async def run(
        self, number: int, command: str, cwd: str | None, env: dict[str, str], sh: str,
        sudo: str | None, stdin_bytes: int,
    ) -> None:  # fmt: skip
        """Runs a command; ``number`` is by what its caller asks about it."""
        key = self._key(number)
        if not 0 <= stdin_bytes <= MOST_STDIN_BYTES:
            raise ConfigError(f"stdin_bytes={stdin_bytes}")
        fed = _Fed(stdin_bytes)
        script = Script(command, cwd, env, sh, fed, sudo)
        self._check(current_call().service, key, script)
        self._running[key] = running = _Running(script, fed)
        try:
            await running.to_the_end()
        finally:
            del self._running[key]

    async def more(self, number: int) -> list[Any]:
        """What has happened since it was asked last."""
        return await self._of(number).more()

    async def put(self, number: int, data: bytes) -> None:
        """Some of what the command reads; returns when there is room for more."""
        await self._of(number).fed.put(data)

    async def answer(self, number: int, password: bytes) -> None:
        """What sudo asked for."""
        self._of(number).answer(password.decode("utf-8", "surrogateescape"))

    async def end(self, number: int) -> None:
        """Ends a command, and returns when it has ended."""
        running = self._running.get(self._key(number))
        if running is not None and running.task is not None:
            running.task.cancel()
            await asyncio.wait([running.task])

    @staticmethod
    def _key(number: int) -> tuple[bytes, int]:
        return current_call().service.key, number

    def _of(self, number: int) -> _Running:
        try:
            return self._running[self._key(number)]
        except KeyError:
            raise LookupError("there is no such command of yours here") from None

    def _check(self, service: Service, key: tuple[bytes, int], script: Script) -> None:
        """Raises what its caller gets where it is not to be run."""
        if not service.authenticated:
            raise PermissionError(UNPROVEN)
        script.check()
        if key in self._running:
            raise JobError("the number of another command of yours")
        if len(self._running) >= MOST:
            raise JobError(f"{MOST} commands run here for others: no more at once")
        if self._allow is None:
            return
        allowed = False
        try:
            allowed = self._allow(service, in_words(script)) is True
        except Exception:
            _LOG.exception("allow= raised: the command is refused to %s", service.name)
        if not allowed:
            raise PermissionError("this member does not run that command for you")


def in_words(script: Script) -> str:
    """A command with all that is said of how it is run, as one would type it: nothing beside it
    can make another command of one that looks harmless.
    """
    if script.cwd is None and not script.env and script.sh == "sh" and script.sudo is None:
        return script.command
    words = [script.sh, "-c", script.command]
    if script.env:
        words = ["env", *(f"{name}={value}" for name, value in script.env.items()), *words]
    if script.cwd is not None:
        words = ["env", "-C", script.cwd, *words]
    if script.sudo is not None:
        words = ["sudo", *(["-u", script.sudo] if script.sudo else []), "--", *words]
    return shlex.join(words)


def allow_commands(cluster: AnyCluster, allow: Allow | None = None) -> None:
    """Lets other members run commands here, as this process's user: what ``meshcluster run`` and
    jobs on members need.

    Commands are run for members that have proved who they are: of the same user on this host, or
    with the mesh's secret. A command ends when who began it is lost, or gives it up, or we leave.

    Args:
        cluster: a ``Cluster`` or an ``AsyncCluster``, before or after joining.
        allow: called with the member that asks and the command, in the member's loop, so that it
            must not block. True: it is run; anything else is a refusal, and so is what it raises,
            which is logged. By default all are run. A command that is to have another ``sh``,
            ``cwd``, ``env`` or user is told with these:
            "sudo -u ada -- env -C /srv sh -c 'make clean'".

    Raises:
        ConfigError: it is allowed already, or ``allow`` cannot be called.
    """
    if allow is not None and (not callable(allow) or inspect.iscoroutinefunction(allow)):
        raise ConfigError(f"allow={allow!r:.80}: a plain function of a Service and a text")
    cluster.expose(Commands(allow), name=NAME)
