"""Other meshes on this host: what knocks at the port that they share, and is theirs, is passed on.

A unicast datagram to the beacon port goes to one of the members there, the latest as a rule. For
its own mesh that suffices. What is for another mesh is handed to that mesh's meeting sockets, with
the address that it came from; as in all of the runtime directory, these are programs of one user.
"""

from __future__ import annotations

import hashlib
import ipaddress
import itertools
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
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

    def pass_on(self, data: bytes, source: Address) -> bool:
        """Whether a datagram was for another mesh, and somebody of that has it now.

        One that is sealed may be anybody's: the others get it, and it may be ours as well.
        """
        if not hasattr(socket, "AF_UNIX"):
            return False
        own = meeting_folder(self._runtime_dir, self._cluster, *self._group)
        if is_sealed(data):
            others = (each for each in self._runtime_dir.glob("meet-*") if each != own)
            self._hand(data, source, itertools.islice(others, MOST_MESHES), MOST_SEALED)
            return False
        try:
            cluster = codec.decode_datagram(data).cluster
        except DecodeError:
            return False
        folder = meeting_folder(self._runtime_dir, cluster, *self._group)
        return folder != own and self._hand(data, source, [folder], MOST_NEIGHBOURS)

    def _hand(self, data: bytes, source: Address, folders: Iterable[Path], most: int) -> bool:
        """Whether somebody there has it now."""
        wrapped = PASSED + msgspec.msgpack.encode(_Passed(*source, data))
        taken = False
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as passing:
            passing.setblocking(False)
            for folder in folders:
                taken = _hand_to(passing, wrapped, folder, most) or taken
        return taken


def _hand_to(passing: socket.socket, wrapped: bytes, folder: Path, most: int) -> bool:
    count = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".sock") and count < most:
                with suppress(OSError):  # it is dead, or has no room
                    passing.sendto(wrapped, entry.path)
                    count += 1
    return count > 0


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
