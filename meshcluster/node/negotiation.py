"""Which of a member's endpoints to dial, in which order: the dialled member's own list decides,
but what failed lately comes last until its time has come to be tried again.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping, Sequence
from math import inf

import msgspec

from ..model import UDP, Endpoint

HOSTS = "hosts"
"""What an endpoint's addresses stand under, separated by commas."""

MAX_HOSTS = 4
"""Addresses that are told of an endpoint, or dialled beside the one where its member was heard."""

RETRY_SECONDS = (1.0, 30.0)
"""An endpoint that failed is not preferred for so long: doubled with each failure in a row."""


def order(
    endpoints: Iterable[Endpoint],
    *,
    spoken: Mapping[str, bool],
    local: bool,
    only: Collection[str] = (),
) -> Sequence[Endpoint]:
    """The endpoints worth dialling, best first.

    ``spoken`` maps each scheme that we speak to whether it reaches this machine only; those are
    skipped for a member that is not ``local``. ``only`` narrows to the schemes asked for. ``udp``,
    which opens no link, is always the last.
    """
    worth = [
        endpoint
        for endpoint in endpoints
        if endpoint.scheme in spoken
        and (local or not spoken[endpoint.scheme])
        and (not only or endpoint.scheme in only)
    ]
    return sorted(worth, key=lambda endpoint: endpoint.scheme == UDP)


def advertised(
    endpoints: Iterable[Endpoint], *, hosts: Sequence[str], spoken: Mapping[str, bool]
) -> tuple[Endpoint, ...]:
    """The endpoints with our addresses, where we have several and others may dial them: which of
    them a beacon came from says nothing of the others.
    """
    told = ",".join(hosts[:MAX_HOSTS]) if len(hosts) > 1 else ""
    found = []
    for endpoint in endpoints:
        props = {key: value for key, value in endpoint.props.items() if key != HOSTS}
        if told and not spoken.get(endpoint.scheme, True):
            props[HOSTS] = told
        found.append(Endpoint(endpoint.scheme, props))
    return tuple(found)


def hosts(endpoint: Endpoint) -> Sequence[str]:
    """The addresses that a member says it has; nothing else than IP addresses of hosts."""
    found = []
    for text in str(endpoint.props.get(HOSTS, "")).split(",")[:MAX_HOSTS]:
        try:
            ip = ipaddress.ip_address(text)
        except ValueError:
            continue
        if not (ip.is_loopback or ip.is_multicast or ip.is_unspecified or "%" in text):
            found.append(str(ip))
    return found


def unused(
    endpoints: Iterable[Endpoint], *, spoken: Mapping[str, bool], only: Collection[str] = ()
) -> list[tuple[str, str]]:
    """Why ``order`` found none of the endpoints worth dialling: scheme and reason of each."""
    reasons = []
    for endpoint in endpoints:
        scheme = endpoint.scheme
        if scheme not in spoken:
            reasons.append((scheme, "not spoken here"))
        elif only and scheme not in only:
            reasons.append((scheme, "not asked for"))
        elif scheme == UDP:
            reasons.append((scheme, "opens no link"))
        else:
            reasons.append((scheme, "reaches its own host only"))
    return reasons


class _Failure(msgspec.Struct):
    address: str
    times: int
    until: float


class Experience:
    """The endpoints of one member that failed lately, and until when each is not preferred."""

    __slots__ = ("_failures",)

    def __init__(self) -> None:
        self._failures: dict[str, _Failure] = {}

    def failed(self, endpoint: Endpoint, address: str, now: float) -> None:
        """It could not be opened at that address, or was of no use."""
        known = self._failures.get(_key(endpoint))
        times = known.times if known is not None and known.address == address else 0
        low, high = RETRY_SECONDS
        until = now + min(high, low * 2.0 ** min(times, 10))
        self._failures[_key(endpoint)] = _Failure(address, times + 1, until)

    def worked(self, endpoint: Endpoint) -> None:
        """It is open."""
        self._failures.pop(_key(endpoint), None)

    def forget(self) -> None:
        """No endpoint is known to be worse than another: all failed, or all is new."""
        self._failures.clear()

    def keep(self, endpoints: Iterable[Endpoint]) -> None:
        """Forgets what is not advertised any more."""
        if self._failures:
            kept = {_key(endpoint) for endpoint in endpoints}
            self._failures = {k: f for k, f in self._failures.items() if k in kept}

    def until(self, endpoint: Endpoint, address: str) -> float:
        """When it may be preferred again; in the infinite past where nothing speaks against it."""
        failure = self._failures.get(_key(endpoint))
        return -inf if failure is None or failure.address != address else failure.until

    def sort(self, endpoints: Sequence[Endpoint], address: str, now: float) -> Sequence[Endpoint]:
        """All of them: first what may be preferred, then what failed lately, each in order."""
        if not self._failures:
            return endpoints
        return sorted(endpoints, key=lambda each: self.until(each, address) > now)


def _key(endpoint: Endpoint) -> str:
    return f"{endpoint.scheme} {endpoint.props}"
