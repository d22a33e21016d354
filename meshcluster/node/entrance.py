"""How a link begins: a preface each way and, where there are keys, the handshake between them.

Whoever accepts a link says nothing until the other end has proved that it has one of our keys: who
has none cannot even tell what listens there.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Protocol

from ..errors import DecodeError
from ..security.keyring import Keyring
from ..security.keys import KEY_BYTES, KEY_ID_BYTES, Key
from ..wire import codec

if TYPE_CHECKING:
    from ..security.noise import Handshake
    from ..security.records import Records
    from .membership import Peer

SEALED, CLEAR = b"\x00", b"\x01"
"""What each end says in its handshake message. ``CLEAR``: the system says that the other end is a
process of my own user on this host, so sealing would hide nothing from anybody. Where both say so
what follows goes as it is.
"""

NOT_SEALED = "link that is not sealed"


class Entrance(Protocol):
    """The beginning of one link, until hellos come next (``passed``).

    From then on ``records`` seal what follows (None: nothing is sealed), and ``key_id`` tells by
    which key the other end proved itself (none: it did not).
    """

    passed: bool
    records: Records | None
    key_id: bytes

    def first(self) -> list[bytes]:
        """What is sent before anything came."""

    def take(self, frame: codec.Buffer) -> list[bytes]:
        """Takes the next frame; gives what is to be sent for it.

        Raises:
            DecodeError: it does not begin as a link of ours, or of somebody with our secret.
        """


class Entrances:
    """Makes them, by the keys of one member."""

    def __init__(self, keyring: Keyring, cluster: str, random: Random) -> None:
        self.keyring = keyring
        self._cluster = cluster.encode()
        self._random = random

    def dialled(self, peer: Peer, *, same_user: bool) -> Entrance:
        """Of a link that we dialled: by our key, unless the member said what it said without."""
        key = self.keyring.first
        if key is None or not (self.keyring.required or peer.key_id):
            return Plain()
        return _Dialled(self, key, CLEAR if same_user else SEALED)

    def accepted(self, *, same_user: bool) -> Entrance:
        """Of a link that somebody dialled, who chooses among our keys."""
        return _Accepted(self, CLEAR if same_user else SEALED)

    def holds(self, entrance: Entrance) -> bool:
        """Whether the key that a link was begun by, if any, is still one of ours."""
        return not entrance.key_id or self.keyring.find(entrance.key_id) is not None

    def handshake(self, key: Key, *, initiator: bool) -> Handshake:
        """One end of a handshake by a key."""
        from ..security.noise import Handshake  # which loads what members without keys do not need

        prologue = codec.preface(codec.SECURITY_NOISE, takes=0) + key.id + self._cluster
        return Handshake(key.link, prologue, self._random.randbytes(KEY_BYTES), initiator=initiator)


class Plain:
    """Both say their preface, and that is all."""

    def __init__(self) -> None:
        self.records: Records | None = None
        self.key_id = b""
        self.passed = False

    def first(self) -> list[bytes]:
        return [codec.preface()]

    def take(self, frame: codec.Buffer) -> list[bytes]:
        if codec.security_of(frame) != codec.SECURITY_NONE:
            raise DecodeError("link that is sealed")
        self.passed = True
        return []


class _Dialled:
    """We begin the handshake, and the answer ends it."""

    def __init__(self, entrances: Entrances, key: Key, own: bytes) -> None:
        self._handshake = entrances.handshake(key, initiator=True)
        self._own = own
        self._prefaced = False
        self.records: Records | None = None
        self.key_id = key.id
        self.passed = False

    def first(self) -> list[bytes]:
        message = self.key_id + self._handshake.write(self._own)
        return [codec.preface(codec.SECURITY_NOISE), message]

    def take(self, frame: codec.Buffer) -> list[bytes]:
        if not self._prefaced:
            if codec.security_of(frame) != codec.SECURITY_NOISE:
                raise DecodeError(NOT_SEALED)
            self._prefaced = True
            return []
        theirs = self._handshake.read(bytes(frame))
        if not self._own == theirs == CLEAR:
            self.records = self._handshake.records()
        self.passed = True
        return []


class _Accepted:
    """We answer a handshake, or a plain preface where our keys are not required."""

    def __init__(self, entrances: Entrances, own: bytes) -> None:
        self._entrances = entrances
        self._own = own
        self._prefaced = False
        self.records: Records | None = None
        self.key_id = b""
        self.passed = False

    def first(self) -> list[bytes]:
        return []

    def take(self, frame: codec.Buffer) -> list[bytes]:
        if self._prefaced:
            return self._answered(bytes(frame))
        self._prefaced = True
        if codec.security_of(frame) == codec.SECURITY_NOISE:
            return []
        if self._entrances.keyring.required:
            raise DecodeError(NOT_SEALED)
        self.passed = True
        return [codec.preface()]

    def _answered(self, message: bytes) -> list[bytes]:
        key = self._entrances.keyring.find(message[:KEY_ID_BYTES])
        if key is None:
            raise DecodeError("link of another secret")
        handshake = self._entrances.handshake(key, initiator=False)
        theirs = handshake.read(message[KEY_ID_BYTES:])
        answer = handshake.write(self._own)
        if not self._own == theirs == CLEAR:
            self.records = handshake.records()
        self.key_id = key.id
        self.passed = True
        return [codec.preface(codec.SECURITY_NOISE), answer]
