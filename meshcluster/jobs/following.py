"""``Following``: members of the mesh as sites, by which names, and what became of them.

Whoever has one keeps all calls of it, but ``way``, under a lock of its own.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ..errors import ConfigError
from ..live import Live
from ..model import LEFT, REFUSED, Service
from .selector import is_name
from .site import checked

Via = str | Callable[[Service], Mapping[str, Any] | None]
MAX_LOST = 4096
"""So many that were lost are remembered, the last ones."""
_STRANGE = re.compile(r"[^\w.:@/+=-]")
_LOG = logging.getLogger("meshcluster.jobs")


class Following:
    """A live selection, how its members are reached, and the names that they have as sites.

    A name stays a member's as long as it is there, whoever comes later. Who has gone is still there
    until it is known why: there is no time between in which nobody could tell.

    Raises:
        ConfigError: ``via`` is neither a function nor one of its words; or ``config`` cannot work.
    """

    def __init__(
        self, live: Live, *, via: Via, roles: tuple[str, ...], config: Mapping[str, Any] | None
    ) -> None:
        if not isinstance(live, Live):
            raise ConfigError(f"follow({live!r:.80}): what cluster.live(...) returns")
        if via not in ("mesh", "ssh") and not callable(via):
            raise ConfigError(f"via={via!r:.80}: 'mesh', 'ssh' or a function of a Service")
        self.config = checked("follow", config, {})
        if via == "mesh" and self.config.get("host") is not None:
            raise ConfigError(f"follow: host={self.config['host']!r}: via='mesh' needs no host")
        self.live = live
        self.roles = roles
        self._via = via
        self._boot: int | None = None
        self._names: dict[Service, str] = {}
        self._gone: dict[Service, None] = {}
        self._lost: dict[str, None] = {}
        self._troubled: set[Service] = set()

    # --- under the lock ---------------------------------------------------------------------------

    def members(self) -> list[Service]:
        """Who is there, by name, so that each run has the same order; then who has gone and we know
        not why yet.
        """
        there, boot = sorted(self.live.services, key=lambda each: each.name), self.live.boot
        if boot is None:  # what has become of them nobody knows now
            return []
        known = set(there)
        self._gone.clear()
        for service in [service for service in self._names if service not in known]:
            if boot != self._boot:  # we were away
                self._forget(service, lost=True)
            elif service.state == "gone":
                self._gone[service] = None
            else:  # it has lost the words that are followed
                self._forget(service, lost=False)
        self._boot = boot
        return [*there, *self._gone]

    def names(self, members: Collection[Service], taken: Collection[str]) -> dict[Service, str]:
        """What the sites are called that these of the members are; ``taken``: what others are."""
        used = set(taken)
        found: dict[Service, str] = {}
        fresh: list[Service] = []
        for service in members:
            known = self._names.get(service)
            if service in self._gone:
                continue
            if known is None or known in used:
                fresh.append(service)
            else:
                found[service] = known
                used.add(known)
        twins = Counter(map(_legal, fresh))
        for service in fresh:
            name = _legal(service)
            if twins[name] > 1 or name in used:
                name = f"{name}-{service.id[:8]}"
            if name in used:
                name = f"{_legal(service)}-{service.id}-{service.boot}"
            used.add(name)
            found[service] = self._names[service] = name
            self.there_is(name)
        for service in self._gone:  # whose name may be another's by now
            if service in members and self._names[service] not in used:
                found[service] = self._names[service]
        return {service: found[service] for service in members if service in found}

    def lost(self, service: Service) -> None:
        """A member is lost; its reason says why."""
        self._forget(service, lost=service.reason not in (LEFT, REFUSED))

    def has_lost(self, name: str) -> bool:
        """Whether the site that was called so did not take its leave; or we have left ourselves, so
        that nobody knows.
        """
        return name in self._lost or (self.live.boot is None and name in self._names.values())

    def there_is(self, name: str) -> None:
        """There is a site of that name again."""
        self._lost.pop(name, None)

    def _forget(self, service: Service, *, lost: bool) -> None:
        name = self._names.pop(service, None)
        self._troubled.discard(service)
        if name is None:
            return
        self._lost.pop(name, None)
        if lost:
            self._lost[name] = None
            while len(self._lost) > MAX_LOST:
                del self._lost[next(iter(self._lost))]

    # --- without it: a function of the user's is called -------------------------------------------

    def way(self, service: Service) -> dict[str, Any] | None:
        """What the site's config has of the member and of ``config``; None: it is left out."""
        via = self._via
        if via == "mesh":
            return self.config
        if via == "ssh":
            return {**self.config, "host": service.address}
        assert callable(via)
        try:
            told = via(service)
            if told is None:
                return None
            return {**self.config, **checked(f"via of {service.name!r}", told, {})}
        except Exception:
            if service not in self._troubled:  # once is enough
                self._troubled.add(service)
                _LOG.exception("via= raised: %s is left out", service.name)
            return None


def _legal(service: Service) -> str:
    """Its name, as sites may be called."""
    return service.name if is_name(service.name) else _STRANGE.sub("_", service.name)
