"""``Following``: the servers of a dispatcher, also where they are members that come and go."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..errors import ConfigError
from ..live import Live
from ..model import Service
from .engine import Engine
from .server import Server, servers_of

Via = Callable[[Service], Server | None]
_LOG = logging.getLogger("meshcluster.ssh")


class Following:
    """A list of servers that stays, or a live selection of the mesh."""

    def __init__(self, servers: Any, via: Via | None, defaults: Mapping[str, Any]) -> None:
        self.live = servers if isinstance(servers, Live) else None
        self._via = via
        self._slots = defaults["slots"] or 1
        self._lock = threading.Lock()
        self._unwatch: Callable[[], None] | None = None
        self._fixed = [] if self.live is not None else servers_of(servers, defaults)
        if via is not None and self.live is None:
            raise ConfigError("via= says how members are reached; servers= is no cluster.live(...)")

    @property
    def meshed(self) -> bool:
        """Tasks are calls through the mesh."""
        return self.live is not None and self._via is None

    @property
    def has_callbacks(self) -> bool:
        """Some of the workers may have a callback of their own."""
        return self.live is not None or any(each.command is not None for each in self._fixed)

    def begin(self, engine: Engine) -> None:
        """Tells the pool of the servers; from now on of each change.

        Raises:
            ConfigError: ``via`` has made something else than a server; or whatever it raises. Later
                such a member is left out, and that is logged.
        """
        if self.live is not None:
            self._unwatch = self.live.watch(lambda: self._tell(engine, self._way))
        try:
            self._tell(engine, self._via)
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Follows no longer."""
        unwatch, self._unwatch = self._unwatch, None
        if unwatch is not None:
            unwatch()

    def _tell(self, engine: Engine, via: Via | None) -> None:
        with self._lock:  # who is told last knows best
            servers = self._fixed if self.live is None else self._members(self.live, via)
            engine.act(lambda pool, now: pool.serve(servers, now))

    def _members(self, live: Live, via: Via | None) -> list[Server]:
        found: list[tuple[Service, Server]] = []
        for service in live.services:
            if via is None:
                slots = self._slots_of(service)
                found.append((service, Server(name=service.name, service=service, slots=slots)))
            elif (server := via(service)) is not None:
                if not isinstance(server, Server):
                    raise ConfigError(f"via= made {server!r:.80} of {service.name}: a Server")
                found.append((service, server))
        names = [server.name for _, server in found]
        return [
            server
            if names.count(server.name) == 1
            else replace(server, name=f"{server.name}-{service.id[:8]}")
            for service, server in found
        ]

    @property
    def _way(self) -> Via | None:
        """``via``, for when there is nobody to hear what it raises."""
        via = self._via
        if via is None:
            return None

        def way(service: Service) -> Server | None:
            try:
                server = via(service)
                if server is None or isinstance(server, Server):
                    return server
                raise ConfigError(f"{server!r:.80} is no Server")
            except Exception:
                _LOG.exception("via= raised: %s is left out", service.name)
                return None

        return way

    def _slots_of(self, service: Service) -> int:
        """What it says itself, within reason: others may say anything."""
        told = service.props.get("slots")
        return told if type(told) is int and 0 < told <= 1024 else int(self._slots)
