"""Which of a member's endpoints to dial, in which order: the dialled member's own list decides."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from ..model import UDP, Endpoint


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
