"""``meshcluster send``: tells members something and sees it delivered."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import click

from .options import Command, Example, Settings, resolve_option, text
from .screen import Screen

if TYPE_CHECKING:
    from ..model import Service
    from ..sync.cluster import Cluster

LOOK_SECONDS = 0.005
"""Between two looks at what is not delivered yet."""

INCOMPLETE = 3


@click.command(
    cls=Command,
    examples=(
        Example("meshcluster send 'reload your settings'", "to everybody on this host"),
        Example("meshcluster send -r web -r blue restart", "to those tagged both web and blue"),
        Example("meshcluster send -- -v", "a text that begins with a dash"),
    ),
)
@click.argument("data", metavar="TEXT", callback=text)
@resolve_option("Only to those that have")
def command(settings: Settings, data: str, resolve: tuple[str, ...]) -> int:
    """Tell members something: their 'event' hooks get TEXT as a str.

    Without --resolve everybody is told. Done when each has acknowledged that it has it, which does
    not say what its hooks make of it; exit code 3 when somebody has not after --timeout.

    JSON: an object with delivered and missing, lists of objects with name and id; those missing
    have a reason too.
    """
    from .observing import found, observing

    screen = Screen()
    with observing(settings, "send", resolve) as cluster:
        sent = cluster.send(data, services=found(cluster, settings, resolve))
        missing = undelivered(cluster, sent, settings.timeout)
        if missing:  # leaving would warn of what we say ourselves
            logging.getLogger("meshcluster").setLevel(logging.ERROR)
    delivered = [service for service in sent if service not in missing]
    if settings.json:
        screen.document({
            "delivered": [{"name": s.name, "id": s.id} for s in delivered],
            "missing": [{"name": s.name, "id": s.id, "reason": r} for s, r in missing.items()],
        })  # fmt: skip
    else:
        names = ", ".join(sorted(service.name for service in delivered))
        screen.say(f"delivered to {len(delivered)} of {len(sent)}{': ' if names else ''}{names}")
    for service, reason in missing.items():
        screen.note(f"{service.name} has not got it: {reason}")
    return INCOMPLETE if missing else 0


def undelivered(cluster: Cluster, sent: tuple[Service, ...], timeout: float) -> dict[Service, str]:
    """Waits until all is delivered; who has not got it, and why."""
    end = time.monotonic() + timeout
    while (waiting := cluster.undelivered) and time.monotonic() < end:
        time.sleep(LOOK_SECONDS)
    missing = dict.fromkeys(waiting, f"no acknowledgement in {timeout:g} s")
    if cluster.dropped.get("messages to a lost member"):
        missing |= {service: "it left or died" for service in sent if service.state == "gone"}
    return missing
