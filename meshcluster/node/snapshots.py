"""From the bytes that members send of themselves to what users see of them."""

from __future__ import annotations

from ..model import Door, Identity, Service, ip_of
from ..wire import codec
from ..wire.frames import Datagram, Details
from .membership import Peer


class Snapshots:
    """Reads datagrams, makes services. A simulation of thousands has one that shares both."""

    def __init__(self, door: Door | None = None) -> None:
        self._door = door

    def datagram(self, data: bytes) -> Datagram:
        """A datagram decoded; see ``codec.decode_datagram``."""
        return codec.decode_datagram(data)

    def digest(self, peer: Peer, details: Details) -> bytes:
        """Eight bytes that change when the details do."""
        return codec.digest(details)

    def details(self, peer: Peer, details: Details) -> Details:
        """The same, as they are kept."""
        return codec.packed(details)

    def service(self, peer: Peer, *, lan: bool) -> Service:
        """The member as users see it, from its details."""
        details = peer.details
        assert details is not None
        return Service(
            Identity(peer.id, peer.boot, details.name, details.host),
            tags=details.tags,
            address=ip_of(peer.address),
            local=peer.local,
            lan=lan,
            authenticated=peer.authenticated,
            endpoints=details.endpoints,
            props=details.props,
            offers=details.offers,
            door=self._door,
        )
