"""How strangers hear of us. What an announcer brings is only ever a hint."""

from .base import Announcer, AnnouncerReceiver
from .multicast import MulticastAnnouncer
from .opening import open_announcers
from .rendezvous import RendezvousAnnouncer

__all__ = (
    "Announcer",
    "AnnouncerReceiver",
    "MulticastAnnouncer",
    "RendezvousAnnouncer",
    "open_announcers",
)
