"""``Transfer``: files to a site and back: by rsync where both ends have one, else by tar."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError, TransferFailed
from . import origin
from .archive import Archive
from .mirror import refuse_empty, refuse_places, refuse_places_here, targets
from .origin import MISSING, Origin
from .rsync import NoRsync, Rsync, program
from .there import There
from .ways import Way

if TYPE_CHECKING:
    from .shell import AsyncShell

Paths = str | Path | Sequence[str | Path]


class Transfer:
    """One upload or download."""

    def __init__(self, shell: AsyncShell, way: Way, mirror: bool, args: Sequence[str]) -> None:
        if isinstance(args, str) or not all(isinstance(each, str) for each in args):
            raise ConfigError(f"args={args!r:.80}: a list of arguments for rsync")
        self._there = There(shell, way)
        self._cwd: str | None = shell.site.get("cwd")
        self._mirror = mirror
        self._args = tuple(args)
        self._without = ""
        if way.transport() is None:
            self._without = "rsync knows no way to members of the mesh"
        elif program() is None:
            self._without = "there is no rsync here"

    async def up(self, sources: Paths, dest: str) -> None:
        """See ``AsyncShell.upload``."""
        given = [origin.origin(origin.here(each)) for each in origin.texts("sources", sources)]
        target = origin.there(origin.text("dest", dest), self._cwd)
        kinds = [origin.kind_here(each) for each in given]
        self._need(given, kinds, "here")
        if self._mirror:
            refuse_empty(given, kinds, "here")
            places = targets(given, kinds, target)
            facts = await self._there.facts((), places)
            refuse_places(places, facts.homes, facts.start, facts.targets, self._there.name)
            self._know(facts.rsync)
        if rsync := self._rsync():
            try:
                return await rsync.up(given, target)
            except NoRsync as error:
                self._without = str(error)
                self._by_tar()
        await Archive(self._there, self._mirror).up(given, kinds, target)

    async def down(self, sources: Paths, dest: str | Path) -> None:
        """See ``AsyncShell.download``."""
        paths = origin.texts("sources", sources)
        given = [origin.origin(origin.there(each, self._cwd)) for each in paths]
        target = origin.here(origin.text("dest", dest))
        facts = await self._there.facts(given, ())
        self._need(given, facts.kinds, self._there.name)
        if self._mirror:
            refuse_empty(given, facts.kinds, self._there.name)
            refuse_places_here(targets(given, facts.kinds, target))
        self._know(facts.rsync)
        if rsync := self._rsync():
            try:
                return await rsync.down(given, target)
            except NoRsync as error:
                self._without = str(error)
                self._by_tar()
        await Archive(self._there, self._mirror).down(given, facts.kinds, target)

    def _need(self, sources: Sequence[Origin], kinds: Sequence[str], site: str) -> None:
        """Nothing is begun if not all are there."""
        for source, kind in zip(sources, kinds, strict=True):
            if kind == MISSING:
                what = "directory" if source.contents else "file or directory"
                raise TransferFailed(f"{site}: there is no {what} {source.path!r}")

    def _know(self, rsync: bool) -> None:
        if not rsync and not self._without:
            self._without = f"there is no rsync on {self._there.name}"

    def _rsync(self) -> Rsync | None:
        found = program()
        if not self._without and found is not None:
            return Rsync(self._there, found, self._mirror, self._args)
        self._by_tar()
        return None

    def _by_tar(self) -> None:
        if self._args:
            raise TransferFailed(
                f"{self._there.name}: {self._without}, and args= are for rsync: leave them out, "
                "or install rsync at both ends"
            )
        self._there.shell.note(f"by tar: {self._without}")
