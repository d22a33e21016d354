"""Which announcers there are: ours are always used, those of other packages when they are named."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from ..plugins import Plugins
from .base import Announcer, Context

GROUP = "meshcluster.announcers"

BUILT_IN = {
    "multicast": "meshcluster.announcers.multicast:MulticastAnnouncer",
    "rendezvous": "meshcluster.announcers.rendezvous:RendezvousAnnouncer",
    "mdns": "meshcluster.announcers.mdns:MdnsAnnouncer",
    "door": "meshcluster.announcers.door:DoorAnnouncer",
}
"""By the names that nobody else may have."""


def installed() -> Plugins:
    """The announcers that are here now."""
    return Plugins("announcer", GROUP, BUILT_IN)


def known_announcers() -> tuple[str, ...]:
    """Every name that ``announcers=`` may have here."""
    return installed().others


def load(name: str, context: Context, *, plugins: Plugins | None = None) -> Announcer:
    """The announcer of another package; its module is imported now. ``plugins``: what
    ``installed`` gave, for who loads several.

    Raises:
        PluginError: unknown name (with the known ones), claimed twice, or its import failed.
    """
    make = (plugins or installed()).load(name)
    return cast(Callable[[Context], Announcer], make)(context)
