"""The system's socket below a ZeroMQ connection: libzmq has it and tells its number alone.

ROUTER sockets cannot end one connection, and a number may be another file's by the time we hear of
it. So what it was when it was ours is remembered, and looked at before anything is done to it.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ...interfaces import spoken
from ..credentials import is_same_user, trouble_with


@contextmanager
def _view(number: int) -> Iterator[tuple[socket.socket, int]]:
    """A socket object for the time being, and the inode it is known by.

    Raises:
        OSError: nothing of that number, or no socket.
    """
    copy = os.dup(number)
    try:
        found = os.fstat(copy)
        if not stat.S_ISSOCK(found.st_mode):
            raise OSError("no socket")
        view = socket.socket(fileno=copy)
    except BaseException:
        os.close(copy)
        raise
    with view:
        yield view, found.st_ino


class Connection:
    """One connection of libzmq's. ``remote``: the other end's IP address, empty on UNIX sockets."""

    def __init__(self, descriptor: int, inode: int, remote: str = "", *, local: bool) -> None:
        self._descriptor = descriptor
        self._inode = inode
        self.remote = remote
        self.local = local
        self.same_user = False
        """Whether it is proven that the other end is a process of our user."""
        self.trouble = ""
        """Why the other end has no business here, if that is so."""

    @classmethod
    def of(cls, number: int, is_ours: Callable[[socket.socket], bool]) -> Connection | None:
        """What ``number`` stands for; None when it is closed by now, or no socket of ours."""
        try:
            with _view(number) as (view, inode):
                if not is_ours(view):
                    return None
                local = view.family == getattr(socket, "AF_UNIX", None)
                remote = "" if local else spoken(view.getpeername())
                found = cls(number, inode, remote, local=local)
                if local:
                    found.same_user, found.trouble = is_same_user(view), trouble_with(view)
                return found
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
            with _view(self._descriptor) as (view, inode):
                if inode == self._inode:
                    view.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has ended
