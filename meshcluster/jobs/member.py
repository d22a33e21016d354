"""``Member``: the way to a member of the mesh that runs commands for others."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import (
    ClusterError,
    NoRoute,
    NotExposed,
    OutcomeUnknown,
    QueryTimeout,
    RemoteError,
    ServiceLost,
    SiteUnreachable,
    SudoFailed,
)
from .process import STOP_SECONDS, Ending, Listener, Script
from .serving import NAME, POLL_SECONDS

if TYPE_CHECKING:
    from ..live import Live
    from ..model import Service
    from .site import Site

CALL_SECONDS = POLL_SECONDS + 20.0
SILENT = (OutcomeUnknown, ServiceLost, NoRoute, QueryTimeout)


class Member:
    """Has a member run commands, by what ``allow_commands`` exposes there."""

    def __init__(self, site: Site) -> None:
        assert site.service is not None
        assert site.live is not None
        self._service: Service = site.service
        self._live: Live = site.live

    def transport(self) -> None:
        """rsync knows nothing of the mesh."""

    async def run(self, script: Script, listener: Listener) -> Ending:
        """See ``Way``."""
        number = await self._begin(script)
        running = _Watched(self, number, script, listener)
        try:
            return await running.to_the_end()
        finally:
            await self._end(number, running)

    async def _begin(self, script: Script) -> int:
        try:
            return int(await self.call(
                "begin", script.command, script.cwd, script.env, script.sh, script.sudo,
                script.stdin_bytes,
            ))  # fmt: skip
        except NotExposed:
            raise SiteUnreachable(
                f"{self._service.name} runs no commands for others: allow_commands(cluster) there, "
                "or meshcluster join --allow-commands"
            ) from None
        except RemoteError as error:
            raise SiteUnreachable(error.text) from error
        except (ClusterError, OSError) as error:
            raise SiteUnreachable(str(error)) from error

    async def _end(self, number: int, running: _Watched) -> None:
        """Does not wait for a member that says nothing."""
        running.give_up()
        if running.ended:
            return
        with suppress(Exception):
            await asyncio.shield(asyncio.wait_for(self.call("end", number), STOP_SECONDS + 1.0))

    async def call(self, name: str, *args: Any) -> Any:
        """Calls a function of those that are exposed there."""
        call = self._live.go(self._service, f"{NAME}.{name}", args, {}, CALL_SECONDS)
        return await asyncio.wrap_future(call)


class _Watched:
    """A command that runs there."""

    def __init__(self, member: Member, number: int, script: Script, listener: Listener) -> None:
        self._member = member
        self._number = number
        self._script = script
        self._listener = listener
        self._began = False
        self._asked = False
        self._helping: list[asyncio.Task[None]] = []
        self.ended = False

    async def to_the_end(self) -> Ending:
        while True:
            asking = asyncio.create_task(self._member.call("more", self._number))
            try:
                await asyncio.wait(
                    [asking, *(each for each in self._helping if not each.done())],
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for helper in self._helping:
                    if helper.done():
                        helper.result()
                events = await asking
            except SILENT:
                self.ended = True
                if self._began:
                    return Ending("lost", asked=self._asked)
                raise SiteUnreachable("it was lost before the command began") from None
            finally:
                asking.cancel()
            for what, value in events:
                ending = await self._heard(what, value)
                if ending is not None:
                    self.ended = True
                    return ending

    async def _heard(self, what: str, value: Any) -> Ending | None:
        if what == "began":
            self._began = True
            self._listener.began()
            if self._script.stdin_bytes:
                self._help(self._feed())
        elif what in ("stdout", "stderr"):
            await self._listener.wrote(what, value)
        elif what == "asks":
            self._asked = True
            self._help(self._answer())
        elif what == "ended":
            return Ending(str(value[0]), int(value[1]), asked=self._asked)
        elif what == "failed":
            self.ended = True
            kind = SudoFailed if value[0] == SudoFailed.__name__ else SiteUnreachable
            raise kind(str(value[1]))
        return None

    def _help(self, work: Any) -> None:
        self._helping.append(asyncio.ensure_future(work))

    async def _feed(self) -> None:
        async for piece in self._script.pieces():
            with suppress(RemoteError):  # it has ended, and how is told
                await self._member.call("put", self._number, piece)

    async def _answer(self) -> None:
        password = await self._listener.password()
        with suppress(RemoteError):
            await self._member.call("answer", self._number, password)

    def give_up(self) -> None:
        """Nothing more is brought."""
        for helper in self._helping:
            helper.cancel()
