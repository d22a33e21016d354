"""Links over UNIX sockets: between processes of one user on one host."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import socket
from collections.abc import Iterable
from pathlib import Path

from ..claims import Claim
from ..errors import ConfigError
from ..model import Endpoint
from .base import Accept, Context, Props
from .stream import StreamLink, close_server

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
        self._claim = Claim(self._root / self._name)
        self._server: asyncio.AbstractServer | None = None

    async def listen(self, accept: Accept) -> Props:
        """Claims the path under the runtime directory and listens there."""
        try:
            listener = await self._claim.bind(socket.SOCK_STREAM)
        except OSError as error:
            raise ConfigError(
                f"{self._claim.path}: {error.strerror or error}; set MESHCLUSTER_RUNTIME_DIR to a "
                "directory of your own"
            ) from error
        try:
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

    async def dial(self, address: str, endpoint: Endpoint, accept: Accept) -> None:
        """Connects to the name, inside our own runtime directory only."""
        path = socket_path(self._root, endpoint.props.get("name"))
        loop = asyncio.get_running_loop()
        try:
            await loop.create_unix_connection(
                lambda: StreamLink(accept, local=True), os.fspath(path)
            )
        except FileNotFoundError:
            raise ConnectionRefusedError("no such socket") from None

    def descriptors(self) -> Iterable[int]:
        """What a forked child must let go of."""
        return self._claim.descriptors()

    def forked(self) -> None:
        """The files are the parent's to remove."""
        self._server = None
        self._claim.forked()

    async def close(self) -> None:
        """Closes and removes the socket, then the lock."""
        if self._server is not None:
            await close_server(self._server)
        self._claim.release()


def socket_path(root: Path, name: object) -> Path:
    """Where a socket of an advertised name is: always two steps below ``root``.

    Raises:
        ConnectionError: not a name that a member gives itself.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConnectionError("malformed socket name")
    return root / name
