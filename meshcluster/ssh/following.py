"""``Following``: the servers of a dispatcher, also where they are members that come and go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ConfigError
from ..live import Live
from ..model import Service
from .engine import Engine
from .server import Server, servers_of

Via = Callable[[Service], Server | None]


class Following:
    """A list of servers that stays, or a live selection of the mesh."""

    def __init__(self, servers: Any, via: Via | None, defaults: Mapping[str, Any]) -> None:
        self.live = servers if isinstance(servers, Live) else None
        self._via = via
        self._slots = defaults["slots"]
        self._lock = threading.Lock()
        self._unwatch: Callable[[], None] | None = None
        self._fixed = [] if self.live is not None else servers_of(servers, defaults)
        if via is not None and self.live is None:
            raise ConfigError("via= says how members are reached; servers= is no cluster.live(...)")

    @property
    def meshed(self) -> bool:
        """Tasks are calls through the mesh."""
        return self.live is not None and self._via is None

    def begin(self, engine: Engine) -> None:
        """Tells the pool of the servers; from now on of each change."""
        if self.live is not None:
            self._unwatch = self.live.watch(lambda: self._tell(engine))
        self._tell(engine)

    def end(self) -> None:
        """Follows no longer."""
        unwatch, self._unwatch = self._unwatch, None
        if unwatch is not None:
            unwatch()

    def _tell(self, engine: Engine) -> None:
        with self._lock:  # who is told last knows best
            servers = self._fixed if self.live is None else self._members()
            engine.act(lambda pool, now: pool.serve(servers, now))

    def _members(self) -> list[Server]:
        services = self.live.services if self.live is not None else ()
        names = [service.name for service in services]
        servers = []
        for service in services:
            name = service.name
            if names.count(name) > 1:
                name = f"{name}-{service.id[:8]}"
            if self._via is None:
                servers.append(Server(name=name, service=service, slots=self._slots_of(service)))
            elif (server := self._via(service)) is not None:
                servers.append(server)
        return servers

    def _slots_of(self, service: Service) -> int:
        """What it says itself, within reason: others may say anything."""
        told = service.props.get("slots")
        return told if type(told) is int and 0 < told <= 1024 else int(self._slots)
