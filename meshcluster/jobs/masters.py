"""``Masters``: one connection to each host for all the commands of a run."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from ..ssh.server import Server

PERSIST_SECONDS = 15
"""A connection that is not used closes after this by itself, should we not be there to close it."""
CLOSE_SECONDS = 5.0
PLACES = ("/tmp", "/var/tmp")
"""Where the usual one is no place for sockets."""
MOST_BYTES = 60
"""Of a place's path: a socket's has 104 at most where there are fewest (``sun_path``, macOS), and
ssh needs 17 of these for itself for a moment.
"""
_PLAIN = re.compile(r"[\w./+-]+", re.ASCII)
"""ssh sees something in spaces, quotes, ``%`` and ``$``."""


class Masters:
    """Has the ssh client share a connection (``ControlMaster``, ssh_config(5)), in a run's own
    place: a command through it took a seventh of the time that a connection takes here. What a
    server has of sessions above its ``MaxSessions`` gets connections of its own, by the client.
    """

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._of: dict[tuple[Server, tuple[str, ...]], Path] = {}

    def options(self, server: Server, client: tuple[str, ...]) -> tuple[str, ...]:
        """What the client is given with ``-o``, before all else."""
        if sys.platform == "win32":  # its client shares none
            return ()
        if self._folder is None:
            self._folder = _folder()
        if self._folder is None:
            return ()
        path = self._of.setdefault((server, client), self._folder / str(len(self._of)))
        return "ControlMaster=auto", f"ControlPersist={PERSIST_SECONDS}", f"ControlPath={path}"

    async def close(self) -> None:
        """Closes all connections; the commands that use them have ended."""
        await asyncio.gather(
            *(
                _close(server.client(client, (f"ControlPath={path}",), "")[:-3], str(server.host))
                for (server, client), path in self._of.items()
                if path.exists()
            )
        )
        self._of.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def _folder() -> Path | None:
    """A place that ssh can be told of, as short as it must be; None: there is none."""
    for place in (tempfile.gettempdir(), *PLACES):
        if len(os.fsencode(place)) <= MOST_BYTES and _PLAIN.fullmatch(place):
            with suppress(OSError):
                return Path(tempfile.mkdtemp(prefix="mesh-", dir=place))
    return None


async def _close(client: tuple[str, ...], host: str) -> None:
    with suppress(OSError, TimeoutError):
        process = await asyncio.create_subprocess_exec(
            *client, "-O", "exit", "--", host, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await asyncio.wait_for(process.wait(), CLOSE_SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
