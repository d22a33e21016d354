"""Links we accept: one ROUTER socket for all of them.

It names each connection by a routing id that nobody else gets, but it tells neither when one comes
nor when one goes; its monitor does, by descriptors. A connection's first message has both.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any, cast

import zmq

from ..base import Accept
from . import monitor
from .connection import Connection
from .link import ZeromqLink
from .sockets import Sockets, hand_over

READS_A_TURN = 64
"""Messages of all links, before others get their turn."""

LAST_READS = 1024
"""Messages that are looked through for the last ones of a connection that ended."""

LOOK_SECONDS = 0.02
"""Sending for one link may take the signal that another has room: paused ones are tried again."""


class AcceptedLink(ZeromqLink):
    """The accepting end: a connection of the ROUTER's."""

    def __init__(self, router: Router, connection: Connection) -> None:
        super().__init__(remote=connection.remote, local=connection.local)
        self.connection = connection
        self.routing_id = b""
        """Empty until its first message."""
        self._router = router

    def _transmit(self, message: bytes) -> bool:
        return self._router.transmit(self, message)

    def _release(self) -> None:
        if self.connection is not None:
            self.connection.cut()
        self._router.ended()


class Router:
    """Accepts on bound, listening sockets, which it takes over. ``port`` is that of the first."""

    def __init__(self, sockets: Sockets, bound: Sequence[socket.socket], accept: Accept) -> None:
        self._sockets = sockets
        self._accept: Accept | None = accept
        self._loop = asyncio.get_running_loop()
        self.port: int = bound[0].getsockname()[1]
        self._names: list[Any] = []
        self._links: dict[int, AcceptedLink] = {}
        """By descriptor, until we hear that it is closed."""
        self._speakers: dict[bytes, AcceptedLink] = {}
        """By routing id."""
        self._first: list[tuple[bytes, int, list[bytes]]] = []
        """Messages by routing ids not known yet: looked at after what happened before them."""
        self._mute: set[int] = set()
        """Descriptors whose last connection ended before we knew its routing id."""
        self._paused: set[AcceptedLink] = set()
        self._later: asyncio.TimerHandle | None = None
        self._looking = False
        self._why = ""
        self.is_open = True
        """Whether it has a socket still: for its last links, when it was closed."""
        self._socket = sockets.open(zmq.ROUTER)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._socket.setsockopt(zmq.IPV6, 1)
        self._monitor = monitor.Monitor(self._socket)
        self._fd = cast(int, self._socket.getsockopt(zmq.FD))
        self._loop.add_reader(self._fd, self._look)
        self._loop.add_reader(self._monitor.fd, self._look)
        self.listeners: list[Connection] = []
        self._listen(bound)

    def _listen(self, bound: Sequence[socket.socket]) -> None:
        self._names += [each.getsockname() for each in bound]
        self.listeners += [hand_over(each, self._socket) for each in bound]

    # --- what the handler calls --------------------------------------------------------------

    def descriptors(self) -> list[int]:
        """The listeners, for a forked child to let go of."""
        if not self.is_open:
            return []
        return [each.descriptor for each in self.listeners]

    def close(self) -> None:
        """Accepts no more. libzmq cannot stop to listen without ending the links: while there are
        some, who connects is cut off at once."""
        self._accept = None
        self.ended()

    def accept_again(self, accept: Accept, bound: Sequence[socket.socket]) -> None:
        """Accepts as before it was closed, and on these sockets besides."""
        self._accept = accept
        self._listen(bound)

    # --- what its links call -----------------------------------------------------------------

    def ended(self) -> None:
        """A link is over; after the last one of a closed router the socket is closed."""
        if self._accept is None and self.is_open and all(e.ended for e in self._links.values()):
            self.is_open = False
            if self._later is not None:
                self._later.cancel()
            for descriptor in (self._fd, self._monitor.fd):
                self._loop.remove_reader(descriptor)
            self._monitor.close()
            self._sockets.shut(self._socket)

    def transmit(self, link: AcceptedLink, message: bytes) -> bool:
        """Gives libzmq a message for a link; False when it has enough for it."""
        if not link.routing_id:
            return False  # tried again when it has said something
        try:
            self._socket.send_multipart((link.routing_id, message), zmq.NOBLOCK)
        except zmq.Again:
            self._pause(link)
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._loop.call_soon(link.end, "the connection ended")
            return True
        if self._paused or self._events & zmq.POLLIN:
            self._look_soon()  # sending took the signal that something came, or that one has room
        return True

    @property
    def _events(self) -> int:
        return cast(int, self._socket.getsockopt(zmq.EVENTS))

    def _pause(self, link: AcceptedLink) -> None:
        self._paused.add(link)
        if self._later is None:
            self._later = self._loop.call_later(LOOK_SECONDS, self._look_again)

    def _look_again(self) -> None:
        self._later = None
        self._look()

    def _look_soon(self) -> None:
        if not self._looking:
            self._looking = True
            self._loop.call_soon(self._look)

    # --- what comes --------------------------------------------------------------------------

    def _look(self) -> None:
        self._looking = False
        if not self.is_open:
            return
        happened = self._monitor.read()
        for event, value in happened:
            self._happened(event, value)
            if not self.is_open:
                return
        first, self._first = self._first, []
        for routing_id, number, parts in first:
            self._recognise(routing_id, number, parts)
        more = self._receive(READS_A_TURN)
        if not self.is_open:
            return
        if more or self._first or happened or self._events & zmq.POLLIN:
            self._look_soon()
        self._flush()

    def _flush(self) -> None:
        paused, self._paused = self._paused, set()
        for link in paused:
            link.flush()

    def _receive(self, most: int) -> bool:
        """Takes messages; True when there may be more."""
        for _ in range(most):
            if not self.is_open:
                return False
            try:
                first: Any = self._socket.recv(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return False
            parts = self._socket.recv_multipart(zmq.NOBLOCK) if first.more else []
            link = self._speakers.get(first.bytes)
            if not parts:
                continue
            if link is not None:
                link.arrived(parts)
            else:
                self._first.append((first.bytes, first.get(zmq.SRCFD), parts))
        return True

    def _recognise(self, routing_id: bytes, number: int, parts: list[bytes]) -> None:
        """A message of a connection that has not spoken before, which we have heard of by now."""
        link = self._speakers.get(routing_id)
        if link is None:
            link = self._links.get(number)
            if link is None or link.routing_id:
                return  # it has ended
            link.routing_id = routing_id
            self._speakers[routing_id] = link
            link.flush()
        link.arrived(parts)

    def _happened(self, event: int, number: int) -> None:
        if event == monitor.ACCEPTED:
            self._accepted(number)
        elif event in monitor.FAILED:
            self._why = monitor.why(event, number)  # whose it is, the next event says
        elif event == monitor.DISCONNECTED:
            self._disconnected(number)

    def _accepted(self, number: int) -> None:
        connection = Connection.of(number, self._is_ours)
        if connection is None:
            return  # it has ended
        if self._accept is None or self._is_mixed_up(number):
            connection.cut()
            return
        link = self._links[number] = AcceptedLink(self, connection)
        link.open(self._accept)

    def _is_mixed_up(self, number: int) -> bool:
        """Whether messages wait that may be this connection's, or of the one that had its number
        before: they are dropped."""
        if number not in self._mute:
            return False
        self._mute.discard(number)
        self._receive(LAST_READS)
        others = [each for each in self._first if each[1] != number]
        mixed_up = len(others) < len(self._first)
        self._first = others
        return mixed_up

    def _disconnected(self, number: int) -> None:
        why, self._why = self._why, ""
        link = self._links.get(number)
        if link is None:
            return
        if not link.ended:
            self._receive(LAST_READS)  # what it said before it went
        self._links.pop(number, None)
        if self._speakers.pop(link.routing_id, None) is None:
            self._mute.add(number)
        self._paused.discard(link)
        if why and not link.routing_id:
            link.end(why, fault=True)
        else:
            link.end("closed by the other end")

    def _is_ours(self, view: socket.socket) -> bool:
        """Whether a socket is one that we accepted, not another of this process."""
        name = view.getsockname()
        if isinstance(name, str):
            return name in self._names
        return any(not isinstance(each, str) and each[1] == name[1] for each in self._names)
