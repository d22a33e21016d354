"""``Unpacking``: what a site has packed is put where it belongs here, and nowhere else.

The site may be anybody's. A file is put only into a directory that was made for it, or found to be
a true one, during this unpacking: so neither a name with ".." in it nor a symbolic link, be it in
the archive or here before, leads out. ``tarfile``'s own filter refuses links to absolute paths,
which many trees have; here they come over, as links, and nothing is ever written through them.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import tarfile
from collections.abc import Callable
from contextlib import suppress
from typing import IO, BinaryIO

from ..errors import TransferFailed
from ..lettering import harmless
from .process import READ_BYTES

Parts = tuple[str, ...]
LOOK = 64
"""After so many members, or pieces of one, others in the loop have their turn."""
BROKEN = (
    tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError, MemoryError,
)  # fmt: skip
"""What ``tarfile`` and the system raise at what a header says."""
OLDEST, NEWEST = -(1 << 31), 1 << 34
"""Times, in seconds, that every system can be given: 1901 to 2514."""


class Unpacking:
    """Into one directory, which is made if there is none. In a ``mirror`` a directory that is not
    empty makes way for a file, and what was not brought is deleted at the end.

    Raises:
        TransferFailed: it cannot be made.
    """

    def __init__(self, root: str, *, mirror: bool) -> None:
        self._root = root
        self._mirror = mirror
        self._folders: dict[Parts, tarfile.TarInfo | None] = {(): None}
        self._files: set[Parts] = set()
        self._top = self._name = ""
        self.skipped: list[str] = []
        try:
            if not os.path.isdir(root):
                os.mkdir(root)
        except OSError as error:
            raise TransferFailed(f"{root}: {error.strerror}") from error

    async def take(self, file: IO[bytes], top: str, name: str) -> None:
        """Unpacks the archive that begins where the file is, which is after it then.

        Its members are ``top``, which is called ``name`` here, and what is below. Both are "" where
        it is the contents of a directory.

        Raises:
            TransferFailed: the archive is broken, or has what does not belong there; or a file
                cannot be made here, as where there is no room.
        """
        self._top, self._name = top, name
        try:
            with tarfile.open(fileobj=file, mode="r:", errors="surrogateescape") as archive:
                number = 0
                while (member := archive.next()) is not None:
                    archive.members.clear()  # type: ignore[attr-defined]  # they would all be kept
                    await self._put(archive, member)
                    number += 1
                    if number % LOOK == 0:
                        await asyncio.sleep(0)
            if not number:
                raise TransferFailed("an archive came with nothing in it")
            _skip_end(file, archive.offset)
        except OSError as error:
            raise self._failed(error) from error
        except BROKEN as error:
            raise TransferFailed(
                f"what came is no whole archive: {harmless(str(error))}"
            ) from error

    def _failed(self, error: OSError) -> TransferFailed:
        """The names in an archive are of who sends it."""
        return TransferFailed(f"{harmless(str(error.filename or self._root))}: {error.strerror}")

    async def _put(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        parts = self._parts(member.name)
        if member.isdir():
            self._folder(member, parts)
            return
        if not parts or parts[:-1] not in self._folders:
            raise TransferFailed(f"{member.name!r} in the archive is in no directory of it")
        if parts in self._files or parts in self._folders:
            return  # as with rsync the first one counts
        if member.issym():
            target = member.linkname
            self._replace(parts, lambda path: os.symlink(target, path))
        elif member.islnk():
            self._again(member, parts)
        elif member.isreg():
            await self._file(archive, member, parts)
        else:
            self.skipped.append("/".join(parts))
            return
        self._files.add(parts)

    def _folder(self, member: tarfile.TarInfo, parts: Parts) -> None:
        if parts and (parts[:-1] not in self._folders or parts in self._files):
            raise TransferFailed(f"{member.name!r} in the archive is in no directory of it")
        path = self._path(parts)
        if parts not in self._folders:
            if os.path.lexists(path) and not _is_folder(path):
                os.unlink(path)
            if not os.path.isdir(path):
                os.mkdir(path, 0o700)
        if self._folders.get(parts) is None:
            self._folders[parts] = member
            os.chmod(path, 0o700)  # until all is in it

    async def _file(self, archive: tarfile.TarFile, member: tarfile.TarInfo, parts: Parts) -> None:
        source = archive.extractfile(member)
        assert source is not None
        made = self._beside(parts)
        try:
            with source, _new(made) as file:
                number = 0
                while piece := source.read(READ_BYTES):
                    file.write(piece)
                    number += 1
                    if number % LOOK == 0:
                        await asyncio.sleep(0)
            _finish(made, member)
            self._move(made, self._path(parts))
        except BaseException:
            _remove(made)
            raise

    def _again(self, member: tarfile.TarInfo, parts: Parts) -> None:
        """Another name of a file that came before: a file of its own, as rsync makes it."""
        first = self._parts(member.linkname)
        if first not in self._files or os.path.islink(self._path(first)):
            raise TransferFailed(f"{member.name!r} in the archive is a link to nothing in it")
        self._replace(parts, lambda path: shutil.copy2(self._path(first), path))

    def _replace(self, parts: Parts, make: Callable[[str], object]) -> None:
        made = self._beside(parts)
        try:
            make(made)
            self._move(made, self._path(parts))
        except BaseException:
            _remove(made)
            raise

    def _move(self, made: str, path: str) -> None:
        """As with rsync an empty directory makes way for a file, and in a mirror a full one."""
        if _is_folder(path):
            if self._mirror:
                shutil.rmtree(path)
            elif os.listdir(path):
                raise TransferFailed(f"{path}: a directory that is in the way is not empty")
            else:
                os.rmdir(path)
        os.replace(made, path)

    async def end(self) -> None:
        """All is here. In a mirror what was not brought is deleted from the directories that were;
        then these get their modes and times.

        Raises:
            TransferFailed: something cannot be deleted.
        """
        brought = [parts for parts, member in self._folders.items() if member is not None]
        try:
            for parts in brought if self._mirror else ():
                self._delete_others(parts)
                await asyncio.sleep(0)
            for parts in reversed(brought):
                member = self._folders[parts]
                assert member is not None
                _finish(self._path(parts), member)
        except OSError as error:
            raise self._failed(error) from error

    def _delete_others(self, folder: Parts) -> None:
        with os.scandir(self._path(folder)) as found:
            others = [
                each for each in found
                if (*folder, each.name) not in self._files
                and (*folder, each.name) not in self._folders
            ]  # fmt: skip
        for each in others:
            if each.is_dir(follow_symlinks=False):
                shutil.rmtree(each.path)
            else:
                os.unlink(each.path)

    def _parts(self, name: str) -> Parts:
        """Where a member belongs."""
        parts = tuple(part for part in name.split("/") if part not in ("", "."))
        if self._top:
            parts = (self._name, *parts[1:]) if parts[:1] == (self._top,) else ("..",)
        strange = os.name == "nt" and any(set(part) & set("\\:") for part in parts)
        if name.startswith("/") or ".." in parts or strange:
            raise TransferFailed(f"{name!r} in the archive does not belong there")
        return parts

    def _path(self, parts: Parts) -> str:
        return os.path.join(self._root, *parts)

    def _beside(self, parts: Parts) -> str:
        """Where a file is made before it takes the place of another one."""
        return self._path((*parts[:-1], f".meshcluster-{secrets.token_hex(8)}"))


def _skip_end(file: IO[bytes], offset: int) -> None:
    """The zeros at the end of an archive; another one may follow. ``tarfile`` takes it for ended
    where there are none, or no header, too.
    """
    end = file.seek(offset)
    while (block := file.read(tarfile.BLOCKSIZE)) and not block.strip(b"\0"):
        end += len(block)
    if end - offset < 2 * tarfile.BLOCKSIZE:
        raise tarfile.ReadError("its end is missing")
    file.seek(end)


def _finish(path: str, member: tarfile.TarInfo) -> None:
    """Its mode, but that it runs as its owner (setuid) is nothing to have from elsewhere."""
    os.chmod(path, member.mode & 0o777)
    time = max(OLDEST, min(member.mtime, NEWEST))  # in this order "nan" is no time after it, too
    os.utime(path, (time, time))


def _is_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _new(path: str) -> BinaryIO:
    return open(path, "xb")


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
