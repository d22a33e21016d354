"""The values everybody speaks of: a member's identity, its endpoints, the member as we see it.

All are immutable, so they cross threads and hooks without locks or copies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

Address = tuple[str, int]
"""An IP address as text and a port; or ``unix:``, a socket's name in the runtime directory, and 0.
"""

UNIX = "unix:"
LOOPBACK = "127.0.0.1"


def is_unix(address: Address) -> bool:
    """Whether an address is a UNIX socket's: only processes of this user send from there."""
    return address[0].startswith(UNIX)


def unix_address(member_id: bytes) -> Address:
    """Where a member's own datagram socket is, in the runtime directory."""
    return UNIX + member_id[:8].hex(), 0


def ip_of(address: Address) -> str:
    """The IP address to dial: who is reached by UNIX sockets is on this machine."""
    return LOOPBACK if is_unix(address) else address[0]


class Endpoint(msgspec.Struct, frozen=True, array_like=True):
    """One advertised way in: the protocol's scheme and what a dialler needs to know.

    A member's endpoints stand in its order of preference, best first.
    """

    scheme: str
    props: dict[str, str | int]


class Identity(msgspec.Struct, frozen=True):
    """Who a member is: a random id, the boot of this run of it, its label, its host."""

    id: bytes
    boot: int
    name: str
    host: str

    @property
    def key(self) -> bytes:
        """Id and boot as one value: what tables of members are keyed by."""
        return member_key(self.id, self.boot)


def member_key(member_id: bytes, boot: int) -> bytes:
    """Id and boot of a member as one byte string of 24 bytes."""
    return member_id + boot.to_bytes(8, "big")


class Service:
    """A member as we see it: an immutable snapshot.

    Two snapshots of one run of a member are equal and hash alike, whatever changed in between,
    so a dictionary keyed by services survives a change of tags.

    Attributes: ``id`` (32 hex digits), ``boot`` (a number, new at each start), ``name``, ``host``
    (an opaque id of its machine), ``tags`` (tuple of str, in the member's order), ``address``
    (IP address as text), ``local`` (bool: proven to be on this machine), ``endpoints`` (tuple of
    ``Endpoint``, best first), ``props`` (dict), ``words`` (what ``resolve`` matches).
    """

    key: bytes
    id: str
    boot: int
    name: str
    host: str
    tags: tuple[str, ...]
    address: str
    local: bool
    endpoints: tuple[Endpoint, ...]
    props: dict[str, Any]
    words: frozenset[str]

    __slots__ = (
        "address",
        "boot",
        "endpoints",
        "host",
        "id",
        "key",
        "local",
        "name",
        "props",
        "tags",
        "words",
    )

    def __init__(
        self,
        identity: Identity,
        *,
        tags: Iterable[str] = (),
        address: str = "",
        local: bool = False,
        endpoints: Iterable[Endpoint] = (),
        props: Mapping[str, Any] | None = None,
    ) -> None:
        member_id, tags = identity.id.hex(), tuple(tags)
        words = {*tags, identity.name, member_id, identity.host, address}
        if local:
            words.add("localhost")
        values = {
            "key": identity.key, "id": member_id, "boot": identity.boot, "name": identity.name,
            "host": identity.host, "tags": tags, "address": address, "local": local,
            "endpoints": tuple(endpoints), "props": dict(props or {}), "words": frozenset(words),
        }  # fmt: skip
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Service is a snapshot: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Service is a snapshot: {name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Service) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        tags = f" tags={','.join(self.tags)}" if self.tags else ""
        return f"<Service {self.name} {self.id[:8]} at {self.address}{tags}>"
