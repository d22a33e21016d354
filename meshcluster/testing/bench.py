"""Nodes to talk to directly: bytes and time go in, effects come out."""

from __future__ import annotations

from random import Random
from typing import Any

from ..config import ClusterConfig
from ..hooks import HookRegistry
from ..model import Address, Endpoint, Identity
from ..node import effects as fx
from ..node.links import NodeLink
from ..node.node import Node
from ..node.refusals import LAST_WORDS_SECONDS
from ..wire import codec


class Bench:
    """One node on the bench, at an address, with what it has put out so far."""

    def __init__(self, number: int, **config: Any) -> None:
        """``config`` is the node's; ``endpoints``, ``spoken``, ``own_networks`` and ``keyring`` are
        handed to it as they are, and ``boot`` is that of its run (1).

        ``clock`` measures its interceptors.
        """
        name = config.pop("name", f"n{number}")
        self.hooks = HookRegistry(allow_async=False, clock=config.pop("clock", None))
        self.address: Address = (f"10.0.0.{number}", 1000 + number)
        endpoints = config.pop("endpoints", [Endpoint("tcp", {"port": number})])
        spoken = config.pop("spoken", {"tcp": False, "unix": True})
        networks = config.pop("own_networks", ())
        keyring, boot = config.pop("keyring", None), config.pop("boot", 1)
        self.node = Node(
            Identity(bytes([number]) * 16, boot, name, "host"),
            ClusterConfig(name=name, ttl=config.pop("ttl", 1), **config),
            self.hooks, Random(number), endpoints=endpoints, port=self.address[1], spoken=spoken,
            own_networks=networks, keyring=keyring,
        )  # fmt: skip

    def take(self, *kinds: type) -> list[Any]:
        """The effects of these kinds since the last look; others are dropped."""
        return [effect for effect in self.node.take_effects() if isinstance(effect, kinds)]

    def datagrams(self) -> list[Any]:
        """What it has sent or announced since the last look, decoded."""
        sent = self.take(fx.Announce, fx.SendDatagram)
        return [codec.decode_datagram(effect.data) for effect in sent]

    def hear(self, other: Bench, datagram: Any, now: float) -> None:
        """A datagram comes from another."""
        self.node.datagram_received(codec.encode_datagram(datagram), other.address, now)

    def refuse(self, address: Address, now: float) -> None:
        """The host at an address refuses what it is sent, and nothing more comes from there."""
        self.node.datagram_refused(address, now)
        for _ in range(2):
            now += LAST_WORDS_SECONDS
            self.node.advance(now)

    @property
    def known(self) -> list[str]:
        """The names of the members it knows."""
        return [peer.service.name for peer in self.node.peers if peer.service]

    @property
    def dropped(self) -> dict[str, int]:
        """What it has dropped, by reason."""
        return self.node.counters.as_dict()


def introduce(one: Bench, other: Bench, now: float = 0.0) -> None:
    """Beacon, probe, reply, acknowledgement: they know each other. Effects are used up."""
    other.node.start(now)
    (beacon,) = other.datagrams()
    one.hear(other, beacon, now)
    (probe,) = one.datagrams()
    other.hear(one, probe, now)
    (reply,) = other.datagrams()
    one.hear(other, reply, now)
    ack = next(e for e in one.node.effects if isinstance(e, fx.SendDatagram))
    other.node.datagram_received(ack.data, one.address, now)


def mingle(*benches: Bench, now: float = 0.0) -> list[tuple[bytes, Address]]:
    """Carries what they send and announce, as it is, until nobody has anything. Gives it all, with
    its source, as somebody who listens would have it.
    """
    heard: list[tuple[bytes, Address]] = []
    while True:
        moved = False
        for bench in benches:
            for effect in bench.take(fx.Announce, fx.SendDatagram):
                moved = True
                heard.append((effect.data, bench.address))
                for other in benches:
                    if other is not bench and getattr(effect, "address", None) in (
                        None, other.address,
                    ):  # fmt: skip
                        other.node.datagram_received(effect.data, bench.address, now)
        if not moved:
            return heard


def pass_time(one: Bench, until: float, since: float = 0.0, step: float = 0.1) -> None:
    """Time goes by, in steps: who does all at once at the end is late, and knows it."""
    for count in range(1, round((until - since) / step) + 1):
        one.node.advance(since + count * step)


def carry(
    one: Bench, one_link: NodeLink, other: Bench, other_link: NodeLink, now: float = 0.0
) -> None:
    """Moves frames both ways until nobody has any."""
    while True:
        there = one.node.take_frames(one_link)
        back = other.node.take_frames(other_link)
        if not there and not back:
            return
        other.node.frames_received(other_link, there, now)
        one.node.frames_received(one_link, back, now)


def connect(one: Bench, other: Bench, now: float = 0.0) -> tuple[NodeLink, NodeLink]:
    """One dials the other; the link is open at both ends. They must know each other."""
    (peer,) = list(one.node.peers)
    session = peer.session("", one.node.config.limits)
    assert session is not None
    one.node.take_effects()
    one.node._links.want(session, now)
    (dial,) = one.take(fx.DialEndpoint)
    far = other.node.link_opened("tcp", one.address[0], now, local=False)
    near = one.node.link_opened("tcp", other.address[0], now, local=False, number=dial.number)
    assert near is not None
    assert far is not None
    carry(one, near, other, far, now)
    return near, far
