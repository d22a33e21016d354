"""Which of a member's endpoints to dial, in which order: the dialled member's own list decides."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping, Sequence

from ..model import UDP, Endpoint

HOSTS = "hosts"
"""What an endpoint's addresses stand under, separated by commas."""

MAX_HOSTS = 4
"""Addresses that are told of an endpoint, or dialled beside the one where its member was heard."""


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
