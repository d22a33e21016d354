"""Of a host that is named: does it answer, what of it can be reached, what is blocked."""

from __future__ import annotations

import asyncio
import select
import socket
import time
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .checks import BROKEN, GOOD, LINKLESS, MDNS_PORT, NOTE, SKIPPED, Check, Links, dial
from .hearing import Heard, Question, understood

if TYPE_CHECKING:
    from ..model import Endpoint
    from ..protocols.base import Context

ANSWER_SECONDS = 1.0
TRIES = 3
CLOCK_SECONDS = 2.0
"""Clocks that differ less may be the same one: an answer takes time."""

RECEIVE_BYTES = 2048

MDNS_LABEL = b"\x0c_meshcluster\x04_tcp"
"""In every answer to our question."""


class Peer(NamedTuple):
    """A host that was named: its port for beacons and its IP addresses."""

    host: str
    port: int
    addresses: tuple[str, ...]


def looked_up(host: str, port: int) -> Peer | Check:
    """Its addresses, or why there are none."""
    name, separator, number = host.rpartition(":")
    if separator and number.isdecimal() and ":" not in name:
        host, port = name, int(number)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        advice = "look at how the name is written, or give the address itself"
        return Check("peer", host, BROKEN, f"unknown host ({error.strerror})", advice)
    from ..interfaces import spoken

    return Peer(host, port, tuple(dict.fromkeys(spoken(each[4]) for each in found)))


class Knocking(NamedTuple):
    """What came of asking one address: a reply, or why there is none."""

    data: bytes = b""
    trouble: str = ""
    at: float = 0.0
    """When it came, by our clock."""


def knock(address: str, port: int, question: Question) -> Knocking:
    """Asks one address, a few times.

    A member answers from a port of its own, which a connected socket would not hear; only such a
    one is told everywhere that nobody listens there. So there is one of each.
    """
    from ..announcers.multicast import NOTHING
    from ..interfaces import family_of, written

    kind = family_of(address), socket.SOCK_DGRAM
    with socket.socket(*kind) as asking, socket.socket(*kind) as trying:
        try:
            trying.connect(target := written(address, port))
            for _ in range(TRIES):
                trying.send(NOTHING)
                asking.sendto(question.to_one(), target)
                if data := _answer(asking, trying, question):
                    return Knocking(data, at=time.time())
        except (ConnectionRefusedError, ConnectionResetError):
            return Knocking(trouble="refused")
        except OSError as error:
            return Knocking(trouble=error.strerror or str(error))
    return Knocking(trouble="silent")


def _answer(asking: socket.socket, trying: socket.socket, question: Question) -> bytes:
    """The answer that comes to one try; empty when none does.

    Raises:
        ConnectionRefusedError: nobody listens there.
    """
    end = time.monotonic() + ANSWER_SECONDS / TRIES
    while (wait := end - time.monotonic()) > 0:
        ready, _, _ = select.select([asking, trying], [], [], wait)
        if trying in ready:
            trying.recv(RECEIVE_BYTES)
        if asking in ready:
            data = asking.recv(RECEIVE_BYTES)
            if question.reply(data) is not None:
                return data
    return b""


def peer_checks(
    peer: Peer,
    heard: Sequence[Heard],
    question: Question,
    context: Context,
    own: Container[str],
    records: Sequence[Heard] | None = None,
) -> list[Check]:
    """All that can be said of a peer; ``heard`` came after ``question`` went to the group, and
    ``records`` after members were asked for by mDNS, if they were.
    """
    near = [each for each in heard if each.address in peer.addresses]
    knocks = {address: knock(address, peer.port, question) for address in peer.addresses}
    checks = [
        _multicast(peer, near, knocks, context.cluster),
        _unicast(peer, near, knocks, question),
    ]
    if records is not None and any(check.state == GOOD for check in checks):
        checks.append(_mdns(peer, records))
    found: dict[bytes, tuple[str, str, tuple[Endpoint, ...]]] = {}
    answers = [(each.address, each.data) for each in near]
    answers += [(address, each.data) for address, each in knocks.items() if each.data]
    for address, data in answers:
        datagram = understood(data)
        if datagram is None or datagram.cluster != context.cluster:
            continue
        details = getattr(datagram, "details", None)
        if details is not None:
            found[datagram.id] = (details.name, address, details.endpoints)
        elif hasattr(datagram, "endpoints"):
            found.setdefault(datagram.id, ("", address, datagram.endpoints))
    for member_id, (name, address, endpoints) in found.items():
        label = name or member_id[:4].hex()
        checks += asyncio.run(_dialled(label, address, endpoints, context, own))
    return checks + [_clock(peer, each) for each in knocks.values() if each.data][:1]


def _multicast(
    peer: Peer, near: Sequence[Heard], knocks: Mapping[str, Knocking], cluster: str
) -> Check:
    """Whether its beacons reach us."""
    clusters = {each.cluster for got in near if (each := understood(got.data)) is not None}
    subject = f"{peer.host} by multicast"
    if cluster in clusters:
        return Check("peer", subject, GOOD, "its members are heard")
    if clusters:
        names = " and ".join(f"'{name}'" for name in sorted(clusters))
        advice = f"--cluster {sorted(clusters)[0]} looks there"
        return Check("peer", subject, BROKEN, f"it is in cluster {names}, not '{cluster}'", advice)
    if any(each.data for each in knocks.values()):
        text = "a member answers there, but multicast does not get through between us"
        advice = f"let the network pass UDP port {peer.port}, or name {peer.host} as a seed"
        return Check("peer", subject, BROKEN, text, advice)
    return Check("peer", subject, BROKEN, "nothing is heard from there", "see below")


def _unicast(
    peer: Peer, near: Sequence[Heard], knocks: Mapping[str, Knocking], question: Question
) -> Check:
    """Whether it answers us."""
    subject = f"{peer.host} by unicast"
    to_us = any(question.reply(each.data) is not None for each in near if not each.to_group)
    if to_us or any(each.data for each in knocks.values()):
        return Check("peer", subject, GOOD, "it answers our question")
    troubles = {each.trouble for each in knocks.values()}
    there = f"UDP port {peer.port} of {peer.host}"
    if near:
        text, advice = "it is heard, and does not answer", f"allow UDP from here on {peer.host}"
    elif "refused" in troubles:
        text = f"the host is there, but nobody listens at {there}"
        advice = (
            f"start a member there ('meshcluster join --ttl 1'); if one runs, multicast between "
            f"us is filtered, or its --port is another one than {peer.port}"
        )
    elif "silent" in troubles:
        text = f"no answer from {there}"
        advice = "is the host up, on a network of ours, and does no firewall drop that port?"
    else:
        text = f"{there}: {', '.join(sorted(troubles))}"
        advice = "this host has no way there: look at its cable, address and routes"
    return Check("peer", subject, BROKEN, text, advice)


def _clock(peer: Peer, knocking: Knocking) -> Check:
    """Whether its clock and ours agree, to the time that an answer takes."""
    reply = understood(knocking.data)
    ahead = getattr(reply, "clock", 0) / 1000 - knocking.at
    subject = f"{peer.host} clock"
    if abs(ahead) < CLOCK_SECONDS:
        return Check("peer", subject, GOOD, f"within {CLOCK_SECONDS:g} s of ours")
    text = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours"
    advice = "nothing here depends on it; to compare logs, set both clocks by NTP"
    return Check("peer", subject, NOTE, text, advice)


def _mdns(peer: Peer, records: Iterable[Heard]) -> Check:
    """Whether its members' records come: a network may filter mDNS and no beacons."""
    subject = f"{peer.host} by mdns"
    if any(each.address in peer.addresses and MDNS_LABEL in each.data for each in records):
        return Check("peer", subject, GOOD, "the record of a member comes")
    text = "no record of a member comes: mDNS does not get through between us, or is off there"
    advice = f"let the network pass UDP port {MDNS_PORT}, should beacons not suffice"
    return Check("peer", subject, NOTE, text, advice)


async def _dialled(
    name: str, address: str, endpoints: Iterable[Endpoint], context: Context, own: Container[str]
) -> list[Check]:
    """Each of a member's protocols."""
    checks = [_dialling(name, address, endpoint, context, own) for endpoint in endpoints]
    return list(await asyncio.gather(*checks))


async def _dialling(
    name: str, address: str, endpoint: Endpoint, context: Context, own: Container[str]
) -> Check:
    from ..errors import ClusterError
    from ..model import UDP
    from ..protocols.registry import load

    subject, port = f"{name} {endpoint.scheme}", endpoint.props.get("port")
    where = f"{endpoint.scheme} at {address}" + (f" port {port}" if port else "")
    if endpoint.scheme in LINKLESS:
        return Check("peer", subject, GOOD, "on its datagram port, which has been heard")
    links = Links()
    handler = None
    try:
        handler = load(endpoint.scheme, context)
        if handler.local_only and address not in own:
            return Check("peer", subject, SKIPPED, "works within one host only")
        if endpoint.scheme == UDP:
            return Check("peer", subject, GOOD, "no links: it goes where probes go")
        await dial(handler, address, endpoint, links)
        return Check("peer", subject, GOOD, f"{where} can be dialled")
    except TimeoutError:
        text, advice = f"{where}: no answer", f"allow it in the firewall of {address}, or between"
    except ConnectionRefusedError:
        text = f"{where}: refused"
        advice = f"a firewall on {address} rejects it, or its member has just left"
    except (OSError, ClusterError, ImportError) as error:
        text = f"{where}: {getattr(error, 'strerror', None) or error}"
        advice = "the other protocols are used meanwhile"
        if not isinstance(error, OSError):
            return Check("peer", subject, NOTE, text, advice)
    finally:
        links.abort()
        if handler is not None:
            await handler.close()
    return Check("peer", subject, BROKEN, text, advice)
