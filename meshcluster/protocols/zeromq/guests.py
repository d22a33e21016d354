"""Plain ZeroMQ programs that talk to a member: guests, on a port of their own.

Nothing that comes here is ever a link's, so no guest becomes a member. A guest sends one part (REQ
puts an empty one before it, and so may a DEALER) and gets two: a status and a body.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any, cast

import zmq

from ..base import Ask
from .sockets import Sockets, hand_over

OK, ERROR, NONE, BUSY = b"ok", b"error", b"none", b"busy"
"""Answered; refused or raised, the body says why; no hook answered; too many wait, try again."""

READS_A_TURN = 16
"""Messages, before others get their turn."""

OPEN_QUESTIONS = 256
"""Guests' messages that hooks have not answered; who sends further ones hears ``BUSY``."""


class Guests:
    """Takes guests' messages of up to ``limit_bytes`` on bound, listening sockets, which it takes
    over.
    """

    def __init__(
        self, sockets: Sockets, bound: Sequence[socket.socket], ask: Ask, limit_bytes: int
    ) -> None:
        self._sockets = sockets
        self._ask = ask
        self._loop = asyncio.get_running_loop()
        self._asked = 0
        self._looking = False
        self._open = True
        self._socket = sockets.open(zmq.ROUTER)
        self._socket.setsockopt(zmq.IPV6, 1)
        self._socket.setsockopt(zmq.MAXMSGSIZE, limit_bytes)
        self._fd = cast(int, self._socket.getsockopt(zmq.FD))
        self._loop.add_reader(self._fd, self._look)
        self._listeners = [hand_over(each, self._socket) for each in bound]

    def descriptors(self) -> list[int]:
        """The listeners, for a forked child to let go of."""
        return [each.descriptor for each in self._listeners] if self._open else []

    def close(self) -> None:
        """Ends it, and every guest's connection. Idempotent."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._fd)
            self._sockets.shut(self._socket)

    def _look(self) -> None:
        self._looking = False
        for _ in range(READS_A_TURN):
            if not self._open:
                return
            try:
                first: Any = self._socket.recv(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            parts = self._socket.recv_multipart(zmq.NOBLOCK) if first.more else []
            self._received(first, parts)
        self._look_soon()

    def _look_soon(self) -> None:
        if not self._looking and self._open:
            self._looking = True
            self._loop.call_soon(self._look)

    def _received(self, first: Any, parts: list[bytes]) -> None:
        envelope = [first.bytes]
        if len(parts) > 1 and not parts[0]:
            envelope.append(parts.pop(0))
        if len(parts) != 1:
            self._reply(envelope, ERROR, b"one part is expected")
        elif self._asked >= OPEN_QUESTIONS:
            self._reply(envelope, BUSY, b"")
        else:
            self._asked += 1

            def answer(status: bytes, body: bytes) -> None:
                self._asked -= 1
                self._reply(envelope, status, body)

            self._ask(_remote(first), parts[0], answer)

    def _reply(self, envelope: list[bytes], status: bytes, body: bytes) -> None:
        """To whoever is still there and reads; libzmq drops what is for nobody."""
        if self._open:
            self._socket.send_multipart([*envelope, status, body], zmq.NOBLOCK)
            self._look_soon()  # sending may take the signal that something came


def _remote(message: Any) -> str:
    try:
        return str(message.get("Peer-Address"))
    except zmq.ZMQError:
        return ""
