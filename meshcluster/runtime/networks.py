"""What the node is told of this machine's networks, when it is made and when they change."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from ..announcers import Announcer, MulticastAnnouncer
from ..errors import MessageTooLarge, NotJoined
from ..interfaces import Interface

if TYPE_CHECKING:
    from .driver import Driver

logger = logging.getLogger("meshcluster")


def own_networks(announcers: Sequence[Announcer]) -> frozenset[str]:
    """Our IP addresses with their prefixes, ``"10.0.0.5/24"``; none where only this host counts.

    An address on an interface that our user denied is ours, but nobody else in its network counts.
    """
    found: set[str] = set()
    for announcer in announcers:
        if isinstance(announcer, MulticastAnnouncer):
            denied = [each.interface for each in announcer.skipped if each.denied]
            others = [each.interface for each in announcer.skipped if not each.denied]
            found |= _with_prefixes((*announcer.used, *others))
            found |= {_alone(network) for network in _with_prefixes(denied)}
    return frozenset(found)


def follow_networks(announcers: Sequence[Announcer], driver: Driver) -> None:
    """Tells the node from now on when interfaces or addresses change."""

    def changed() -> None:
        found = own_networks(announcers)
        with suppress(NotJoined):
            try:
                driver.touch(lambda _, now: driver.node.networks_changed(found, now))
            except MessageTooLarge as error:
                logger.warning("our addresses are not told: %s", error)

    for announcer in announcers:
        if isinstance(announcer, MulticastAnnouncer):
            announcer.changed = changed


def _with_prefixes(interfaces: Iterable[Interface]) -> set[str]:
    return {network for each in interfaces for network in each.networks}


def _alone(network: str) -> str:
    ip = network.partition("/")[0]
    return f"{ip}/{128 if ':' in ip else 32}"
