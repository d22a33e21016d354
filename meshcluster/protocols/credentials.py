"""Who is at the other end of a UNIX socket: the system knows."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

from ..claims import is_shared

NOBODY = 65534
"""What the system says of users that have no number in our user namespace: it proves nothing."""

_LINUX = struct.Struct("iII")
"""``struct ucred``: process, user, group."""

_BSD = struct.Struct("IIh")
"""The beginning of ``struct xucred``: version, user, number of groups."""

_BSD_BYTES = 76
_SOL_LOCAL = 0


def peer_uid(connected: socket.socket) -> int | None:
    """The user whose process connected a UNIX socket, or listened on it; None where the system
    cannot say, and for any other socket.

    It is who they were at that moment; what they became since, or handed the socket to, is their
    own doing.
    """
    if connected.family != getattr(socket, "AF_UNIX", None):
        return None
    try:
        if hasattr(socket, "SO_PEERCRED"):
            uid = _told_by_linux(connected)[1]
        elif hasattr(socket, "LOCAL_PEERCRED"):
            found = connected.getsockopt(_SOL_LOCAL, socket.LOCAL_PEERCRED, _BSD_BYTES)
            uid = int(_BSD.unpack_from(found)[1])
        else:
            return None
    except (OSError, struct.error):  # it has ended
        return None
    return None if uid in (NOBODY, 2**32 - 1) else uid


def _told_by_linux(connected: socket.socket) -> tuple[int, int, int]:
    found = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _LINUX.size)
    pid, uid, gid = _LINUX.unpack(found)
    return pid, uid, gid


def partner(connected: socket.socket) -> int:
    """The process that connected a UNIX socket, or listened on it, if it is proven to be of our
    user and the socket is no group's; 0: it is not, or the system cannot say.
    """
    if not hasattr(socket, "SO_PEERCRED") or not is_same_user(connected) or in_group(connected):
        return 0
    try:
        return _told_by_linux(connected)[0]
    except (OSError, struct.error):  # it has ended
        return 0


def is_same_user(connected: socket.socket) -> bool:
    """Whether it is proven that the process at the other end is of our user."""
    return hasattr(os, "geteuid") and peer_uid(connected) == os.geteuid()


def trouble_with(connected: socket.socket) -> str:
    """Why the other end of a UNIX socket has no business here, or nothing.

    It is of another user. In a group's directory that is what the directory is for: whom it lets
    in is welcome.
    """
    uid = peer_uid(connected)
    if uid is None or uid == os.geteuid():
        return ""
    return "" if in_group(connected) else f"another user is at the other end: uid {uid}"


def in_group(connected: socket.socket) -> bool:
    """Whether a UNIX socket lies in a group's directory."""
    try:
        path = connected.getsockname() or connected.getpeername()
    except OSError:  # it has ended
        return False
    return isinstance(path, str) and bool(path) and is_shared(Path(path).parent)
