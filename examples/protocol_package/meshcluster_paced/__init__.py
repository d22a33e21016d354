"""TCP that sends no more than so many bytes a second: for links that others need as well."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from meshcluster import Endpoint
from meshcluster.protocols import Accept, Context, StreamLink, port_of


class PacedLink(StreamLink):
    """Frames wait here until their time has come; while some do, the sender is asked to pause."""

    def __init__(self, accept: Accept, bytes_a_second: float) -> None:
        super().__init__(accept)
        self._pace = bytes_a_second
        self._free_at = 0.0
        self._waiting: list[bytes] = []
        self._closing = False

    def send(self, frames: Sequence[bytes]) -> None:
        self._waiting.extend(frames)
        if self._waiting and not self._closing:
            self.pause_writing()
        self._write()

    def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting and loop.time() >= self._free_at:
            frame = self._waiting.pop(0)
            self._free_at = max(self._free_at, loop.time()) + len(frame) / self._pace
            super().send([frame])
        if self._waiting:
            loop.call_at(self._free_at, self._write)
        elif self._closing:
            super().close()
        else:
            self.resume_writing()

    def close(self) -> None:
        self._closing = True
        self._write()

    def abort(self) -> None:
        self._waiting.clear()
        super().abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.clear()
        super().connection_lost(exc)


class PacedHandler:
    """Options: ``bytes_a_second``, of each link."""

    scheme = "paced"
    local_only = False

    def __init__(self, context: Context) -> None:
        self._host = "127.0.0.1" if context.host_only else "0.0.0.0"
        self._pace = float(context.options.get("bytes_a_second", 1_000_000))
        self._server: asyncio.Server | None = None

    async def listen(self, accept: Accept) -> dict[str, str | int]:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: PacedLink(accept, self._pace), self._host, 0
        )
        return {"port": self._server.sockets[0].getsockname()[1]}

    async def dial(self, address: str, endpoint: Endpoint, accept: Accept) -> None:
        loop, port = asyncio.get_running_loop(), port_of(endpoint)
        await loop.create_connection(lambda: PacedLink(accept, self._pace), address, port)

    def descriptors(self) -> list[int]:
        return [each.fileno() for each in self._server.sockets] if self._server else []

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()


__all__: Any = ("PacedHandler", "PacedLink")
