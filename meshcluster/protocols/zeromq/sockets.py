"""The ZeroMQ context of a handler: it ends, and its threads with it, when nobody needs it."""

from __future__ import annotations

import os
import socket
from typing import Any

import zmq

from ...wire.splitter import HEADER
from .connection import Connection
from .link import FRAMES, MESSAGE_BYTES

FRAMING_BYTES = len(FRAMES) + HEADER.size
"""What a message has beside its one large frame."""

WAITING_MESSAGES = 8
"""Messages, of about 256 KiB each at most, that libzmq holds for a connection and each way; then
the link pauses."""

HANDSHAKE_SECONDS = 5.0
"""Whoever does not speak ZeroMQ by then is put out."""

UNANSWERED_SECONDS = 5.0
"""A TCP connection whose bytes nobody acknowledges for so long has ended (Linux)."""


class Sockets:
    """Makes a handler's sockets. The context is there from the first to the last of them."""

    def __init__(self, frame_bytes: int) -> None:
        self.frame_bytes = frame_bytes
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._count = 0

    def open(self, kind: int) -> zmq.Socket[bytes]:
        """A socket that keeps our bounds, and nothing back when it is closed."""
        if self._context is None:
            self._context = zmq.Context()
        made = self._context.socket(kind)
        self._count += 1
        made.setsockopt(zmq.LINGER, 0)
        made.setsockopt(zmq.SNDHWM, WAITING_MESSAGES)
        made.setsockopt(zmq.RCVHWM, WAITING_MESSAGES)
        made.setsockopt(zmq.MAXMSGSIZE, max(self.frame_bytes, MESSAGE_BYTES) + FRAMING_BYTES)
        made.setsockopt(zmq.HANDSHAKE_IVL, round(HANDSHAKE_SECONDS * 1000))
        made.setsockopt(zmq.TCP_MAXRT, round(UNANSWERED_SECONDS * 1000))
        return made

    def shut(self, made: zmq.Socket[bytes]) -> None:
        """Closes a socket; with the last one the context, which waits until all is closed."""
        made.close(0)
        self._count -= 1
        if self._count == 0 and self._context is not None:
            context, self._context = self._context, None
            context.term()


def hand_over(bound: socket.socket, taker: zmq.Socket[bytes]) -> Connection:
    """Has a ZeroMQ socket accept on a listening one, which is its own from now on."""
    bound.setblocking(False)
    listener = Connection(bound.fileno(), os.fstat(bound.fileno()).st_ino, local=False)
    where: Any = bound.getsockname()
    taker.setsockopt(zmq.USE_FD, bound.detach())
    taker.bind(url_of(where if isinstance(where, str) else where[:2]))
    return listener


def url_of(where: tuple[str, int] | str) -> str:
    """What libzmq calls an IP address and port, or a UNIX socket's path."""
    if isinstance(where, str):
        return f"ipc://{where}"
    host, port = where
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
