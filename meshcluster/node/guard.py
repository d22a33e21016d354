"""The door of a member with keys: all datagrams pass here, out to be sealed and in to be opened.

With a keyring that is required nothing else is sent or taken. With one that is not (a mesh open to
its network) datagrams are plain, but for whom of this host we share a key with: they are told of
us by a sealed copy of what goes to the group, answered as they speak, and from then on nobody is
taken for them who does not seal.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Protocol

from ..config import Limits
from ..errors import DecodeError
from ..model import Address, Identity
from ..security.keyring import Keyring
from ..security.keys import Key
from ..wire import codec
from ..wire.sealed import SEAL_BYTES, is_sealed
from .counters import Counters
from .effects import Announce, Effect, Report, SendDatagram
from .membership import Membership, Peer

if TYPE_CHECKING:
    from ..security.sealing import Opened

TELL_SECONDS = 60.0
"""Between two lines about those who have another secret."""

AGAIN_SECONDS = 3600.0
"""Until a host is named again."""

MOST_HOSTS = 256
"""Hosts remembered for such lines; further ones are only counted."""


class Take(Protocol):
    """Takes a datagram that was opened, or that was not ``sealed``."""

    def __call__(
        self, data: bytes, source: Address, now: float, *, sealed: bool = False
    ) -> None: ...


_SEALED = frozenset({SendDatagram, Announce})
"""What goes out in datagrams; most effects are of messages."""


class Guard:
    """Seals and opens for one node. ``unmasked`` is told of a peer that seals from now on."""

    def __init__(
        self, identity: Identity, keyring: Keyring, limits: Limits, *, peers: Membership,
        effects: list[Effect], counters: Counters, take: Take,
        unmasked: Callable[[Peer, Address, float], None],
    ) -> None:  # fmt: skip
        from ..security import sealing  # which loads what members without keys do not need

        self._unknown_key = sealing.UnknownKey
        self._seal = sealing.Seal(identity)
        self._me = identity.key
        self._keyring = keyring
        self._most_bytes = limits.datagram_bytes + SEAL_BYTES
        self._peers = peers
        self._effects = effects
        self._counters = counters
        self._take = take
        self._unmasked = unmasked
        self._others: dict[str, float] = {}
        """Hosts that could not be understood, and when we said so last."""
        self._told_at = -inf

    # --- out ---------------------------------------------------------------------------------

    def sealed(self, effects: list[Effect]) -> list[Effect]:
        """The effects with all that goes out sealed as it must be."""
        if _SEALED.isdisjoint(map(type, effects)):
            return effects
        done: list[Effect] = []
        for effect in effects:
            kind = type(effect)
            if kind is SendDatagram:
                done.append(self._sealed_to_one(effect))  # type: ignore[arg-type]
            elif kind is Announce:
                done += self._sealed_to_all(effect)  # type: ignore[arg-type]
            else:
                done.append(effect)
        return done

    def _sealed_to_one(self, effect: SendDatagram) -> SendDatagram:
        if is_sealed(effect.data):  # an answer
            return effect
        required = self._keyring.required
        if not required and not any(p.key_id for p in self._peers.at(effect.address)):
            return effect
        return SendDatagram(self._sealed(effect.data), effect.address)

    def _sealed_to_all(self, effect: Announce) -> list[Announce]:
        sealed = self._sealed(effect.data)
        if self._keyring.required:
            return [Announce(sealed)]
        return [Announce(sealed, near=True), Announce(effect.data, near=False)]

    def _sealed(self, data: bytes, key: Key | None = None) -> bytes:
        key = key or self._keyring.first
        assert key is not None
        return self._seal.seal(key, data)

    # --- in ----------------------------------------------------------------------------------

    def received(self, data: bytes, source: Address, now: float) -> None:
        """Takes a datagram if it may be taken."""
        if not is_sealed(data):
            self._plain(data, source, now)
            return
        try:
            if len(data) > self._most_bytes:
                raise DecodeError("oversized")
            opened = self._seal.open(self._keyring, data)
        except self._unknown_key as error:
            self._counters.count(f"datagrams: {error}")
            self._other_secret(source, now)
        except DecodeError as error:
            self._counters.count(f"datagrams: {str(error).split(':')[0]}")
        else:
            if opened.sender == self._me:
                self._counters.count("datagrams: own copies")
            else:
                self._opened(opened, source, now)

    def _plain(self, data: bytes, source: Address, now: float) -> None:
        if self._keyring.required:
            self._counters.count("datagrams: not sealed")
            if codec.is_beacon(data):
                self._other_secret(source, now)
        else:
            self._answering(None, data, source, now)

    def _opened(self, opened: Opened, source: Address, now: float) -> None:
        peer = self._peers.get(opened.sender)
        if peer is not None:
            recent = peer.window.is_recent(opened.number, now)
            came_before = not peer.window.take(opened.number)
            if came_before and not (recent and self._is_copy(peer, opened)):
                self._counters.count("datagrams: replayed")
                return
            if not peer.key_id and not self._keyring.required:
                peer.key_id = opened.key.id
                self._unmasked(peer, source, now)
            peer.key_id = opened.key.id
        self._answering(opened.key, opened.data, source, now)
        if peer is None:
            peer = self._peers.get(opened.sender)
            if peer is None:
                return
            peer.window.take(opened.number)
            peer.key_id = opened.key.id
        if peer.window.is_new and not peer.window.begun:
            peer.window.begin(opened.number)

    def _is_copy(self, peer: Peer, opened: Opened) -> bool:
        """A beacon goes out on every network, and tells by each where its member is. A copy of it
        does nothing else: it has a number of its own. One that comes later is somebody else's.
        """
        return not peer.window.is_old(opened.number) and codec.is_beacon(opened.data)

    def _answering(self, key: Key | None, data: bytes, source: Address, now: float) -> None:
        """Has it taken; what that sends back is sealed as it was, whoever is at the address."""
        before = len(self._effects)
        self._take(data, source, now, sealed=key is not None)
        if key is None or self._keyring.required:
            return
        for place in range(before, len(self._effects)):
            effect = self._effects[place]
            if type(effect) is SendDatagram and effect.address == source:
                self._effects[place] = SendDatagram(self._sealed(effect.data, key), source)

    def hint(self, data: bytes) -> bytes | None:
        """What was in something that was announced, if it is to be believed; it may be old."""
        if is_sealed(data):
            try:
                return self._seal.open(self._keyring, data).data
            except DecodeError as error:
                self._counters.count(f"hints: {str(error).split(':')[0]}")
                return None
        if self._keyring.required:
            self._counters.count("hints: not sealed")
            return None
        return data

    def _other_secret(self, source: Address, now: float) -> None:
        """Says now and then who cannot be understood: it may be a mistake. Nothing tells a wrong
        secret from another mesh's, so no host is named more often than once an hour.
        """
        if not self._keyring.is_secret:
            return
        others = self._others
        if len(others) < MOST_HOSTS:
            others.setdefault(source[0], -inf)
        due = [host for host, told_at in others.items() if now >= told_at + AGAIN_SECONDS]
        if due and now >= self._told_at + TELL_SECONDS:
            self._told_at = now
            self._others = {**others, **dict.fromkeys(due, now)}
            one = len(due) == 1
            shown = ", ".join(sorted(due)[:5])
            self._effects.append(
                Report(
                    f"{len(due)} host{'' if one else 's'} cannot be understood, for want of our "
                    f"secret and cluster's name: {shown}"
                )
            )
