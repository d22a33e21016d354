"""Links over UNIX sockets: between processes of one user on one host.

Each member has a path of its own under the runtime directory, named by its random id and guarded by
a lock file that is held as long as it lives. So a crash leaves nothing that blocks a start, a live
socket is never robbed, and whoever starts next removes what the dead left (their locks are free).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import socket
from collections.abc import Iterable
from pathlib import Path

from ..errors import ConfigError
from ..model import Endpoint
from .base import Accept, Context, Props
from .stream import StreamLink, close_server

MAX_PATH_BYTES = 103
"""The shortest limit among systems (macOS: 104 with its end)."""

LOCK_TRIES = 50
LOCK_PAUSE_SECONDS = 0.01

_NAME = re.compile(r"[0-9a-f]{8}/[0-9a-f]{16}\.sock")


class UnixHandler:
    """No options. The socket is advertised by name only, never by a path to follow."""

    scheme = "unix"
    local_only = True

    def __init__(self, context: Context) -> None:
        if context.options:
            raise ConfigError("protocol 'unix' has no options; see MESHCLUSTER_RUNTIME_DIR")
        self._root = context.runtime_dir
        cluster = hashlib.blake2b(context.cluster.encode(), digest_size=4).hexdigest()
        self._name = f"{cluster}/{context.member_id[:8].hex()}.sock"
        self._path = self._root / self._name
        self._server: asyncio.AbstractServer | None = None
        self._listener: socket.socket | None = None
        self._lock = -1

    async def listen(self, accept: Accept) -> Props:
        """Takes the lock, removes the sockets of the dead, binds with mode 0600."""
        if len(os.fsencode(self._path)) > MAX_PATH_BYTES:
            raise ConfigError(
                f"MESHCLUSTER_RUNTIME_DIR: {self._path} is longer than the {MAX_PATH_BYTES} bytes "
                "a UNIX socket's path may have; choose a shorter directory"
            )
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        self._lock = await self._take_lock()
        remove_dead(self._path.parent)
        self._path.unlink(missing_ok=True)  # ours by the lock, whoever left it
        listener = self._listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(os.fspath(self._path))
            os.chmod(self._path, 0o600)
            listener.setblocking(False)
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(
                lambda: StreamLink(accept, local=True), sock=listener, backlog=512,
                start_serving=False,
            )  # fmt: skip
        except BaseException:
            listener.close()
            raise
        await self._server.start_serving()  # apart, or asyncio loses the server when cancelled here
        return {"name": self._name}

    async def _take_lock(self) -> int:
        """Takes our lock; whoever cleans up after the dead may hold it for a moment."""
        for _ in range(LOCK_TRIES):
            with contextlib.suppress(ConfigError):
                return lock(self._path)
            await asyncio.sleep(LOCK_PAUSE_SECONDS)
        return lock(self._path)

    async def dial(self, address: str, endpoint: Endpoint, accept: Accept) -> None:
        """Connects to the name, inside our own runtime directory only."""
        name = str(endpoint.props.get("name", ""))
        if not _NAME.fullmatch(name):
            raise ConnectionError("malformed socket name")
        loop = asyncio.get_running_loop()
        try:
            await loop.create_unix_connection(
                lambda: StreamLink(accept, local=True), os.fspath(self._root / name)
            )
        except FileNotFoundError:
            raise ConnectionRefusedError("no such socket") from None

    def descriptors(self) -> Iterable[int]:
        """What a forked child must let go of."""
        listening = [self._listener.fileno()] if self._listener is not None else []
        return [*listening, self._lock]

    def forked(self) -> None:
        """The files are the parent's to remove."""
        self._server, self._lock = None, -1

    async def close(self) -> None:
        """Closes and removes the socket, then the lock."""
        if self._server is not None:
            await close_server(self._server)
        if self._lock >= 0:
            handle, self._lock = self._lock, -1  # first: a closed number is anybody's
            unlock(self._path, handle)


def lock(path: Path) -> int:
    """Takes the lock file beside a socket; returns its descriptor, which holds it.

    Raises:
        ConfigError: a live process holds it.
    """
    import fcntl  # POSIX only, as UNIX sockets are

    name = path.with_suffix(".lock")
    while True:
        handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
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
    path.unlink(missing_ok=True)
    path.with_suffix(".lock").unlink(missing_ok=True)
    os.close(handle)


def remove_dead(directory: Path) -> None:
    """Removes the sockets whose locks nobody holds; leaves all else alone."""
    for name in directory.glob("*.lock"):
        try:
            handle = lock(name.with_suffix(".sock"))
        except (ConfigError, OSError):
            continue
        unlock(name.with_suffix(".sock"), handle)


def _is_still(name: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.stat(name, follow_symlinks=False), os.fstat(handle))
    except FileNotFoundError:
        return False
