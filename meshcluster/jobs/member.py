"""``Member``: the way to a member of the mesh that runs commands for others."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..config import MAX_TIMEOUT_SECONDS
from ..errors import (
    ClusterError,
    NotExposed,
    NotJoined,
    OutcomeUnknown,
    QueryTimeout,
    RemoteError,
    SiteUnreachable,
    SudoFailed,
)
from ..lettering import harmless
from .process import STOP_SECONDS, Ending, Listener, Script
from .serving import NAME, POLL_SECONDS

if TYPE_CHECKING:
    from ..live import Live
    from ..model import Service
    from .site import Site

CALL_SECONDS = POLL_SECONDS + 20.0
SETTLE_SECONDS = 1.0
"""When one of a command's calls has failed, what became of the command itself is known so soon."""
LATE_SECONDS = 0.05
"""A member that has too much to do may take the question for more before the command."""
UNKNOWN = (OutcomeUnknown, QueryTimeout, NotJoined)
"""Who raises these has perhaps begun it."""


class Member:
    """Has a member run commands, by what ``allow_commands`` exposes there."""

    def __init__(self, site: Site) -> None:
        assert site.service is not None
        assert site.live is not None
        self.service: Service = site.service
        self._live: Live = site.live

    def transport(self) -> None:
        """rsync knows nothing of the mesh."""

    async def run(self, script: Script, listener: Listener) -> Ending:
        """See ``Way``."""
        script.check()
        return await _Watched(self, script, listener).to_the_end()

    def call(
        self, name: str, *args: Any, seconds: float = CALL_SECONDS
    ) -> asyncio.Future[Any]:  # fmt: skip
        """Calls a function of those that are exposed there."""
        call = self._live.go(self.service, f"{NAME}.{name}", args, {}, seconds)
        return asyncio.wrap_future(call)


class _Watched:
    """A command that runs there."""

    def __init__(self, member: Member, script: Script, listener: Listener) -> None:
        self._member = member
        self._number = secrets.randbits(62)
        self._script = script
        self._listener = listener
        self._running: asyncio.Future[Any]
        self._began = False
        self._asked = False
        self._helping: list[asyncio.Task[None]] = []

    async def to_the_end(self) -> Ending:
        script = self._script
        try:
            self._running = self._member.call(
                "run", self._number, script.command, script.cwd, script.env, script.sh, script.sudo,
                script.stdin_bytes, seconds=MAX_TIMEOUT_SECONDS,
            )  # fmt: skip
        except (ClusterError, OSError) as error:
            raise self._unreachable(error) from error
        ended = False
        try:
            while (ending := await self._step()) is None:
                pass
            ended = True
            return ending
        finally:
            await self._close(ended)

    async def _step(self) -> Ending | None:
        """Asks what has happened. None: the command goes on."""
        try:
            more = self._member.call("more", self._number)
        except ClusterError as error:
            return await self._failed(error)
        try:
            await self._until(more)
            if self._has_failed():
                return await self._failed(None)
            events = await more
        except ClusterError as error:
            if not more.done() or more.cancelled() or more.exception() is not error:
                raise  # a helper's of ours
            return await self._failed(error)
        finally:
            more.cancel()
        for what, value in events:
            ending = await self._heard(what, value)
            if ending is not None:
                return ending
        return None

    async def _until(self, more: asyncio.Future[Any]) -> None:
        """Until it is answered, or the command has failed.

        Raises:
            Exception: what the listener raises, or who reads what is to be brought there.
        """
        while not more.done() and not self._has_failed():
            running = [] if self._running.done() else [self._running]
            helping = [each for each in self._helping if not each.done()]
            await asyncio.wait([more, *running, *helping], return_when=asyncio.FIRST_COMPLETED)
            for each in self._helping:
                if each.done():
                    each.result()

    def _has_failed(self) -> bool:
        running = self._running
        return running.done() and (running.cancelled() or running.exception() is not None)

    async def _failed(self, error: Exception | None) -> Ending | None:
        """One of its calls has failed: what became of the command. None: it goes on."""
        late = isinstance(error, RemoteError) and error.kind == LookupError.__name__
        await asyncio.wait([self._running], timeout=LATE_SECONDS if late else SETTLE_SECONDS)
        if not self._running.done() and late:
            return None
        running = self._running
        why = None if not running.done() or running.cancelled() else running.exception()
        if isinstance(why, RemoteError) and why.kind == SudoFailed.__name__:
            raise SudoFailed(harmless(why.text)) from why
        if self._began or not isinstance(why, ClusterError) or isinstance(why, UNKNOWN):
            return Ending("lost", asked=self._asked)
        if isinstance(why, RemoteError) and why.kind == asyncio.CancelledError.__name__:
            return Ending("lost", asked=self._asked)
        raise self._unreachable(why) from why

    def _unreachable(self, error: Exception) -> SiteUnreachable:
        if isinstance(error, RemoteError):
            return SiteUnreachable(harmless(error.text))
        name = self._member.service.name
        if isinstance(error, NotExposed) and self._member.service.state != "gone":
            return SiteUnreachable(
                f"{name} runs no commands for others: allow_commands(cluster) there, or "
                "meshcluster join --allow-commands"
            )
        return SiteUnreachable(str(error))

    async def _heard(self, what: str, value: Any) -> Ending | None:
        if what == "began":
            self._began = True
            self._listener.began()
            if self._script.stdin_bytes:
                self._help(self._feed())
        elif what in ("stdout", "stderr"):
            await self._listener.wrote(what, value)
        elif what == "asks" and not self._began and self._script.sudo is not None:
            self._asked = True
            self._help(self._answer())
        elif what == "ended":
            return Ending(str(value[0]), int(value[1]), asked=self._asked)
        return None

    def _help(self, work: Coroutine[Any, Any, None]) -> None:
        self._helping.append(asyncio.create_task(work))

    async def _feed(self) -> None:
        async for piece in self._script.pieces():
            try:
                await self._member.call("put", self._number, piece)
            except ClusterError:
                return  # it has ended, or is lost, which is told

    async def _answer(self) -> None:
        password = (await self._listener.password()).encode("utf-8", "surrogateescape")
        with suppress(ClusterError):
            await self._member.call("answer", self._number, password)

    async def _close(self, ended: bool) -> None:
        """Nothing of it is left, here or there; does not wait for a member that says nothing."""
        try:
            for helper in self._helping:
                helper.cancel()
            if self._helping:
                await asyncio.wait(self._helping)
            if ended:  # or it is asked no more for what it is about to say
                await asyncio.wait([self._running], timeout=SETTLE_SECONDS)
            elif not self._running.done():
                with suppress(ClusterError, TimeoutError):
                    async with asyncio.timeout(STOP_SECONDS + 1.0):
                        await self._member.call("end", self._number)
        finally:
            self._running.cancel()  # if the rest is hurried on, this ends it as well
            for each in (self._running, *self._helping):
                if each.done() and not each.cancelled():
                    each.exception()  # it was looked at, or does not matter any more
