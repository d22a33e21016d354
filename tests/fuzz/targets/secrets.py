"""What guards a mesh with a secret: handshakes, sealed frames, sealed datagrams.

Forged ones end at the tag that proves them; so half of the inputs are sealed as a member would seal
them, and reach what is inside: an insider may lie as well.
"""

from __future__ import annotations

from copy import copy

from meshcluster.errors import ConfigError
from meshcluster.model import Identity
from meshcluster.security.keyring import Keyring
from meshcluster.security.keys import Key
from meshcluster.security.noise import PUBLIC_BYTES, Handshake
from meshcluster.security.records import Records
from meshcluster.security.sealing import Seal
from meshcluster.security.text import parse_key, text_of
from meshcluster.wire import codec

from ..dialects import LIES, WORDS, Dialect, Span, items, words, wrapped
from ..target import Take, Target, counted
from .wire import KEY, datagrams, frames

SECRET = Key.of_bytes(b"k" * 32, "default")
PROLOGUE = b"what both agree on"
ANN, BOB = b"a" * 32, b"b" * 32


def _end(*, initiator: bool) -> Handshake:
    return Handshake(SECRET.link, PROLOGUE, ANN if initiator else BOB, initiator=initiator)


def _fresh(handshake: Handshake) -> Handshake:
    """A copy: to derive the same keys for each input takes longer than all it is asked."""
    again = copy(handshake)
    again._symmetric = copy(handshake._symmetric)
    return again


def shake() -> Take:
    """First byte: who reads it; or a payload that is sealed as it must be."""
    listener, dialler = _end(initiator=False), _end(initiator=True)
    dialler.write(b"\0")
    speaker = _end(initiator=True)
    public = speaker._ephemeral.public_key().public_bytes_raw()
    speaker._mix_public(public)

    def take(data: bytes) -> object:
        match (data[0] if data else 0) % 8:
            case 0:
                return _fresh(dialler).read(data[1:])
            case 1:
                said = public + _fresh(speaker)._symmetric.encrypt(data[1:])
                assert _fresh(listener).read(said) == data[1:]
                return "sealed"
            case _:
                return _fresh(listener).read(data[1:])

    return take


def messages() -> list[bytes]:
    near, far = _end(initiator=True), _end(initiator=False)
    first = near.write(b"\0")
    far.read(first)
    second = far.write(b"\1")
    low = b"\2" + bytes(PUBLIC_BYTES) + bytes(16)  # a point of small order
    made = [b"\2" + first, b"\0" + second, b"\0" + first, b"\2" + second, low, b"\0" + low[1:]]
    return [*made, b"\1\0", b"\1\1", b"\1" + b"x" * 300, b"\2" + first + first, b"\2" + first[:48]]


def _halves(data: bytes) -> list[Span]:
    """Who, the key, what is sealed, its tag."""
    ends = (0, 1, 1 + PUBLIC_BYTES, len(data) - 16, len(data))
    return [(a, b) for a in ends for b in ends if 0 <= a < b <= len(data)]


def follow() -> Take:
    """First byte: a record as it came, or the frame in one."""
    ours, theirs = Records(b"o" * 32, b"i" * 32), Records(b"i" * 32, b"o" * 32)

    def take(data: bytes) -> object:
        ours._in.number = theirs._out.number = 0
        record = data[1:] if data[:1] < b"\x40" else theirs.seal(data[1:])
        return codec.decode_frame(ours.open(memoryview(record)))

    return take


def sealed_frames() -> list[bytes]:
    records = Records(b"i" * 32, b"o" * 32)
    plain = [*map(codec.encode_frame, frames())]
    first = b"\0" + records.seal(plain[0])
    return [first, b"\0" + records.seal(plain[1]), b"\0", *(b"\x40" + each for each in plain)]


FRIEND = Identity(b"\2" * 16, 1, "friend", "host")


def unseal() -> Take:
    """First byte: a datagram as it came, or what a member has sealed."""
    mine, friend = Seal(Identity(b"\1" * 16, 1, "me", "host")), Seal(FRIEND)
    ring = Keyring([SECRET])

    def take(data: bytes) -> object:
        came = data[1:] if data[:1] < b"\x40" else friend.seal(SECRET, data[1:])
        opened = mine.open(ring, came)
        assert len(opened.sender) == 24
        return codec.decode_datagram(opened.data)

    return take


def sealed_datagrams() -> list[bytes]:
    seal = Seal(FRIEND)
    plain = [codec.encode_datagram(each) for each in datagrams("default", FRIEND.id, 1, KEY)]
    other = seal.seal(Key.of_bytes(b"x" * 32, "default"), plain[0])
    came = [
        seal.seal(SECRET, plain[0]),
        seal.seal(SECRET, b""),
        other,
        b"",
        b"ms\1",
        b"ms\2" + bytes(60),
    ]
    return [*(b"\0" + each for each in came), *(b"\x40" + each for each in plain)]


def _inside(begin: int) -> Dialect:
    """What is sealed later has parts; what was sealed before is bytes."""

    def parts(data: bytes) -> list[Span]:
        if data[:1] >= b"\x40":
            return items(data, begin)
        return [(a, min(a + size, len(data))) for a,
        size in ((1, 3), (4, 4), (8, 16), (24, 16), (40, 99))
                if a < len(data)]  # fmt: skip

    return Dialect(parts, LIES, wrapped)


def secret(data: bytes) -> object:
    """A generated key as a person typed it."""
    return parse_key(data.decode(errors="surrogateescape"))


def secrets() -> list[bytes]:
    good = text_of(bytes(range(32)))
    return [
        each.encode()
        for each in (good, good.upper(), good[:-1], good + "=", "mc1_", "mc2_" + good[4:])
    ]


TARGETS = (
    Target(
        "handshake", "both ends of a link's handshake: forged, and sealed with any payload",
        shake, messages, Dialect(_halves, LIES, wrapped), reason=counted, limit_bytes=600,
        costs=4,
    ),
    Target(
        "record", "`Records.open`: a link's sealed frames, forged; and frames sealed by a member",
        follow, sealed_frames, _inside(1), reason=counted, limit_bytes=2048,
    ),
    Target(
        "sealed", "`Seal.open`: sealed datagrams, forged; and datagrams sealed by a member",
        unseal, sealed_datagrams, _inside(4), reason=counted, limit_bytes=1256, costs=4,
    ),
    Target(
        "secret", "`parse_key`: a generated key, typed",
        lambda: secret, secrets, Dialect(words, WORDS.tokens, WORDS.wrap), refuses=(ConfigError,),
        limit_bytes=200,
        costs=20,
    ),
)  # fmt: skip
