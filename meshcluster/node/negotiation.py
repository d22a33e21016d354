"""Which of a member's endpoints to dial, in which order: the dialled member's own list decides,
but what failed lately comes last until its time has come to be tried again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import inf

import msgspec

from ..model import Endpoint

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
    skipped for a member that is not ``local``. ``only`` narrows to the schemes asked for.
    """
    return [
        endpoint
        for endpoint in endpoints
        if endpoint.scheme in spoken
        and (local or not spoken[endpoint.scheme])
        and (not only or endpoint.scheme in only)
    ]


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
