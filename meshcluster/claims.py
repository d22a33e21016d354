"""UNIX sockets claimed by a live process: how members of one user share a directory.

Each member has a path of its own there, named by its random id and guarded by a lock file that is
held as long as it lives. So a crash leaves nothing that blocks a start, a live socket is never
robbed, and whoever comes by removes what the dead left (their locks are free).

The directory says for whom: in one of a group (mode 2770) all that is made is the group's, in any
other it is its user's alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from .errors import ConfigError

MAX_PATH_BYTES = 103
"""The shortest limit among systems (macOS: 104 with its end)."""

SHARED_MODE = stat.S_ISGID | 0o770

LOCK_TRIES = 50
LOCK_PAUSE_SECONDS = 0.01


class Claim:
    """A socket's path, ours from ``bind`` to ``release``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = -1
        self._bound: socket.socket | None = None

    async def bind(self, kind: socket.SocketKind) -> socket.socket:
        """Takes the lock, removes what the dead left, binds a non-blocking socket, mode 0600, or
        0660 in a group's directory.

        Raises:
            ConfigError: the path is too long, or belongs to a live process.
            OSError: the directory cannot be used.
        """
        if len(os.fsencode(self.path)) > MAX_PATH_BYTES:
            raise ConfigError(
                f"MESHCLUSTER_RUNTIME_DIR: {self.path} is longer than the {MAX_PATH_BYTES} bytes "
                "a UNIX socket's path may have; choose a shorter directory"
            )
        make_folder(self.path.parent)
        self._lock = await self._take_lock()
        try:
            remove_dead(self.path.parent)
            self.path.unlink(missing_ok=True)  # ours by the lock, whoever left it
            return self._bind(kind)
        except BaseException:  # a later try takes it again
            handle, self._lock = self._lock, -1
            os.close(handle)
            raise

    def _bind(self, kind: socket.SocketKind) -> socket.socket:
        bound = self._bound = socket.socket(socket.AF_UNIX, kind)
        try:
            bound.bind(os.fspath(self.path))
            os.chmod(self.path, 0o660 if is_shared(self.path.parent) else 0o600)
            bound.setblocking(False)
        except BaseException:
            bound.close()
            raise
        return bound

    async def _take_lock(self) -> int:
        """Takes our lock; whoever cleans up after the dead may hold it for a moment."""
        for _ in range(LOCK_TRIES):
            with contextlib.suppress(ConfigError):
                return lock(self.path)
            await asyncio.sleep(LOCK_PAUSE_SECONDS)
        return lock(self.path)

    def descriptors(self) -> Iterable[int]:
        """What a forked child must let go of: the lock, and the socket as long as it is open."""
        return [self._lock, *([self._bound.fileno()] if self._bound is not None else [])]

    def forked(self) -> None:
        """In a forked child: the files are the parent's to remove."""
        self._lock = -1

    def release(self) -> None:
        """Removes the socket and its lock. Idempotent."""
        if self._lock >= 0:
            handle, self._lock = self._lock, -1  # first: a closed number is anybody's
            unlock(self.path, handle)


def is_shared(directory: Path) -> bool:
    """Whether a directory is a group's: what is made in it gets its group, whose members may use
    it.
    """
    try:
        return directory.stat().st_mode & SHARED_MODE == SHARED_MODE
    except OSError:
        return False


def make_folder(folder: Path) -> None:
    """Makes a directory that is as private as the one it is in; one that is there is left alone.

    Raises:
        OSError: it cannot be made.
    """
    if not is_shared(folder.parent):
        folder.mkdir(mode=0o700, exist_ok=True)
    elif not folder.is_dir():
        make_shared(folder)


def make_shared(folder: Path, gid: int = -1) -> None:
    """Makes a directory for a group, by default that of the directory it is in.

    It is complete when it gets its name, whatever the umask is: whoever comes meanwhile would
    find it closed. One that others made is left alone, and so is one that has something in it.

    Raises:
        OSError: it cannot be made.
    """
    made = tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent)
    try:
        os.chown(made, -1, gid)
        os.chmod(made, SHARED_MODE)
        os.rename(made, folder)
    except OSError:
        os.rmdir(made)
        if not folder.is_dir():
            raise


def lock(path: Path) -> int:
    """Takes the lock file beside a socket; returns its descriptor, which holds it.

    Raises:
        ConfigError: a live process holds it.
    """
    import fcntl  # POSIX only, as UNIX sockets are

    name = path.with_suffix(".lock")
    while True:
        handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if is_shared(path.parent):
            with contextlib.suppress(PermissionError):  # it is another member's, who did it
                os.fchmod(handle, 0o660)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise ConfigError(f"{path} belongs to a live process") from None
        if _is_still(name, handle):
            return handle
        os.close(handle)  # somebody removed it between open and lock: lock the new one


def unlock(path: Path, handle: int) -> None:
    """Removes a socket and its lock file, then lets go of the lock."""
    try:
        path.unlink(missing_ok=True)
        path.with_suffix(".lock").unlink(missing_ok=True)
    finally:
        os.close(handle)


def remove_dead(directory: Path) -> None:
    """Removes the sockets whose locks nobody holds; leaves all else alone."""
    for name in directory.glob("*.lock"):
        remove_if_dead(name.with_suffix(".sock"))


def remove_if_dead(path: Path) -> bool:
    """Removes a socket if nobody holds its lock; says whether nobody does."""
    try:
        unlock(path, lock(path))
    except (ConfigError, OSError):
        return False
    return True


def is_dead(path: Path) -> bool:
    """Whether a socket's lock is there and nobody holds it; nothing is removed."""
    import fcntl

    try:
        handle = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(handle)


def _is_still(name: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.stat(name, follow_symlinks=False), os.fstat(handle))
    except FileNotFoundError:
        return False
