"""What happens below a ZeroMQ socket, which it never says itself: who came, who went, and why."""

from __future__ import annotations

import os
import struct
from typing import cast

import zmq

ACCEPTED = zmq.Event.ACCEPTED
CONNECTED = zmq.Event.CONNECTED
CLOSED = zmq.Event.CLOSED
DISCONNECTED = zmq.Event.DISCONNECTED
FAILED = (
    zmq.Event.HANDSHAKE_FAILED_NO_DETAIL,
    zmq.Event.HANDSHAKE_FAILED_PROTOCOL,
    zmq.Event.HANDSHAKE_FAILED_AUTH,
)
_WATCHED = ACCEPTED | CONNECTED | CLOSED | DISCONNECTED | FAILED[0] | FAILED[1] | FAILED[2]

_EVENT = struct.Struct("=HI")


class Monitor:
    """The events of one socket, in order. ``fd`` is readable when there may be some."""

    def __init__(self, watched: zmq.Socket[bytes]) -> None:
        self._watched = watched
        self._events = watched.get_monitor_socket(_WATCHED)
        self.fd = cast(int, self._events.getsockopt(zmq.FD))
        self.read()  # libzmq signals only those who have found nothing before

    def read(self) -> list[tuple[int, int]]:
        """What happened since: the event, and its value (a descriptor, or why it failed)."""
        events: list[tuple[int, int]] = []
        while True:
            try:
                parts = self._events.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return events
            event, value = _EVENT.unpack(parts[0])
            events.append((event, value))

    def close(self) -> None:
        """Watches no longer."""
        self._watched.disable_monitor()
        self._events.close(0)


def why(event: int, value: int) -> str:
    """The reason of a failed handshake, for people."""
    if event == zmq.Event.HANDSHAKE_FAILED_NO_DETAIL:
        return f"no ZeroMQ handshake: {os.strerror(value)}"
    return f"no ZeroMQ handshake: error {value} of the protocol"
