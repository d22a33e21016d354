"""``Rsync``: the user's own rsync, over the user's own ssh client."""

from __future__ import annotations

import asyncio
import random
import re
import shlex
import shutil
import sys
from collections.abc import Sequence

from ..errors import SiteLost, SiteUnreachable, TransferFailed
from ..lettering import harmless
from .origin import Origin, here
from .process import Script
from .there import Ear, There
from .ways import DROPPED, HANDSHAKE_TRIES, PAUSE_SECONDS, SSH_FAILED, Local

UNFIT = (1, 2, 4, 126, 127)
"""Statuses of an rsync that is not there, may not be run, is too old for us, or cannot talk because
of something that a login script prints (rsync(1), EXIT VALUES).
"""
BROKEN_STREAM = 12
CUT = (10, BROKEN_STREAM)
"""What a connection that breaks ends as, too: whoever sees it first says its own status."""
_CUT = re.compile(r"\A(?!.*(code 11|No space)).*(Broken pipe|Connection reset|closed)", re.DOTALL)
"""What tells that; where the disk is full the far side says so, and closes."""
_SAFE = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
_WILD = re.compile(r"([*?[\\])")
_NEVER = re.compile(
    r"\(0 bytes received so far\)|failed to write [46] bytes|Failed to exec|^ssh: |"
    r"Permission denied|verification failed|banner exchange|kex_exchange",
    re.MULTILINE,
)
"""What tells that the ssh client never got as far as to start something there. The first that rsync
says has 4 bytes, with 3.5 it has 6.
"""
_NO_CLIENT = re.compile(r"^(rsync: .*Failed to exec|ssh: connect to|ssh: Could not)", re.MULTILINE)
"""What tells it whatever rsync's own status is: it may have seen the client's, or not any more."""


class NoRsync(Exception):
    """It has to be done without; the text says why."""


def program() -> str | None:
    """The rsync of this machine."""
    return None if sys.platform == "win32" else shutil.which("rsync")


def remote_shell(words: Sequence[str]) -> str:
    """The command for ``-e``: rsync takes it apart at spaces; within single quotes only these mean
    something, and two of them are one.
    """
    quoted = [
        word if _SAFE.fullmatch(word) else "'" + word.replace("'", "''") + "'" for word in words
    ]
    return " ".join((*quoted, "--"))


def far(host: str, path: str) -> str:
    """A path of a host. What follows the login is not read by any shell there."""
    if path == "~":
        path = "."
    elif path.startswith("~/"):
        path = f"./{path[2:]}"
    return f"[{host}]:{path}" if ":" in host else f"{host}:{path}"


def literal(path: str) -> str:
    """rsync itself looks for ``*``, ``?`` and ``[`` in sources that are elsewhere."""
    return _WILD.sub(r"\\\1", path) if any(sign in path for sign in "*?[") else path


def spelt(source: Origin) -> str:
    """As rsync wants it."""
    return source.path.rstrip("/") + "/" if source.contents else source.path


def argv(
    program: str, words: Sequence[str], sources: Sequence[str], dest: str, *, mirror: bool,
    args: Sequence[str] = (),
) -> list[str]:  # fmt: skip
    """The command line. ``words`` are the ssh client's; none: both ends are here."""
    line = [program, *(("-e", remote_shell(words), "-z") if words else ()), "-a", "-s", "--partial"]
    if mirror:
        line.append("--delete-after")  # where something could not be brought nothing is deleted
    return [*line, *args, "--", *sources, dest]


class Rsync:
    """One transfer by rsync."""

    def __init__(self, there: There, program: str, mirror: bool, args: Sequence[str]) -> None:
        self._there = there
        self._program = program
        self._mirror = mirror
        self._args = tuple(args)
        self._words = there.way.transport() or ()
        user, _, self._host = str(there.shell.site.get("host") or "").rpartition("@")
        if user and "-l" not in self._words:  # rsync would give it behind the end of its options
            self._words = (*self._words, "-l", user)

    async def up(self, sources: Sequence[Origin], dest: str) -> None:
        """Brings them there.

        Raises:
            NoRsync: there is none there, or none that can be talked to.
            TransferFailed, SiteUnreachable, SiteLost: see ``AsyncShell.upload``.
        """
        await self._run([spelt(each) for each in sources], self._far(dest))

    async def down(self, sources: Sequence[Origin], dest: str) -> None:
        """Brings them here; raises as ``up``."""
        paths = [self._far(spelt(each)) for each in sources]
        await self._run([literal(path) if self._words else path for path in paths], dest)

    def _far(self, path: str) -> str:
        return far(self._host, path) if self._words else here(path)

    async def _run(self, sources: Sequence[str], dest: str) -> None:
        line = shlex.join(
            argv(self._program, self._words, sources, dest, mirror=self._mirror, args=self._args)
        )
        for tried in range(HANDSHAKE_TRIES):
            self._there.shell.note(f"$ {line}")
            ear = Ear(self._told)
            ending = await self._there.reached(Local(), Script(line), ear)
            if ending.returncode != SSH_FAILED or not DROPPED.search(ear.errors):
                break
            await asyncio.sleep(PAUSE_SECONDS * 2**tried * random.uniform(0.5, 1.0))
        status = ending.returncode if ending.what == "exited" else BROKEN_STREAM
        for each in ear.errors.splitlines():
            self._there.shell.note(each)
        self._there.shell.note(f"rsync: exit status {status}")
        self._judge(status, ear)

    def _told(self, data: bytes) -> None:
        for each in data.decode("utf-8", "backslashreplace").splitlines():
            self._there.shell.note(each)

    def _judge(self, status: int, ear: Ear) -> None:
        if status == 0:
            return
        site = self._there.name
        failed = self._words and status == SSH_FAILED
        unfit = status in UNFIT or (status == BROKEN_STREAM and "not found" in ear.errors)
        cut = self._words and status in CUT and _CUT.search(ear.errors) and not unfit
        if (failed or cut) and not _NEVER.search(ear.errors):
            raise SiteLost(f"{site} was lost while rsync ran: {ear.why}", site)
        if self._words and (failed or _NO_CLIENT.search(ear.errors)):
            first = harmless(next(iter(ear.errors.splitlines()), ""))
            text = f"{site} is unreachable: {first or 'the ssh client failed'}"
            raise SiteUnreachable(text, site)
        if unfit and not self._args:
            raise NoRsync(ear.why)
        raise TransferFailed(f"{site}: rsync ended with {status}: {ear.why}")
