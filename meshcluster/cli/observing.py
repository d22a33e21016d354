"""How a command that is over in a moment sees the mesh: it joins as an observer, asks who is there
and looks as long as news come.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .options import Settings

if TYPE_CHECKING:
    from ..model import Service
    from ..sync.cluster import Cluster

QUIET_SECONDS = 0.15
"""Nobody new for so long: everybody who is meant has answered."""

LOOK_SECONDS = 1.0
"""We look no longer, whoever may still come."""


@contextmanager
def observer(settings: Settings, command: str) -> Iterator[Cluster]:
    """A cluster that has just begun to look, left at the end.

    Raises:
        ClusterError: see ``join``.
    """
    import logging
    import os

    from ..sync.cluster import Cluster

    logging.basicConfig(format="meshcluster: %(message)s")
    name = f"{command}-{os.getpid()}"
    with Cluster().join(observer=True, name=name, **settings.joining) as cluster:
        yield cluster


@contextmanager
def observing(settings: Settings, command: str, words: Sequence[str] = ()) -> Iterator[Cluster]:
    """A cluster that knows who is there, left at the end.

    Raises:
        ClusterError: see ``join``.
    """
    with observer(settings, command) as cluster:
        settle(cluster, settings, lambda: bool(cluster.resolve(*words)))
        yield cluster


def settle(cluster: Cluster, settings: Settings, is_somebody: Callable[[], bool]) -> None:
    """Waits until a cluster that has just begun to look knows who is there."""
    news: queue.SimpleQueue[Service] = queue.SimpleQueue()

    @cluster.hook("service.discovered")
    def discovered(service: Service) -> None:
        news.put(service)

    look(news, is_somebody, min(LOOK_SECONDS, settings.timeout))
    cluster.unhook(discovered)


def found(cluster: Cluster, settings: Settings, words: Sequence[str]) -> tuple[Service, ...]:
    """The members that are meant.

    Raises:
        NoServices: there are none; the text says where we looked, and for what.
    """
    from ..errors import NoServices

    services = cluster.resolve(*words)
    if services:
        return services
    if not cluster.services:
        raise NoServices(f"nobody is there {settings.reach}")
    there = ", ".join(service.name for service in cluster.services[:8])
    more = ", ..." if cluster.known_services > 8 else ""
    wanted = " and ".join(repr(word) for word in words)
    raise NoServices(f"nobody has {wanted} {settings.reach}; there are {there}{more}")


def look(news: queue.SimpleQueue[Service], is_somebody: Callable[[], bool], limit: float) -> None:
    """Waits until nobody new has come for a moment, and whoever is meant is among those who have;
    at most ``limit`` seconds.
    """
    end = time.monotonic() + limit
    quiet = end
    while True:
        until = min(end, quiet) if is_somebody() else end
        wait = until - time.monotonic()
        if wait <= 0:
            return
        try:
            news.get(timeout=wait)
        except queue.Empty:
            continue
        quiet = time.monotonic() + QUIET_SECONDS
