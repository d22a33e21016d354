"""The system's socket below a ZeroMQ connection: libzmq has it and tells its number alone.

ROUTER sockets cannot end one connection, and a number may be another file's by the time we hear of
it. So what it was when it was ours is remembered, and looked at before anything is done to it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable


class Connection:
    """One connection of libzmq's. ``remote``: the other end's IP address, empty on UNIX sockets."""

    def __init__(self, descriptor: int, inode: int, remote: str, *, local: bool) -> None:
        self._descriptor = descriptor
        self._inode = inode
        self.remote = remote
        self.local = local

    @classmethod
    def of(cls, number: int, is_ours: Callable[[socket.socket], bool]) -> Connection | None:
        """What ``number`` stands for; None when it is closed by now, or no socket of ours."""
        try:
            with socket.socket(fileno=os.dup(number)) as view:
                if not is_ours(view):
                    return None
                local = view.family == getattr(socket, "AF_UNIX", None)
                remote = "" if local else str(view.getpeername()[0])
                return cls(number, os.fstat(view.fileno()).st_ino, remote, local=local)
        except OSError:
            return None

    @property
    def descriptor(self) -> int:
        """Its number; -1 once that is closed or another file's."""
        try:
            same = os.fstat(self._descriptor).st_ino == self._inode
        except OSError:
            return -1
        return self._descriptor if same else -1

    def cut(self) -> None:
        """Ends it now: libzmq notices, closes it and tells."""
        try:
            with socket.socket(fileno=os.dup(self._descriptor)) as view:
                if os.fstat(view.fileno()).st_ino == self._inode:
                    view.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has ended
