"""Which member gets a call: who has the fewest of ours under way, among equals in turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..model import Service
from .letters import IDEMPOTENT, MAILBOX
from .signature import ANYTHING, Signature
from .terms import Where

WHERES = 256
"""Of so many combinations of words it is remembered who has them."""

LOOKED_AT = 64
"""Of more members that expose a function so many, each time others, are looked at for a call."""


@dataclass(frozen=True, slots=True)
class Members:
    """How the members are asked for."""

    services: Callable[[], tuple[Service, ...]]
    """Those known: the same tuple as long as nothing changes."""
    resolve: Callable[..., tuple[Service, ...]]
    """Those that have every word."""


class Load:
    """What one member has to do for us."""

    __slots__ = ("open", "rests_until")

    def __init__(self) -> None:
        self.open: set[Any] = set()
        """Our calls that it has not answered. (A set, for adding to it needs no lock.)"""
        self.rests_until = 0.0
        """It said that it has too much to do."""


class Place:
    """A member that exposes a function, and what it says of it: not all need say the same."""

    __slots__ = ("is_idempotent", "load", "service", "signature")

    def __init__(
        self, service: Service, load: Load, offer: Sequence[str], signature: Signature
    ) -> None:
        self.service = service
        self.load = load
        self.is_idempotent = IDEMPOTENT in offer
        self.signature = signature


class Group:
    """All members that expose one function."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.places = places
        self._within: dict[Any, Sequence[Place]] = {}

    def within(self, where: Where, members: Members) -> Sequence[Place]:
        """Those of them that may be called."""
        if callable(where):
            return [each for each in self.places if where(each.service)]
        if isinstance(where, Service):
            return [each for each in self.places if each.service == where]
        assert where is not None
        key: tuple[Any, ...] = (where,) if isinstance(where, str) else tuple(where)
        if not key or not isinstance(key[0], str):
            return [each for each in self.places if each.service in key]
        found = self._within.get(key)
        if found is None:
            chosen = set(members.resolve(*key))
            found = [each for each in self.places if each.service in chosen]
            if len(self._within) < WHERES:
                self._within[key] = found
        return found


class Choice:
    """The members by what they expose, and how much each has to do for us."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._seen: tuple[Service, ...] = ()
        self._groups: dict[str, Group | None] = {}
        self._loads: dict[bytes, Load] = {}
        self._lock = threading.Lock()
        """Of ``_loads``: several threads may call."""
        self._turn = 0

    def group(self, name: str) -> Group | None:
        """Who exposes a function; None: nobody."""
        groups = self._groups  # before the members: nobody's view of old ones goes into new groups
        services = self._members.services()
        if services is not self._seen:
            groups = self._look_again(services)
        try:
            return groups[name]
        except KeyError:
            with self._lock:
                found = self._find(name, services)
                if found is not None:  # of names that nobody has there is no end
                    groups[name] = found
            return found

    def _look_again(self, services: tuple[Service, ...]) -> dict[str, Group | None]:
        known = {each.key for each in services}
        with self._lock:
            loads = self._loads
            self._loads = {key: load for key, load in loads.items() if key in known or load.open}
            groups = self._groups = {}
            self._seen = services
        return groups

    def _find(self, name: str, services: Iterable[Service]) -> Group | None:
        places: list[Place] = []
        signatures: dict[str, Signature] = {}
        for service in services:
            offer = offers_of(service).get(name)
            if offer is None:
                continue
            line = offer[0] if offer else ANYTHING
            if line not in signatures:
                signatures[line] = Signature.parse(name, line)
            load = self._loads.setdefault(service.key, Load())
            places.append(Place(service, load, offer, signatures[line]))
        return Group(places) if places else None

    def choose(self, places: Sequence[Place], tried: Collection[bytes], now: float) -> Place | None:
        """The least busy of those that were not tried and do not rest."""
        self._turn = turn = self._turn + 1
        count = len(places)
        best, least = None, 0
        for index in range(min(count, LOOKED_AT)):
            place = places[(turn + index) % count]
            load = place.load
            busy = len(load.open)
            if best is not None and busy >= least:
                continue
            if load.rests_until > now or (tried and place.service.key in tried):
                continue
            if not busy:
                return place
            best, least = place, busy
        return best

    @property
    def exposed(self) -> dict[str, tuple[Service, ...]]:
        """All names, and who exposes each."""
        found: dict[str, list[Service]] = {}
        for service in self._members.services():
            for name in offers_of(service):
                found.setdefault(name, []).append(service)
        return {name: tuple(found[name]) for name in sorted(found)}


def offers_of(service: Service) -> dict[str, list[str]]:
    """What a member says that it exposes, as far as it is what we would say."""
    offer = service.offers.get(MAILBOX)
    if type(offer) is not dict:
        return {}
    return {
        name: told
        for name, told in offer.items()
        if type(name) is str and type(told) is list and all(type(each) is str for each in told)
    }
