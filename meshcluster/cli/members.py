"""``meshcluster members``: who is there, once or as it changes."""

from __future__ import annotations

import queue
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from ..lettering import harmless
from .ending import Ended, told_to_end
from .options import Command, Example, Settings, resolve_option
from .screen import Screen
from .values import dumped

if TYPE_CHECKING:
    from ..hooks.placing import ServicePoint
    from ..model import Service
    from ..sync.cluster import Cluster

HEADER = ("NAME", "STATE", "PROTOCOL", "ADDRESS", "LOCAL", "TAGS")

LOOK_SECONDS = 0.5
"""Between two looks at what no hook tells of, and whether anybody still reads."""

NEWS: tuple[ServicePoint, ...] = (
    "service.discovered", "service.changed", "service.suspect", "service.recovered", "service.lost",
)  # fmt: skip


CLEAR = "\x1b[H\x1b[2J"

Seen = dict[bytes, tuple["Service", tuple[str, ...]]]
"""By a member's key: its newest snapshot and its row."""


@click.command(
    cls=Command,
    examples=(
        Example("meshcluster members", "everybody on this host"),
        Example("meshcluster members --resolve web --ttl 1", "those tagged web, on this LAN"),
        Example("meshcluster members --json | jq -r '.[].name'", "their names, for a script"),
        Example("meshcluster members -w", "the table, again whenever it changes"),
    ),
)
@resolve_option("Only those that have")
@click.option("--watch", "-w", is_flag=True, help="Go on until Ctrl-C, and show every change.")
def command(settings: Settings, resolve: tuple[str, ...], watch: bool) -> int:
    """Show who is there.

    STATE is alive, suspect (it does not answer, and is asked on) or told (in a large mesh: known by
    a member's word so far); of one that is lost, why: left, crashed, unreachable, expired, conflict
    or refused. PROTOCOL is the one that would carry a message there. LOCAL says whether it is on
    this machine.

    In a pipe: one member a line, columns separated by tabs, no header. JSON: a list of objects with
    id, name, state, protocol, address, tags, local and more; with --watch one object a line, with
    'what' (discovered, changed, lost) first; of one that is lost the state is gone, and reason says
    why.
    """
    from .observing import found, observing

    screen = Screen()
    with told_to_end():
        try:
            with observing(settings, "members", resolve) as cluster:
                if watch:
                    _follow(screen, cluster, settings, resolve)
                else:
                    _show(screen, settings, found(cluster, settings, resolve))
        except Ended:
            return 0
    return 0


def _show(screen: Screen, settings: Settings, services: tuple[Service, ...]) -> None:
    services = tuple(sorted(services, key=lambda service: service.name))
    if settings.json:
        screen.document([described(service) for service in services])
        return
    screen.table(HEADER, map(row_of, services), wrapped="TAGS")


def described(service: Service) -> dict[str, Any]:
    """All that is known of a member, as JSON has it."""
    info = service.info
    if info["last_seen"] is not None:
        info["last_seen"] = round(info["last_seen"], 3)
    return info


def row_of(service: Service) -> tuple[str, ...]:
    """A member's row of the table."""
    state, _, protocol = service.standing
    local = "yes" if service.local else "no"
    address = service.address or "-"
    tags = " ".join(service.tags) or "-"
    return (service.name, service.reason or state, protocol or "-", address, local, tags)


def _follow(screen: Screen, cluster: Cluster, settings: Settings, words: tuple[str, ...]) -> None:
    news: queue.SimpleQueue[Service] = queue.SimpleQueue()
    for point in NEWS:
        cluster.hook(point)(lambda service: news.put(service))
    seen: Seen = {}
    lost: dict[bytes, Service] = {}
    first = True
    while screen.is_read:
        now: Seen = {s.key: (s, row_of(s)) for s in cluster.resolve(*words)}
        for key, (service, row) in seen.items():
            if key not in now and key not in lost and service.state == "gone":
                now[key] = service, row  # why is told in a moment
        changes = _changes(seen, now, lost)
        lost = {key: service for key, service in lost.items() if key in now}
        if screen.terminal and not settings.json:
            if changes or first:
                _reprint(screen, now, settings)
        else:
            for what, service in changes:
                screen.say(_change_line(settings, what, service))
        seen, first = now, False
        with suppress(queue.Empty):
            service = news.get(timeout=LOOK_SECONDS)
            if service.reason and service.key in seen:
                lost[service.key] = service


def _changes(before: Seen, now: Seen, why: dict[bytes, Service]) -> list[tuple[str, Service]]:
    lost = [("lost", why.get(key, before[key][0])) for key in before if key not in now]
    discovered = [("discovered", now[key][0]) for key in now if key not in before]
    changed = [
        ("changed", service)
        for key, (service, row) in now.items()
        if key in before and (before[key][1] != row or before[key][0].props != service.props)
    ]
    return lost + changed + discovered


def _change_line(settings: Settings, what: str, service: Service) -> str:
    if settings.json:
        change: dict[str, Any] = {"what": what, "time": time.time(), **described(service)}
        return dumped(change)
    return "\t".join(map(harmless, (what, *row_of(service))))


def _reprint(screen: Screen, now: Seen, settings: Settings) -> None:
    rows = sorted(row for _, row in now.values())
    count = "1 member" if len(rows) == 1 else f"{len(rows)} members"
    title = f"{count} in cluster '{settings.cluster}' at {time.strftime('%H:%M:%S')}; Ctrl-C ends"
    lines = screen.table_lines(HEADER, rows, wrapped="TAGS") if rows else []
    click.echo(CLEAR + "\n".join([title, "", *lines]), color=True)
