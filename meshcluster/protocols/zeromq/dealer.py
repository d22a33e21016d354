"""Links we dial: a DEALER socket each, which connects once: a new connection is a new link."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

import zmq

from ...interfaces import family_of, spoken, written
from ..base import Accept
from ..ports import connect
from . import monitor
from .connection import Connection
from .link import FRAMES, ZeromqLink
from .sockets import Sockets, url_of

READS_A_TURN = 16
"""Messages, before others get their turn."""


class DialledLink(ZeromqLink):
    """The dialling end. ``opened`` is done when it is connected, or will not be."""

    def __init__(self, sockets: Sockets, where: tuple[str, int] | str) -> None:
        local = isinstance(where, str)
        super().__init__(remote="" if local else where[0], local=local)
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self._where = where
        self._sockets = sockets
        self._why = ""
        self._gone = False
        self._looking = False
        self._socket = sockets.open(zmq.DEALER)
        self._socket.setsockopt(zmq.RECONNECT_IVL, -1)
        self._socket.setsockopt(zmq.IPV6, ":" in self.remote)
        self._monitor = monitor.Monitor(self._socket)
        self._fd = cast(int, self._socket.getsockopt(zmq.FD))
        self._loop.add_reader(self._fd, self._look)
        self._loop.add_reader(self._monitor.fd, self._look)
        try:
            self._socket.connect(url_of(where))
        except zmq.ZMQError as error:
            self.end("not connected")
            raise OSError(error.errno, f"{where}: {error.strerror}") from error

    def introduce(self, accept: Accept) -> None:
        """Introduces the link to its member; what came meanwhile follows.

        An empty message says which routing id is its own, so that the other end may speak first.
        """
        self._put(FRAMES)
        self.open(accept)
        self._look_soon()

    def _transmit(self, message: bytes) -> bool:
        try:
            self._socket.send(message, zmq.NOBLOCK)
        except zmq.Again:
            return False
        if self._readable:
            self._look_soon()  # sending took the signal that something came
        return True

    @property
    def _readable(self) -> bool:
        return bool(cast(int, self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN)

    def _release(self) -> None:
        for descriptor in (self._fd, self._monitor.fd):
            self._loop.remove_reader(descriptor)
        self._monitor.close()
        self._sockets.shut(self._socket)
        self.connection = None

    def _look_soon(self) -> None:
        if not self._looking:
            self._looking = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._looking = False
        if self.ended:
            return
        for event, value in self._monitor.read():
            self._happened(event, value)
        if self._receiver is None:
            return  # not introduced yet
        more = self._receive()
        if self.ended:
            return
        if more or self._readable:
            self._look_soon()
        elif self._gone:
            self.end("closed" if self._closing else self._why or "the connection ended")
            return
        self.flush()

    def _receive(self) -> bool:
        """Takes what came; True when there may be more."""
        for _ in range(READS_A_TURN):
            if self.ended:
                return False
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return False
            self.arrived(parts)
        return True

    def _is_ours(self, view: socket.socket) -> bool:
        """Whether a socket is connected as ours is, not another of this process."""
        peer = view.getpeername()
        if isinstance(peer, str) or isinstance(self._where, str):
            return bool(peer == self._where)
        return (spoken(peer), peer[1]) == self._where

    def _happened(self, event: int, value: int) -> None:
        if event == monitor.CONNECTED:
            self.connection = Connection.of(value, self._is_ours)
            _settle(self.opened)
        elif event in monitor.FAILED:
            self._why = monitor.why(event, value)
        elif event == monitor.CLOSED:
            _settle(self.opened, ConnectionRefusedError("not connected"))
        elif event == monitor.DISCONNECTED:
            self._gone = True


async def dial(sockets: Sockets, where: tuple[str, int] | str, accept: Accept) -> None:
    """Opens a link to an IP address and port, or to a UNIX socket's path.

    Raises:
        OSError: it cannot be connected.
    """
    link = DialledLink(sockets, where)
    try:
        await link.opened
    except ConnectionRefusedError:  # libzmq does not tell why it could not connect
        link.end("not connected")
        await _find_out(where)
        raise ConnectionAbortedError("libzmq could not connect") from None
    except BaseException:
        link.end("not opened")
        raise
    link.introduce(accept)


async def _find_out(where: tuple[str, int] | str) -> None:
    """Connects as any program does, to hear what the system says.

    Raises:
        OSError: it says no.
    """
    if not isinstance(where, str):
        with socket.socket(family_of(where[0]), socket.SOCK_STREAM) as probe:
            await connect(probe, written(*where))
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(probe, where)
        except FileNotFoundError:
            raise ConnectionRefusedError("no such socket") from None


def _settle(future: asyncio.Future[None], error: Exception | None = None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
