"""``localhost_only``: members of this machine and nobody else."""

from __future__ import annotations

from ...model import Service


def localhost_only(service: Service) -> bool:
    """Refuses members that are not proven to be on this machine::

        cluster.hook("service.validate")(localhost_only)

    With ``ttl=0`` there are no others; with a wider reach this one cluster keeps them out.
    """
    return service.local
