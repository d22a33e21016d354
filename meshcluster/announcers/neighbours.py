"""Other meshes on this host: what knocks at the port that they share, and is theirs, is passed on.

A unicast datagram to the beacon port goes to one of the members there, the latest as a rule. For
its own mesh that suffices. What is for another mesh is handed to that mesh's meeting sockets, with
the address that it came from; as in all of the runtime directory, these are programs of one user.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import socket
import time
from contextlib import suppress
from itertools import islice
from math import inf
from pathlib import Path
from typing import Annotated

import msgspec

from ..errors import DecodeError
from ..model import Address
from ..wire import codec
from ..wire.sealed import is_sealed

PASSED = b"passed on\0"
"""What is passed on begins so: no datagram of a member does."""

MOST_NEIGHBOURS = 8
"""So many members of the other mesh get it: one may have another scope, or no room."""

MOST_MESHES = 8
MOST_SEALED = 2
"""What is sealed goes to so many members of so many meshes: it does not say whose it is."""


FEW_NEIGHBOURS = 2
"""The same where each of several meshes gets a copy."""

MOST_MESHES = 8
"""Other meshes on this host that get one."""

MOST_A_SECOND = 50
"""Sealed datagrams passed on: those of seeds are few, and who floods one port floods no others."""


class _Passed(msgspec.Struct, array_like=True, frozen=True):
    ip: str
    port: Annotated[int, msgspec.Meta(gt=0, lt=65536)]
    data: bytes


def meeting_folder(runtime_dir: Path, cluster: str, address: str, port: int) -> Path:
    """Where the members of a mesh have their sockets."""
    place = hashlib.blake2b(f"{cluster}\0{address}\0{port}".encode(), digest_size=4)
    return runtime_dir / f"meet-{place.hexdigest()}"


class Neighbours:
    """Passes on what is for others than ``cluster``; ``address`` and ``port`` are the beacons'."""

    def __init__(self, runtime_dir: Path, *, cluster: str, address: str, port: int) -> None:
        self._runtime_dir = runtime_dir
        self._cluster = cluster
        self._group = address, port
        self._since = -inf
        self._passed = 0

    def pass_on(self, data: bytes, source: Address) -> bool:
        """Whether a datagram was for another mesh, and somebody of that has it now. Who is meant by
        a sealed one only its mesh can tell: each gets a copy, and we take it as well.
        """
        if not hasattr(socket, "AF_UNIX"):
            return False
        if is_sealed(data):
            self._pass_to_all(data, source)
            return False
        try:
            cluster = codec.decode_datagram(data).cluster
        except DecodeError:
            return False
        if cluster == self._cluster:
            return False
        folder = meeting_folder(self._runtime_dir, cluster, *self._group)
        return _handed(folder, _wrapped(data, source), MOST_NEIGHBOURS) > 0

    def _pass_to_all(self, data: bytes, source: Address) -> None:
        now = time.monotonic()
        if now >= self._since + 1.0:
            self._since, self._passed = now, 0
        self._passed += 1
        if self._passed > MOST_A_SECOND:
            return
        own = meeting_folder(self._runtime_dir, self._cluster, *self._group)
        others = (each for each in self._runtime_dir.glob("meet-*") if each != own)
        for folder in islice(others, MOST_MESHES):
            _handed(folder, _wrapped(data, source), FEW_NEIGHBOURS)


def _wrapped(data: bytes, source: Address) -> bytes:
    return PASSED + msgspec.msgpack.encode(_Passed(*source, data))


def _handed(folder: Path, wrapped: bytes, most: int) -> int:
    """How many members of a mesh have it now."""
    taken = 0
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as passing:
        passing.setblocking(False)
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".sock") and taken < most:
                    with suppress(OSError):  # it is dead, or has no room
                        passing.sendto(wrapped, entry.path)
                        taken += 1
    return taken


def passed(data: bytes) -> tuple[bytes, Address] | None:
    """The datagram that a neighbour has passed on, and where it came from; None for others."""
    if not data.startswith(PASSED):
        return None
    try:
        found = msgspec.msgpack.decode(data[len(PASSED) :], type=_Passed)
        ipaddress.ip_address(found.ip)
    except (msgspec.DecodeError, ValueError):
        return None
    return found.data, (found.ip, found.port)
