"""``allow_commands``: a member that runs commands for others; off until it is asked for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, DecodeError, JobError
from ..model import Service
from ..rpc.execution import current_call
from .process import Script
from .ways import Local

if TYPE_CHECKING:
    from .faces import AnyCluster

NAME = "commands"
"""Of what is exposed: ``commands.begin`` and so on."""
WAITING_BYTES = 1 << 20
"""So much output waits for who asked for it; then the command does."""
POLL_SECONDS = 10.0
"""A question for more is answered after this, though there is nothing."""
FORGOTTEN_SECONDS = 40.0
"""A command that nobody asks about for so long is ended: who began it is gone."""
MOST = 256
"""So many run at once for others."""
UNPROVEN = (
    "commands are run for members of the same user on this host, and for those that have our "
    "secret: join both with secret="
)

Allow = Callable[[Service, str], bool]


class _Fed:
    """What a command reads, as who began it brings it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue(4)

    async def put(self, data: bytes) -> None:
        await self._pieces.put(data)

    async def pieces(self) -> AsyncIterator[bytes]:
        left = self.size
        while left > 0:
            piece = (await self._pieces.get())[:left]
            left -= len(piece)
            yield piece


class _Running:
    """One command of somebody's: its listener, and what waits to be told."""

    def __init__(self, service: Service, script: Script, fed: _Fed) -> None:
        self.service = service
        self.script = script
        self.fed = fed
        self.asked_at = asyncio.get_running_loop().time()
        self._events: deque[tuple[str, Any]] = deque()
        self._bytes = 0
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._passwords: asyncio.Queue[str] = asyncio.Queue()
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            ending = await Local().run(self.script, self)
            self._tell("ended", [ending.what, ending.returncode])
        except JobError as error:
            self._tell("failed", [type(error).__name__, str(error)])

    def _tell(self, what: str, value: Any) -> None:
        self._events.append((what, value))
        self._changed.set()

    def began(self) -> None:
        self._tell("began", None)

    async def wrote(self, stream: str, data: bytes) -> None:
        self._tell(stream, data)
        self._bytes += len(data)
        while self._bytes > WAITING_BYTES:
            self._room.clear()
            await self._room.wait()

    async def password(self) -> str:
        self._tell("asks", None)
        return await self._passwords.get()

    async def answer(self, password: str) -> None:
        """What sudo asked for."""
        await self._passwords.put(password)

    async def more(self) -> list[tuple[str, Any]]:
        """What has happened since; waits for something, not for ever. Who gives that up, or is
        lost, or whom we leave, wants the command no more.
        """
        self._changed.clear()
        if not self._events:
            try:
                await asyncio.wait_for(self._changed.wait(), POLL_SECONDS)
            except TimeoutError:
                pass
            except asyncio.CancelledError:
                self.task.cancel()
                raise
        events, self._bytes = list(self._events), 0
        self._events.clear()
        self._room.set()
        self.asked_at = asyncio.get_running_loop().time()
        return events

    async def end(self) -> None:
        """Ends the command, if it still runs."""
        self.task.cancel()
        await asyncio.wait([self.task])


class Commands:
    """What is exposed."""

    def __init__(self, allow: Allow | None) -> None:
        self._allow = allow
        self._running: dict[tuple[str, int, int], _Running] = {}
        self._number = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looking: asyncio.TimerHandle | None = None

    async def begin(
        self, command: str, cwd: str | None, env: dict[str, str], sh: str, sudo: str | None,
        stdin_bytes: int,
    ) -> int:  # fmt: skip
        """Begins a command; the number by which its caller asks about it."""
        service = current_call().service
        if not service.authenticated:
            raise PermissionError(UNPROVEN)
        if self._allow is not None and not self._allow(service, command):
            raise PermissionError("this member does not run that command for you")
        if len(self._running) >= MOST:
            raise JobError(f"{MOST} commands run here for others: no more at once")
        if not 0 <= stdin_bytes:
            raise DecodeError("stdin_bytes")
        fed = _Fed(stdin_bytes)
        self._loop = asyncio.get_running_loop()
        self._number += 1
        script = Script(command, cwd, env, sh, fed, sudo)
        self._running[self._key(self._number)] = _Running(service, script, fed)
        self._look()
        return self._number

    async def more(self, number: int) -> list[Any]:
        """What has happened since it was asked last."""
        events = await self._of(number).more()
        if events and events[-1][0] in ("ended", "failed"):
            self._running.pop(self._key(number), None)
        return events

    async def put(self, number: int, data: bytes) -> None:
        """Some of what the command reads."""
        await self._of(number).fed.put(data)

    async def answer(self, number: int, password: str) -> None:
        """What sudo asked for."""
        await self._of(number).answer(password)

    async def end(self, number: int) -> None:
        """Ends a command, and returns when it has ended."""
        running = self._running.pop(self._key(number), None)
        if running is not None:
            await running.end()

    def _key(self, number: int) -> tuple[str, int, int]:
        service = current_call().service
        return service.id, service.boot, number

    def _of(self, number: int) -> _Running:
        running = self._running.get(self._key(number))
        if running is None:
            raise JobError("there is no such command of yours here")
        return running

    # --- who began it is gone -----------------------------------------------------------------

    def lost(self, service: Service) -> None:
        """A member is lost: what runs for it is ended. On any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # it is closed: nothing runs
                self._loop.call_soon_threadsafe(self._forget, service)

    def _forget(self, service: Service) -> None:
        for key in [key for key in self._running if key[:2] == (service.id, service.boot)]:
            self._running.pop(key).task.cancel()

    def _look(self) -> None:
        """Every now and then, while anything runs."""
        loop = asyncio.get_running_loop()
        for key, running in list(self._running.items()):
            if loop.time() - running.asked_at > FORGOTTEN_SECONDS:
                self._running.pop(key).task.cancel()
        if self._looking is not None:
            self._looking.cancel()
        self._looking = loop.call_later(POLL_SECONDS, self._look) if self._running else None


def allow_commands(cluster: AnyCluster, allow: Allow | None = None) -> None:
    """Lets other members run commands here, as this process's user: what ``meshcluster run`` and
    jobs on members need.

    Commands are run for members that have proved who they are: of the same user on this host, or
    with the mesh's secret. A command ends when who began it is lost.

    Args:
        cluster: a ``Cluster`` or an ``AsyncCluster``, before or after joining.
        allow: called with the member that asks and the command, in the member's loop; says whether
            to run it. By default all are run.

    Raises:
        ConfigError: it is allowed already, or ``allow`` cannot be called.
    """
    if allow is not None and not callable(allow):
        raise ConfigError(f"allow={allow!r:.80}: a function of a Service and a text")
    commands = Commands(allow)
    for function in (commands.begin, commands.more, commands.put, commands.answer, commands.end):
        cluster.expose(function, name=f"{NAME}.{function.__name__}")
    cluster.hook("service.lost")(commands.lost)
