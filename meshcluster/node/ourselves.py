"""What we say of ourselves: our details, their changes, and our own endpoints among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import TYPE_CHECKING, Any

import msgspec

from ..config import ClusterConfig
from ..errors import MessageTooLarge
from ..model import Endpoint, Identity
from ..wire import codec
from ..wire.frames import Details, Unopened
from . import negotiation
from .counters import Counters
from .effects import CheckEndpoint, Effect
from .membership import Peer
from .schedule import Schedule
from .scope import Scope

if TYPE_CHECKING:
    from .datagrams import Datagrams
    from .views import Views

LOCALHOST = "localhost"

DESCRIBE_KEY = ("describe", None)
DESCRIBE_SECONDS = 0.001
"""Changes of what we say of ourselves that come so close are told together."""

CHECK_SECONDS = 2.0
"""Between two looks at an endpoint of ours, however many say that they cannot open it."""

RENEWED = "renewed"
"""Added to what an endpoint says where it was opened anew at the same place, so that everybody
sees the difference.
"""


class Ourselves:
    """Our details. ``spoken`` is the node's, ``port`` our own UDP port."""

    def __init__(
        self, identity: Identity, config: ClusterConfig, endpoints: Iterable[Endpoint], *,
        port: int, offers: Mapping[str, object], spoken: Mapping[str, bool], scope: Scope,
        schedule: Schedule, effects: list[Effect], counters: Counters,
    ) -> None:  # fmt: skip
        self._identity = identity
        self._config = config
        self._spoken = spoken
        self._scope = scope
        self._schedule = schedule
        self._effects = effects
        self._counters = counters
        self._checked: dict[str, float] = {}
        said = Details(
            1, identity.name, identity.host, config.tags, self._advertised(endpoints),
            dict(config.props), port, config.heartbeat_seconds, dict(offers), config.observer,
        )  # fmt: skip
        self.details = codec.copied(said)

    def connect(self, views: Views, own: Datagrams) -> None:
        """Sets those, which are made with our details.

        Raises:
            MessageTooLarge: the details would not fit a hello or a beacon.
        """
        self._views, self._own = views, own
        self._check(self.details)
        views.toggle(self.fingerprint)

    def describe(self, now: float, **changes: Any) -> None:
        """Changes the details, if it is something else; told in a moment.

        Raises:
            MessageTooLarge: they would not fit a hello or a beacon; nothing was changed.
        """
        same = msgspec.structs.replace(self.details, **changes)
        if codec.encode_details(same) == codec.encode_details(self.details):
            return
        details = codec.copied(msgspec.structs.replace(same, version=same.version + 1))
        self._check(details)
        before, self.details = self.fingerprint, details
        self._views.toggle(before ^ self.fingerprint)
        if DESCRIBE_KEY not in self._schedule:
            self._schedule.set(DESCRIBE_KEY, now + DESCRIBE_SECONDS)

    def _check(self, details: Details) -> None:
        size = len(codec.encode_details(details))
        room = self._config.limits.hello_bytes - 1024
        if size > room:
            raise MessageTooLarge(f"tags, props and endpoints take {size} bytes, over {room}")
        size, room = self._own.beacon_size(details), self._config.limits.datagram_bytes
        if size > room:
            raise MessageTooLarge(f"a beacon with these endpoints has {size} bytes, over {room}")

    @property
    def fingerprint(self) -> int:
        """Our part in our view; an observer has none in anybody's."""
        if self._config.observer:
            return 0
        me = Peer(self._identity.id, self._identity.boot, ("", 0), 0.0)
        me.digest = codec.digest(self.details)
        return me.fingerprint

    @property
    def words(self) -> frozenset[str]:
        """What others would resolve us by (any thread)."""
        me, details = self._identity, self.details
        addresses = self._scope.own_addresses
        return frozenset({*details.tags, me.name, me.id.hex(), me.host, LOCALHOST, *addresses})

    # --- our endpoints -----------------------------------------------------------------------

    def _advertised(self, endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
        return negotiation.advertised(endpoints, hosts=self._scope.hosts, spoken=self._spoken)

    def moved(self, now: float) -> None:
        """Our addresses have changed: our endpoints tell them."""
        self.describe(now, endpoints=self._advertised(self.details.endpoints))

    def unopened(self, told: Unopened, now: float) -> None:
        """A member came by another way, since this endpoint of ours could not be opened."""
        if told.endpoint not in self.details.endpoints:
            return  # it was renewed meanwhile
        scheme = told.endpoint.scheme
        self._counters.count(f"reports that {scheme} could not be opened")
        due = self._checked.get(scheme, -inf) + CHECK_SECONDS
        if now >= due:
            self.check(scheme, now)
        else:
            self._schedule.set(("check", scheme), due)

    def check(self, scheme: str, now: float) -> None:
        """Somebody could not open an endpoint of ours: has it looked at."""
        self._checked[scheme] = now
        found = [each for each in self.details.endpoints if each.scheme == scheme]
        self._effects += [CheckEndpoint(each) for each in found]

    def renewed(self, before: Endpoint, endpoint: Endpoint, now: float) -> None:
        """An endpoint of ours was opened anew; our addresses may be others by now."""
        (endpoint,) = self._advertised([endpoint])
        count = before.props.get(RENEWED, 0)
        if {**endpoint.props, RENEWED: count} == {**before.props, RENEWED: count}:
            props = {**endpoint.props, RENEWED: count + 1 if isinstance(count, int) else 1}
            endpoint = Endpoint(endpoint.scheme, props)
        had = self.details.endpoints
        endpoints = [endpoint if each.scheme == before.scheme else each for each in had]
        self.describe(now, endpoints=tuple(endpoints))
