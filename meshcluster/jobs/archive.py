"""``Archive``: where there is no rsync files are brought by tar, any way that commands can go."""

from __future__ import annotations

import os
import posixpath
import secrets
import shlex
import tempfile
from collections.abc import Iterable, Sequence

from ..errors import TransferFailed
from .origin import FILE, Origin, shell_word
from .packing import Packed
from .there import There
from .unpacking import Unpacking

_PLAIN = "$(tar --version 2>/dev/null | grep GNU >/dev/null && echo --no-unquote) "
"""GNU's tar alone takes a backslash in a name that it is given for the beginning of an escape."""

_WAY = """for n; do case $n in
*/) n=${n%/}; if [ -L "$n" ] || { [ -e "$n" ] && [ ! -d "$n" ]; }; then rm -f "$n" || exit 255; fi;;
*) if [ -d "$n" ] && [ ! -L "$n" ]; then rm -rf "$n" || exit 255; fi;;
esac; done"""
"""Deletes what is of another kind than what is to come; at 255 ``xargs`` gives up. Directories are
said, with a "/", before what is in them: no link is left to lead out when that has its turn.
"""


class Archive:
    """One transfer by tar: Python's own here, the site's ``tar`` there, with ``find`` and ``xargs``
    for a mirror.

    Contents, modes, times in whole seconds, symbolic links and empty directories are the same after
    it. Whose the files are is not brought: they are of who unpacks them.
    """

    def __init__(self, there: There, mirror: bool) -> None:
        self._there = there
        self._mirror = mirror

    async def up(self, sources: Sequence[Origin], kinds: Sequence[str], dest: str) -> None:
        """Brings them there.

        Raises:
            TransferFailed, SiteUnreachable, SiteLost: see ``AsyncShell.upload``.
        """
        packed = Packed()
        try:
            for source in sources:
                await packed.add(source)
            self._skipped(packed.skipped)
            self._there.shell.note(f"{packed.size} bytes by tar to {dest}")
            named = _is_name(sources, kinds, dest)
            script = _unpack_as(sources[0].name, dest) if named else _unpack_in(dest)
            said = bytearray()
            if self._mirror and (tops := _tops(packed)):
                script += f" && CDPATH= cd {shell_word(dest)} && find {tops} -print0"
            if self._mirror:
                way = _each(dest, f"sh -c {shlex.quote(_WAY)} sh")
                way = f"[ ! -d {shell_word(dest)} ] || {way}"
                await self._there.run("making way", way, len, _listed(_marked(packed)))
            await self._there.run("unpacking", script, said.extend, packed)
        finally:
            packed.close()
        if extra := _extra(bytes(said), packed):
            remove, listed = _each(dest, "rm -rf"), _listed(extra)
            await self._there.run("deleting what is not in the sources", remove, len, listed)

    async def down(self, sources: Sequence[Origin], kinds: Sequence[str], dest: str) -> None:
        """Brings them here; raises as ``up``."""
        root, named = _root(dest, _is_name(sources, kinds, dest))
        script = " && ".join(_pack(each) for each in sources)
        try:
            with tempfile.TemporaryFile(dir=_room(root)) as file:
                await self._there.run("packing", script, file.write)
                self._there.shell.note(f"{file.tell()} bytes by tar to {dest}")
                file.seek(0)
                unpacking = Unpacking(root, mirror=self._mirror)
                for each in sources:
                    name = os.path.basename(dest) if named else each.name
                    await unpacking.take(file, each.name, name)
                await unpacking.end()
        except OSError as error:
            raise TransferFailed(f"here: {error.strerror}") from error
        self._skipped(unpacking.skipped)

    def _skipped(self, names: Sequence[str]) -> None:
        for name in names:
            self._there.shell.note(f"left out: {name} is neither file nor directory nor link")


def _is_name(sources: Sequence[Origin], kinds: Sequence[str], dest: str) -> bool:
    """Whether ``dest`` is what one file is to be called, if it is no directory already."""
    inside = posixpath.basename(dest) in ("", ".", "..", "~")
    return len(sources) == 1 and kinds[0] == FILE and not inside


def _unpack_in(dest: str) -> str:
    """Takes an archive into a directory, which is made if there is none."""
    word = shell_word(dest)
    return f"{{ [ -d {word} ] || mkdir {word}; }} && tar -xpo -f - -C {word}"


def _unpack_as(name: str, dest: str) -> str:
    """Takes an archive of one file; it has its name when all of it is there."""
    word, name = shell_word(dest), shlex.quote(name)
    beside = shell_word(posixpath.join(posixpath.dirname(dest), f".mc-{secrets.token_hex(8)}"))
    return (
        f"if [ -d {word} ]; then tar -xpo -f - -C {word}; else ("
        f"t={beside}; trap 'rm -rf \"$t\"' EXIT; trap 'exit 1' TERM HUP INT; "
        f'mkdir "$t" && tar -xpo -f - -C "$t" && mv -f "$t"/{name} {word}); fi'
    )


def _pack(source: Origin) -> str:
    what = "." if source.contents else shlex.quote(f"./{source.name}")
    plain = _PLAIN if "\\" in what else ""
    return f"(CDPATH= cd {shell_word(source.folder)} && tar {plain}-cf - {what})"


def _each(dest: str, command: str) -> str:
    """Has a command done in a directory with all that are listed."""
    return f"{{ CDPATH= cd {shell_word(dest)} && xargs -0 {command}; }}"


def _listed(names: Iterable[str]) -> bytes:
    return b"".join(os.fsencode(f"./{name}") + b"\0" for name in names)


def _marked(packed: Packed) -> list[str]:
    """All that is to come, in its order; what is a directory ends with "/". What is in no directory
    that comes is not named: a link that is there may be what it would be in.
    """
    folders = packed.folders
    known = {"", *folders}
    return [
        f"{name}/" if name in folders else name for name in packed.names
        if name != "." and posixpath.dirname(name) in known
    ]  # fmt: skip


def _tops(packed: Packed) -> str:
    """The directories that are mirrored, for ``find``."""
    folders = packed.folders
    if "." in folders:
        return "."
    return " ".join(shlex.quote(f"./{name}") for name in sorted(folders) if "/" not in name)


def _extra(found: bytes, packed: Packed) -> list[str]:
    """What is there, of what ``find`` says, in a directory that was brought, and was not brought
    itself. What is below is not named.
    """
    names, folders = packed.names, packed.folders
    paths = (os.fsdecode(each).removeprefix("./") for each in found.split(b"\0") if each)
    return [
        path for path in paths
        if path not in names and (posixpath.dirname(path) or ".") in folders
    ]  # fmt: skip


def _root(dest: str, named: bool) -> tuple[str, bool]:
    """The directory to unpack in, and whether ``dest`` is a name in it.

    Raises:
        TransferFailed: there is none that it could be made in.
    """
    named = named and not os.path.isdir(dest)
    root = os.path.dirname(dest) if named else dest
    if not os.path.isdir(root if named else os.path.dirname(root.rstrip("/")) or "/"):
        raise TransferFailed(f"here: there is no directory that {dest!r} could be made in")
    return root, named


def _room(root: str) -> str:
    """A directory that is on the same disk as what is to come."""
    return root if os.path.isdir(root) else os.path.dirname(root.rstrip("/"))
