"""The values everybody speaks of: a member's identity, its endpoints, the member as we see it.

All are immutable, so they cross threads and hooks without locks or copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import msgspec

from .errors import NotJoined
from .resolver import passes

Address = tuple[str, int]
"""An IP address as text and a port; or ``unix:``, a socket's name in the runtime directory, and 0;
or ``here:``, whatever another package's announcer calls somebody on this host, and any number.
"""

UNIX = "unix:"
HERE = "here:"
UDP = "udp"
"""The scheme of messages in datagrams: it has no links, and is always the last choice."""

LOOPBACK = "127.0.0.1"


def is_unix(address: Address) -> bool:
    """Whether an address is a UNIX socket's: only processes of this user send from there."""
    return address[0].startswith(UNIX)


def is_named(address: Address) -> bool:
    """Whether an address is no IP address, but a name: what comes from there is on this host."""
    return address[0].startswith((UNIX, HERE))


def unix_address(member_id: bytes) -> Address:
    """Where a member's own datagram socket is, in the runtime directory."""
    return UNIX + member_id[:8].hex(), 0


def ip_of(address: Address) -> str:
    """The IP address to dial: who is reached by a name is on this machine."""
    return LOOPBACK if is_named(address) else address[0]


NOTHING: Mapping[str, Any] = MappingProxyType({})
"""What most members say beside their tags: one for all of them."""


class Endpoint(msgspec.Struct, frozen=True, array_like=True):
    """One advertised way in: the protocol's scheme and what a dialler needs to know.

    A member's endpoints stand in its order of preference, best first.
    """

    scheme: str
    props: dict[str, str | int]


_pack = msgspec.msgpack.encode
_unpack = msgspec.msgpack.Decoder(tuple[Endpoint, ...]).decode


@lru_cache(maxsize=256)
def _shared(schemes: tuple[str, ...]) -> tuple[str, ...]:
    return schemes


class Packed(Sequence[Endpoint]):
    """Endpoints kept as bytes: of thousands of members most are never dialled, and an eighth of the
    memory does. ``schemes`` are theirs, at once.
    """

    __slots__ = ("data", "schemes")

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        endpoints = tuple(endpoints)
        self.data = _pack(endpoints)
        self.schemes = _shared(tuple([endpoint.scheme for endpoint in endpoints]))

    def __getitem__(self, place: Any) -> Any:
        return _unpack(self.data)[place]

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(_unpack(self.data))

    def __len__(self) -> int:
        return len(self.schemes)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Packed):
            return self.data == other.data
        return isinstance(other, tuple) and _unpack(self.data) == other

    def __hash__(self) -> int:
        return hash(self.data)

    def __repr__(self) -> str:
        return repr(_unpack(self.data))


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


ID_BYTES = 16


def member_key(member_id: bytes, boot: int) -> bytes:
    """Id and boot of a member as one byte string of 24 bytes."""
    return member_id + boot.to_bytes(8, "big")


class Door(Protocol):
    """What stands behind a ``Service``: the cluster that knows it."""

    @property
    def send(self) -> Callable[..., Any]:
        """Sends something; see ``Cluster.send``."""

    @property
    def query(self) -> Callable[..., Any]:
        """Asks something; see ``Cluster.query``."""

    def _standing(self, service: Service) -> Standing: ...


class Standing(NamedTuple):
    """How a member stands right now, as we see it.

    ``state``: "alive"; "suspect", it is overdue and being asked; "told", only a member's word
    speaks for it so far; "gone". ``last_seen``: seconds since it was heard, None when it is gone.
    ``protocol``: the scheme that carries what we send it, "" when there is none.
    """

    state: str
    last_seen: float | None
    protocol: str


GONE = Standing("gone", None, "")

LEFT = "left"
"""It said goodbye."""
CRASHED = "crashed"
"""Its host answers that the process is gone."""
UNREACHABLE = "unreachable"
"""It answered nobody any more: its host, its network or the process stopped."""
EXPIRED = "expired"
"""It was not heard for ``expire_seconds``, and nobody could be asked."""
CONFLICT = "conflict"
"""It is not whom others said it was."""
REFUSED = "refused"
"""A ``service.validate`` hook does not want it."""


class Service:
    """A member as we see it: an immutable snapshot, and our handle on it.

    Two snapshots of one run of a member are equal and hash alike, whatever changed in between,
    so a dictionary keyed by services survives a change of tags.

    Attributes: ``id`` (32 hex digits), ``boot`` (a number, new at each start), ``name``, ``host``
    (an opaque id of its machine, new at each boot of that), ``tags`` (tuple of str, in the member's
    order), ``address`` (IP address as text), ``local`` (bool: proven to be on this machine),
    ``lan`` (bool: its address is in a network of ours), ``authenticated`` (bool: it proved that it
    has a key of ours: the secret, or the host key of our user), ``endpoints`` (tuple of
    ``Endpoint``, best first), ``props`` (what else it says of itself), ``offers`` (what it says of
    each of its mailboxes, by name), ``words`` (what ``resolve`` matches), ``reason`` ("" for a
    member; in what ``service.lost`` hooks get why: "left", "crashed", "unreachable", "expired",
    "conflict" or "refused"). ``sid``, ``hid`` and ``ip`` are other
    names of id, host and address. ``state``, ``last_seen``, ``protocol`` are not of the snapshot
    but of now.
    """

    key: bytes
    name: str
    host: str
    tags: tuple[str, ...]
    address: str
    local: bool
    lan: bool
    authenticated: bool
    props: Mapping[str, Any]
    offers: Mapping[str, Any]
    reason: str
    _door: Door | None
    _endpoints: Sequence[Endpoint]
    _words: frozenset[str] | None

    __slots__ = (
        "_door",
        "_endpoints",
        "_words",
        "address",
        "authenticated",
        "host",
        "key",
        "lan",
        "local",
        "name",
        "offers",
        "props",
        "reason",
        "tags",
    )

    def __init__(
        self,
        identity: Identity,
        *,
        tags: Iterable[str] = (),
        address: str = "",
        local: bool = False,
        lan: bool = False,
        authenticated: bool = False,
        endpoints: Iterable[Endpoint] = (),
        props: Mapping[str, Any] | None = None,
        offers: Mapping[str, Any] | None = None,
        reason: str = "",
        door: Door | None = None,
    ) -> None:
        packed = isinstance(endpoints, Packed)
        values = {
            "key": identity.key, "name": identity.name, "host": identity.host,
            "tags": tuple(tags), "address": address, "local": local, "lan": lan or local,
            "authenticated": authenticated,
            "_endpoints": endpoints if packed else tuple(endpoints),
            "props": MappingProxyType(dict(props)) if props else NOTHING,
            "offers": MappingProxyType(dict(offers)) if offers else NOTHING,
            "_words": None, "reason": reason, "_door": door,
        }  # fmt: skip
        for name, value in values.items():
            object.__setattr__(self, name, value)

    # --- what it is --------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """32 hex digits."""
        return self.key[:ID_BYTES].hex()

    @property
    def boot(self) -> int:
        """A number, new at each start."""
        return int.from_bytes(self.key[ID_BYTES:])

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Its ways in, best first."""
        return tuple(self._endpoints)

    @property
    def words(self) -> frozenset[str]:
        """What ``resolve`` matches. Kept from the first time on: of thousands few are asked."""
        words = self._words
        if words is None:
            words = self.listed_words()
            object.__setattr__(self, "_words", words)
        return words

    def listed_words(self) -> frozenset[str]:
        """The same, not kept."""
        words = {*self.tags, self.name, self.id, self.host, self.address}
        return frozenset({*words, "localhost"} if self.local else words)

    @property
    def sid(self) -> str:
        """The same as ``id``."""
        return self.id

    @property
    def hid(self) -> str:
        """The same as ``host``."""
        return self.host

    @property
    def ip(self) -> str:
        """The same as ``address``."""
        return self.address

    @property
    def uuid(self) -> str:
        """Id and host as one word: unique in any mesh."""
        return f"{self.id}@{self.host}"

    @property
    def info(self) -> dict[str, Any]:
        """Everything known of it now, as a dict of plain values."""
        state, last_seen, protocol = self.standing
        endpoints = [{"scheme": e.scheme, **e.props} for e in self.endpoints]
        return {
            "id": self.id, "boot": self.boot, "name": self.name, "state": state,
            "protocol": protocol, "address": self.address, "tags": list(self.tags),
            "local": self.local, "lan": self.lan, "authenticated": self.authenticated,
            "host": self.host, "last_seen": last_seen,
            "endpoints": endpoints, "props": dict(self.props), "offers": dict(self.offers),
            "reason": self.reason,
        }  # fmt: skip

    def resolve(self, *words: str) -> bool:
        """Whether it has every one of these words; see ``Cluster.resolve``."""
        return self.words.issuperset(words)

    def resolver(self, *tests: str | Sequence[str]) -> bool:
        """Whether it passes every test; see ``Cluster.resolver``.

        Raises:
            ConfigError: no tests that can be understood.
        """
        return passes(self.words, self.tags, tests)

    def lost(self, reason: str) -> Service:
        """The same member, lost for this reason."""
        gone: Service = object.__new__(Service)
        for name in Service.__slots__:
            object.__setattr__(gone, name, getattr(self, name))
        object.__setattr__(gone, "reason", reason)
        return gone

    # --- how it stands now -------------------------------------------------------------------

    @property
    def standing(self) -> Standing:
        """State, last_seen and protocol, read at one moment."""
        return GONE if self._door is None else self._door._standing(self)

    @property
    def state(self) -> str:
        """ "alive", "suspect", "told" or "gone": see ``Standing``."""
        return self.standing.state

    @property
    def last_seen(self) -> float | None:
        """Seconds since it was heard; None when it is not a member any more."""
        return self.standing.last_seen

    @property
    def protocol(self) -> str:
        """The scheme that carries what we send it: of its open link, or the first to be tried."""
        return self.standing.protocol

    # --- talking to it -----------------------------------------------------------------------

    def send(
        self, data: object, *, channel: int = 0, protocols: Sequence[str] | None = None
    ) -> Any:
        """``send`` of its cluster, to this member alone: to be awaited on an ``AsyncCluster``."""
        return self._known.send(data, services=(self,), channel=channel, protocols=protocols)

    def query(
        self, query: object = None, *, timeout: float = 30.0, channel: int = 0,
        protocols: Sequence[str] | None = None,
        on_event: Callable[[str, Any], Any] | None = None,
    ) -> Any:  # fmt: skip
        """``query`` of its cluster, of this member alone."""
        return self._known.query(
            query, services=(self,), timeout=timeout, channel=channel, protocols=protocols,
            on_event=on_event,
        )  # fmt: skip

    @property
    def _known(self) -> Door:
        if self._door is None:
            raise NotJoined(f"{self.name} is a snapshot without a cluster")
        return self._door

    # --- a value -----------------------------------------------------------------------------

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
