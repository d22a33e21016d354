"""Whole members, in memory: what comes to their port, over their links, and as hints.

Each remembers what came before, as members do; it runs in virtual time and says itself what is too
much.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from meshcluster.config import Limits
from meshcluster.model import Address, Endpoint, Identity
from meshcluster.node import effects as fx
from meshcluster.node.links import NodeLink, State
from meshcluster.protocols.ports import port_of
from meshcluster.protocols.unix import socket_path
from meshcluster.security.keyring import Keyring
from meshcluster.security.sealing import Seal
from meshcluster.testing.bench import Bench
from meshcluster.wire import codec
from meshcluster.wire.frames import Hello

from ..dialects import LIES, Dialect, items, wrapped
from ..target import Target
from .secrets import SECRET
from .wire import datagrams, frames

LIMITS = Limits(candidates=64, members=64, observers=8, pending_links=16, waiting_messages=256)
COUNTS = 120
"""Reasons that things are counted under; not one for each liar."""

EFFECTS = 300
"""What one input may have a member do: at most this, whatever it says."""

PATIENCE = 100
"""Inputs without a friend, or links refused in a row; then there is a new member."""

SOURCES: tuple[Address, ...] = (
    ("10.0.0.2", 1002), ("10.0.0.2", 1002), ("10.0.0.3", 1003), ("10.0.0.4", 1), ("127.0.0.1", 9),
    ("unix:0123", 0), ("here:x", 0), ("fe80::1%eth0", 5),
)  # fmt: skip
STEPS = (0.0, 0.0, 0.0, 0.001, 0.05, 0.3, 1.0, 7.0)
"""Seconds that go by before an input."""


class Member:
    """One that knows another, and what may not grow."""

    def __init__(self, *, sealed: bool = False) -> None:
        keys = [SECRET] if sealed else []
        self.bench = Bench(1, limits=LIMITS, keyring=Keyring(keys))
        self.friend = Bench(2, keyring=Keyring(keys))
        self.seals = [Seal(Identity(bytes([n]) * 16, 1, "", "")) for n in (2, 2, 3, 4, 5, 6, 7, 8)]
        self.seals[0] = self.seals[1] = getattr(self.friend.node._guard, "_seal", self.seals[0])
        self.sealed = sealed
        _introduce(self.bench, self.friend)
        (self.as_known,) = self.friend.node.peers
        self.now = 1.0
        self._count = self._alone = 0

    def pass_time(self, step: int) -> None:
        self.now += STEPS[step % len(STEPS)]
        self.bench.node.advance(self.now)

    def settle(self) -> list[fx.Effect]:
        """Takes what it wants done; looks at its size now and then."""
        node = self.bench.node
        done = node.take_effects()
        for link in node.ready_links():
            node.take_frames(link)
        assert len(done) <= EFFECTS, f"{len(done)} effects of one input"
        for effect in done:  # what is logged is read on terminals
            assert type(effect) is not fx.Report or effect.text.isprintable(), effect
        self._count += 1
        if self._count % 256 == 0:
            self.check()
        return done

    def answer(self, done: list[fx.Effect]) -> None:
        """What a driver and the friend do: hooks take all, dials fail, probes are heard."""
        node = self.bench.node
        for effect in done:
            match effect:
                case fx.EventsArrived(session, _, _, _, size):
                    node.took(session, size)
                case fx.DialEndpoint(number):
                    node.dial_failed(number, "refused", self.now)
                case fx.SendDatagram(data, address) if address == self.friend.address:
                    self.friend.node.datagram_received(data, self.bench.address, self.now)
                    for back in self.friend.take(fx.SendDatagram):
                        node.datagram_received(back.data, address, self.now)

    @property
    def forsaken(self) -> bool:
        """Its friend was lost some time ago: there is nobody left whose word counts."""
        known = self.bench.node.peers.member(self.friend.node.identity.key) is not None
        self._alone = 0 if known else self._alone + 1
        if self._alone > PATIENCE:
            self.check()
        return self._alone > PATIENCE

    def check(self) -> None:
        """Every table is within its limit."""
        node, most = self.bench.node, LIMITS.candidates + LIMITS.members + LIMITS.observers
        assert len(list(node.peers)) <= most
        assert len(self.bench.dropped) <= COUNTS, sorted(self.bench.dropped)
        assert len(node._schedule._due) <= 4 * most + 64


def _introduce(one: Bench, other: Bench) -> None:
    other.node.start(0.0)
    for _ in range(4):
        for sender, receiver in ((other, one), (one, other)):
            for effect in sender.take(fx.Announce, fx.SendDatagram):
                receiver.node.datagram_received(effect.data, sender.address, 0.0)
    assert len(list(one.node.peers)) == len(list(other.node.peers)) == 1


class Hear:
    """A member that takes datagrams and hints, each from one of several places; those that are
    sealed by who is there, or one in eight as it is.
    """

    def __init__(self, *, sealed: bool = False) -> None:
        self._sealed = sealed
        self.member = Member(sealed=sealed)

    def __call__(self, data: bytes) -> object:
        if len(data) < 2:
            return None
        if self.member.forsaken:
            self.member = Member(sealed=self._sealed)
        member, node = self.member, self.member.bench.node
        where, said = data[0], data[2:]
        member.pass_time(data[1])
        source = SOURCES[where % len(SOURCES)]
        said = _answered(member, source, said)
        if self._sealed and data[1] < 224:
            said = member.seals[where % len(SOURCES)].seal(SECRET, said)
        if where < 128:
            node.datagram_received(said, source, member.now)
        elif where < 160:
            node.hints.heard(said, source, member.now)
        elif where < 192:
            node.hints.vanished(said, member.now)
        else:
            node.datagram_refused(source, member.now)
        done = member.settle()
        member.answer(done)
        return len(done)


PLACEHOLDER = 2**62 + 99
HIDDEN = PLACEHOLDER.to_bytes(8, "big")


def _answered(member: Member, source: Address, said: bytes) -> bytes:
    """With the number that it waits for from there just now, which no liar can guess."""
    if HIDDEN not in said:
        return said
    asked = [each.probing for each in member.bench.node.peers if each.probing is not None]
    nonce = next((each.nonce for each in asked if each.address == source), 1)
    return said.replace(HIDDEN, nonce.to_bytes(8, "big"))


def said() -> list[bytes]:
    """From the friend, from its neighbour, from strangers; as datagrams and as hints."""
    key = Bench(1).node.identity.key
    made = []
    for number in (2, 3, 4):
        for each in datagrams("default", bytes([number]) * 16, 1, key, PLACEHOLDER):
            place = bytes([{2: 0, 3: 2, 4: 3}[number], number])
            made.append(place + codec.encode_datagram(each))
    made += [bytes([128]) + each[1:] for each in made[:8]] + [b"\xc0\0", b"\xc2\7", b"\0\0"]
    return made


class Talk:
    """A member with an open link; an input is a frame for it or, by its first byte, for a link that
    has said less so far. What ended is opened anew.
    """

    def __init__(self, *, sealed: bool = False) -> None:
        self._sealed = sealed
        self._meet()

    def _meet(self) -> None:
        self.member = Member(sealed=self._sealed)
        self._greeting = greeting(self.member)
        self._refused = 0
        self._open(2)

    def __call__(self, data: bytes) -> object:
        if len(data) < 2:
            return None
        if self._refused > PATIENCE:
            self.member.check()
            self._meet()
        member, frame = self.member, data[2:]
        member.pass_time(data[1])
        link = self._link if data[0] % 8 > 1 and self._link.state is State.OPEN else None
        if link is None:
            link = self._open(data[0] % 8)
        if link is not None:
            if link.records is not None and data[1] < 240:
                frame = self._records.seal(frame)
            member.bench.node.frames_received(link, [memoryview(frame)], member.now)
        member.answer(member.settle())
        return link and link.state.name

    def _open(self, stage: int) -> NodeLink | None:
        """One on which nothing (0), all before the hello (1) or the hello was said."""
        node, now = self.member.bench.node, self.member.now
        link = node.link_opened("tcp", "10.0.0.2", now, local=False)
        if link is None:
            return None
        self._link = link
        if stage == 0:
            return link
        self._enter(link)
        if stage > 1:
            hello = self._greeting
            if link.records is not None:
                hello = self._records.seal(hello)
            node.frames_received(link, [hello], now)
            self._refused = 0 if link.state is State.OPEN else self._refused + 1
        return link

    def _enter(self, link: NodeLink) -> None:
        """What a driver and the friend say before their hellos."""
        node, friend = self.member.bench.node, self.member.friend.node
        peer = friend.peers.get(node.identity.key) or self.member.as_known
        entrance = friend._links._entrances.dialled(peer, same_user=False)
        node.frames_received(link, entrance.first(), self.member.now)
        for frame in node.take_frames(link):
            if not entrance.passed:
                entrance.take(frame)
        self._records = entrance.records


def greeting(member: Member) -> bytes:
    me, to = member.friend.node, member.bench.node.identity.key
    return codec.encode_frame(
        Hello("default", me.identity.id, me.identity.boot, to, "", 5, 0, 0, 9, me.details)
    )


def talked() -> list[bytes]:
    made = [b"\0\0" + codec.preface(), b"\0\0" + b"mesh\2\0\0\0", b"\1\0" + greeting(Member())]
    return made + [bytes([2, 0]) + codec.encode_frame(each) for each in frames()]


def look(data: bytes) -> object:
    """What a dialler makes of an endpoint that a member tells: a port, a name in our folder."""
    endpoint = msgspec.msgpack.decode(data, type=Endpoint)
    found = []
    for prop in ("port", "plain"):
        try:
            found.append(port_of(endpoint, prop))
        except ConnectionError:
            found.append(0)
    root = Path("/run/mesh")
    path = socket_path(root, endpoint.props.get("name"))
    assert path.parent.parent == root
    assert ".." not in path.parts
    return found


def endpoints() -> list[bytes]:
    told = [{"name": "00ff00ff/0123456789abcdef.sock", "port": 2}, {"port": 65535, "plain": 1}, {}]
    return [
        msgspec.msgpack.encode(Endpoint(scheme, props)) for props in told for scheme in ("unix", "")
    ]


AFTER_TWO = Dialect(lambda data: items(data, 2), LIES, wrapped)
A_DATAGRAM = Dialect(lambda data: items(data, 5), LIES, wrapped)
"""The first two bytes say from where it comes and when."""

TARGETS = (
    Target(
        "endpoint", "an endpoint's props, as diallers read them",
        lambda: look, endpoints, Dialect(items, LIES, wrapped), limit_bytes=600,
        refuses=(msgspec.DecodeError, ConnectionError, UnicodeDecodeError, RecursionError),
        costs=8,
    ),
    Target(
        "member", "a whole member: datagrams, hints and refusals from friends and strangers",
        Hear, said, A_DATAGRAM, refuses=(),
        costs=10,
    ),
    Target(
        "links", "a whole member: frames over its links, before and after the hello",
        Talk, talked, AFTER_TWO, refuses=(), limit_bytes=4096,
        costs=40,
    ),
    Target(
        "secured",
        "a whole member with a secret: the same datagrams, sealed by who sends them, and forged",
        lambda: Hear(sealed=True), said, A_DATAGRAM, refuses=(),
        costs=20,
    ),
    Target(
        "secured-links", "a whole member with a secret: frames over its links, sealed and forged",
        lambda: Talk(sealed=True), talked, AFTER_TWO, refuses=(), limit_bytes=4096,
        costs=500,
    ),
)  # fmt: skip
