"""The ways to a site: a shell of this machine, the user's ssh client, a member of the mesh."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from ..errors import SiteUnreachable, SudoFailed
from ..lettering import harmless
from ..ssh.launching import client_options
from ..ssh.server import Server
from .process import Ending, Listener, Script, conduct

if TYPE_CHECKING:
    from .masters import Masters
    from .site import Site

SSH = ("ssh",)
CONNECT_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 5.0
HANDSHAKES = 8
"""At one host at once. OpenSSH drops some of the logins above ten that are pending (``MaxStartups
10:30:100``); of 20 at once three were dropped here.
"""
HANDSHAKE_TRIES = 4
PAUSE_SECONDS = 0.3
"""Before a dropped handshake is tried again; then twice, four times so long."""
DROPPED = re.compile(
    r"^(?:kex_exchange_identification|ssh_exchange_identification|banner exchange): .*"
    r"(?:reset|closed)|^Connection (?:reset|closed) by \S+ port",
    re.MULTILINE,
)
"""What the client says of a server that did not let it log in: nothing has been begun."""
_CUT = re.compile(r"^(?:Read from remote host|client_loop:|Timeout, server|Connection to )", re.M)
"""What it says when a session that there was has ended: something may have been begun."""
SSH_FAILED = 255
"""The status of the ssh client when it is the one that failed (ssh(1), EXIT STATUS)."""


class Way(Protocol):
    """How commands get to a site."""

    async def run(self, script: Script, listener: Listener) -> Ending:
        """Runs a command there to its end; where it is cancelled the command is ended first.

        Raises:
            SiteUnreachable: it was not begun there; the text says why.
            SudoFailed: it was not begun, for sudo was not content.
        """

    def transport(self) -> tuple[str, ...] | None:
        """The command that rsync can reach it by, () where it is this machine; None: by none."""


class Local:
    """A shell of this machine."""

    async def run(self, script: Script, listener: Listener) -> Ending:
        """See ``Way``."""
        ending = await conduct(lambda text: ("sh", "-c", text), script, listener)
        return _begun(ending, script)

    def transport(self) -> tuple[str, ...]:
        """See ``Way``."""
        return ()


class Handshakes:
    """How many logins are pending at each host; those of one loop know of one another."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Semaphore]]
        self._of = WeakKeyDictionary()

    def at(self, host: str) -> asyncio.Semaphore:
        """One has to be had for a login."""
        of = self._of.setdefault(asyncio.get_running_loop(), {})
        return of.setdefault(host, asyncio.Semaphore(HANDSHAKES))


class Ssh:
    """The user's own ssh client, with all that its configuration says."""

    def __init__(
        self, server: Server, client: Sequence[str] = SSH,
        connect_timeout: float = CONNECT_SECONDS, handshakes: Handshakes | None = None,
        masters: Masters | None = None,
    ) -> None:  # fmt: skip
        self._server = server
        self._client = tuple(client)
        shared = () if masters is None else masters.options(server, self._client)
        self._options = (*shared, *client_options(connect_timeout, KEEP_ALIVE_SECONDS))
        self._handshakes = handshakes or Handshakes()

    async def run(self, script: Script, listener: Listener) -> Ending:
        """See ``Way``. A login that the server has dropped, for it had too many, is tried again."""
        for tried in range(HANDSHAKE_TRIES):
            ending = await self._once(script, listener)
            if ending.what != "never" or ending.asked or not DROPPED.search(ending.noise):
                break
            await asyncio.sleep(PAUSE_SECONDS * 2**tried * random.uniform(0.5, 1.0))
        if ending.what == "never" and (ending.returncode == 0 or _CUT.search(ending.noise)):
            return replace(ending, what="lost")  # who knows what was begun
        if ending.what == "never" and (script.sudo is None or ending.returncode == SSH_FAILED):
            raise SiteUnreachable(_last_line(ending.noise) or f"ssh ended with {ending.returncode}")
        return _begun(ending, script)

    async def _once(self, script: Script, listener: Listener) -> Ending:
        login = _Login(listener, self._handshakes.at(self._server.host or ""))
        async with login:
            return await conduct(
                lambda text: self._server.client(self._client, self._options, text), script, login
            )

    def transport(self) -> tuple[str, ...]:
        """See ``Way``."""
        words = self._server.client(self._client, self._options, "")
        return words[: words.index("--", len(self._client))]


class _Login:
    """Holds a place among the pending logins until the command has begun, or never will."""

    def __init__(self, listener: Listener, places: asyncio.Semaphore) -> None:
        self._listener = listener
        self._places = places
        self._holds = False

    async def __aenter__(self) -> None:
        await self._places.acquire()
        self._holds = True

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        if self._holds:
            self._holds = False
            self._places.release()

    def began(self) -> None:
        self._leave()
        self._listener.began()

    async def wrote(self, stream: str, data: bytes) -> None:
        await self._listener.wrote(stream, data)

    async def password(self) -> str:
        self._leave()  # the login is done
        return await self._listener.password()


def _begun(ending: Ending, script: Script) -> Ending:
    """Checks that it has begun.

    Raises:
        SudoFailed, SiteUnreachable: it never has.
    """
    if ending.what != "never":
        return ending
    why = _last_line(ending.noise)
    if script.sudo is not None:
        raise SudoFailed(why or f"sudo ended with {ending.returncode}")
    raise SiteUnreachable(why or f"the shell ended with {ending.returncode} before it began")


def _last_line(noise: str) -> str:
    lines = [line.strip() for line in noise.splitlines() if line.strip()]
    return harmless(lines[-1][:300]) if lines else ""


def way_to(site: Site, handshakes: Handshakes | None = None, masters: Masters | None = None) -> Way:
    """The way to a site, as its config says."""
    if site.service is not None and site.via == "mesh":
        from .member import Member

        return Member(site)
    if site.via == "local":
        return Local()
    client = site.get("ssh", SSH)
    words = (client,) if isinstance(client, str) else tuple(client)
    patience = site.get("connect_timeout", CONNECT_SECONDS)
    return Ssh(site.server, words, patience, handshakes, masters)
