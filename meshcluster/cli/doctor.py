"""``meshcluster doctor``: what of discovery and of the protocols works here, and what does not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from .checks import (
    BROKEN,
    GOOD,
    MDNS_PORT,
    Check,
    directory,
    mdns_library,
    mdns_port,
    multicast,
    networks,
    protocols,
)
from .hearing import Heard, Listening, Question, others
from .options import Command, Example, Settings, label
from .peering import knock, looked_up, peer_checks
from .screen import Screen

if TYPE_CHECKING:
    from ..announcers.groups import Way
    from ..protocols.base import Context

HEADER = ("CHECK", "OF", "STATE", "FOUND")
FAILED = 1

LISTEN_SECONDS = 1.4
"""So long we listen to the beacons: those of a small mesh come once a second or so."""

IN_DIRECTORY = ("unix", "zeromq")
"""Protocols with sockets in the runtime directory."""

MDNS_SECONDS = 0.6
MDNS_GROUP, MDNS_GROUP_V6 = "224.0.0.251", "ff02::fb"
MDNS_QUESTION = (
    bytes.fromhex("0000 0000 0001 0000 0000 0000")
    + b"\x0c_meshcluster\x04_tcp\x05local\x00"
    + bytes.fromhex("000c 0001")
)
"""Which members are there? From a port other than 5353, so that the answers come to us alone."""


@click.command(
    cls=Command,
    examples=(
        Example("meshcluster doctor", "does everything work on this host?"),
        Example("meshcluster doctor --ttl 1", "and on this LAN?"),
        Example("meshcluster doctor --ttl 1 --peer 10.0.0.7", "why is 10.0.0.7 not found?"),
        Example("meshcluster doctor --json | jq '.checks[] | select(.state == \"broken\")'",
                "what is broken, for a script"),
    ),
)  # fmt: skip
@click.option("--peer", metavar="HOST", callback=label,
              help="Also look what is between us and this host: a name or an address.")  # fmt: skip
def command(settings: Settings, peer: str | None) -> int:
    """Say what works here, what does not, and what to do.

    STATE is good, note (worth knowing), skipped (not used, and why) or broken. Exit code 1 when
    something is broken. It joins nothing and changes nothing; it listens for about 2 s.

    In a pipe: check, of, state, found, next step, separated by tabs. JSON: an object with broken
    (their number) and checks, a list of objects with check, of, state, found and next.
    """
    from ..errors import ConfigError

    screen = Screen()
    try:
        checks = examined(settings, peer)
    except ConfigError as error:  # of a setting, not of this host
        raise click.UsageError(str(error)) from None
    broken = sum(check.state == BROKEN for check in checks)
    if settings.json:
        shown = [dict(zip(("check", "of", "state", "found", "next"), c, strict=True)) for c in
                 (_ordered(check) for check in checks)]  # fmt: skip
        screen.document({"broken": broken, "checks": shown})
    else:
        rows = map(_ordered, checks)
        if screen.terminal:
            screen.table(HEADER, map(_joined, rows), wrapped="FOUND")
        else:
            for row in rows:
                screen.table((*HEADER, "NEXT"), [row], wrapped="FOUND")
        screen.note(f"{broken} broken" if broken else "nothing is broken")
    return FAILED if broken else 0


def _ordered(check: Check) -> tuple[str, ...]:
    return (check.what, check.subject, check.state, check.text, check.next)


def _joined(row: Sequence[str]) -> tuple[str, ...]:
    """What was found and what to do, one below the other."""
    *first, found, advice = row
    return (*first, f"{found}\n-> {advice}" if advice else found)


def examined(settings: Settings, host: str | None) -> list[Check]:
    """All checks.

    Raises:
        ConfigError: a setting that cannot be.
    """
    from ..announcers.groups import ways
    from ..config import DEFAULT_ADDRESS, DEFAULT_PORT
    from ..interfaces import interfaces
    from ..runtime.host import beacon_port

    group = DEFAULT_ADDRESS
    port = beacon_port(settings.port or DEFAULT_PORT)
    found, folder = directory()
    checks = [found]
    more, used = networks(interfaces(), settings.ttl, settings.joining.get("interfaces"))
    checks += more
    out = ways(used)
    question = Question(settings.cluster)
    context = _context(settings, folder)
    with ThreadPoolExecutor(2) as beside:  # listening takes a while, so all is done meanwhile
        listening = Listening(out, group, port, settings.ttl)
        hearing = beside.submit(listening.run, question.to_group(), LISTEN_SECONDS)
        mdns_asked = beside.submit(mdns, out, settings, wait=host is not None)
        spoken = asyncio.run(protocols(_schemes(folder), context))
    heard = hearing.result().heard
    checks += multicast("beacons", hearing.result().troubles, group=group, port=port)
    checks += [*mdns_asked.result().checks, *spoken]
    checks += others(heard, settings.cluster)
    checks += [_seed(seed, port, question) for seed in settings.joining.get("seeds", ())]
    if host is None:
        return checks
    peer = looked_up(host, port)
    if isinstance(peer, Check):
        return [*checks, peer]
    own = {address.ip for each in used for address in each.addresses}
    records = mdns_asked.result().heard
    return [*checks, *peer_checks(peer, heard, question, context, own, records)]


class MdnsAsked(NamedTuple):
    """The checks of mDNS here; what came of our question, None when nothing could be asked."""

    checks: list[Check]
    heard: list[Heard] | None = None


def mdns(out: Sequence[Way], settings: Settings, *, wait: bool) -> MdnsAsked:
    """The package, the port, the group on each way; with ``wait``, who answers. Nothing where mDNS
    is left out.
    """
    if settings.no_mdns:
        return MdnsAsked([])
    checks = [mdns_library(), mdns_port()]
    if any(check.state == BROKEN for check in checks):
        return MdnsAsked(checks)
    listening = Listening(out, MDNS_GROUP, MDNS_PORT, settings.ttl, by_v6=MDNS_GROUP_V6)
    hearing = listening.run(MDNS_QUESTION, MDNS_SECONDS, until_own=not wait)
    checks += multicast(
        "mdns", hearing.troubles, group=MDNS_GROUP, by_v6=MDNS_GROUP_V6, port=MDNS_PORT
    )
    return MdnsAsked(checks, hearing.heard if settings.ttl else None)


def _context(settings: Settings, folder: Path | None) -> Context:
    from ..protocols.base import Context

    return Context(
        cluster=settings.cluster, member_id=os.urandom(16), host_only=settings.ttl == 0,
        runtime_dir=folder or Path(os.devnull),
    )  # fmt: skip


def _schemes(folder: Path | None) -> list[str]:
    """What a member offers by itself, and what others' packages add; without a directory only what
    has no UNIX sockets.
    """
    from ..protocols.registry import BUILT_IN, DEFAULT, known_schemes

    offered = [each for each in DEFAULT if folder is not None or each not in IN_DIRECTORY]
    return [*offered, *(each for each in known_schemes() if each not in BUILT_IN)]


def _seed(seed: str, port: int, question: Question) -> Check:
    peer = looked_up(seed, port)
    if isinstance(peer, Check):
        return peer._replace(what="seed")
    troubles = []
    for address in peer.addresses:
        knocked = knock(address, peer.port, question)
        if knocked.data:
            return Check("seed", seed, GOOD, f"{address} answers")
        troubles.append(f"{address}: {knocked.trouble}")
    advice = f"meshcluster doctor --peer {seed} tells more"
    return Check("seed", seed, BROKEN, "; ".join(troubles), advice)
