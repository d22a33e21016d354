"""``Packed``: files of this machine as a tar archive, made while it is read."""

from __future__ import annotations

import asyncio
import os
import stat
import tarfile
from collections.abc import AsyncIterator, KeysView
from typing import BinaryIO

from ..errors import TransferFailed
from .origin import Origin
from .process import READ_BYTES

LOOK = 256
"""After so many files others in the loop have their turn."""


class Packed:
    """What an archive is to have in it; read once, as a ``Source``.

    In GNU's own format, which any tar of the last thirty years reads, with times in whole seconds.
    Owners are left out; a file with several names is several files; sockets, pipes and devices are
    left out, and are in ``skipped``.
    """

    def __init__(self) -> None:
        self._members: dict[str, tuple[tarfile.TarInfo, str]] = {}
        self._reading: BinaryIO | None = None
        self.size = 2 * tarfile.BLOCKSIZE
        self.skipped: list[str] = []

    @property
    def names(self) -> KeysView[str]:
        """Of all members, a directory's before those in it; "." is the directory that they are
        unpacked in.
        """
        return self._members.keys()

    @property
    def folders(self) -> set[str]:
        """Those that are directories."""
        return {name for name, (info, _) in self._members.items() if info.isdir()}

    async def add(self, source: Origin) -> None:
        """Has it brought, by its name. What was added before with the same name stays.

        Raises:
            TransferFailed: something in it cannot be read.
        """
        waiting = [(source.path, source.name or ".")]
        looked = 0
        while waiting:
            path, name = waiting.pop()
            looked += 1
            if looked % LOOK == 0:
                await asyncio.sleep(0)
            try:
                if self._take(path, name, follow=source.contents and path == source.path):
                    inside = "" if name == "." else f"{name}/"
                    found = sorted(os.listdir(path), reverse=True)
                    waiting += [(f"{path}/{each}", inside + each) for each in found]
            except OSError as error:
                raise TransferFailed(f"{path}: {error.strerror}") from error

    def _take(self, path: str, name: str, *, follow: bool) -> bool:
        """Whether it is a directory."""
        found = os.stat(path) if follow else os.lstat(path)
        kind = _KINDS.get(stat.S_IFMT(found.st_mode))
        if kind is None:
            self.skipped.append(path)
            return False
        if name in self._members:
            return kind == tarfile.DIRTYPE
        info = tarfile.TarInfo(name if name == "." else f"./{name}")
        info.type, info.mode, info.mtime = kind, stat.S_IMODE(found.st_mode), int(found.st_mtime)
        if kind == tarfile.SYMTYPE:
            info.linkname = os.readlink(path)
        elif kind == tarfile.REGTYPE:
            if not os.access(path, os.R_OK):
                raise PermissionError(0, "it may not be read")
            info.size = found.st_size
        self._members[name] = (info, path)
        self.size += len(_head(info)) + info.size + _padding(info.size)
        return kind == tarfile.DIRTYPE

    async def pieces(self) -> AsyncIterator[bytes]:
        """See ``Source``.

        Raises:
            TransferFailed: a file is not as long any more, or cannot be read.
        """
        waiting = bytearray()
        for info, path in self._members.values():
            waiting += _head(info)
            left = info.size
            if left:
                self._open(path)
            while left:
                piece = self._read(path, min(left, READ_BYTES))
                left -= len(piece)
                waiting += piece
                if len(waiting) >= READ_BYTES:
                    yield bytes(waiting)
                    waiting.clear()
            self.close()
            waiting += bytes(_padding(info.size))
        yield bytes(waiting) + bytes(2 * tarfile.BLOCKSIZE)

    def _open(self, path: str) -> None:
        try:
            self._reading = open(path, "rb")
        except OSError as error:
            raise TransferFailed(f"{path}: {error.strerror}") from error

    def _read(self, path: str, most: int) -> bytes:
        assert self._reading is not None
        try:
            piece = self._reading.read(most)
        except OSError as error:
            raise TransferFailed(f"{path}: {error.strerror}") from error
        if not piece:
            raise TransferFailed(f"{path} became shorter while it was read")
        return piece

    def close(self) -> None:
        """Of a file that was not read to its end nothing is left open."""
        if self._reading is not None:
            self._reading.close()
            self._reading = None


_KINDS = {
    stat.S_IFREG: tarfile.REGTYPE, stat.S_IFDIR: tarfile.DIRTYPE, stat.S_IFLNK: tarfile.SYMTYPE,
}  # fmt: skip


def _head(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _padding(size: int) -> int:
    return -size % tarfile.BLOCKSIZE
