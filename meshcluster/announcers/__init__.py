"""How strangers hear of us. What an announcer brings is only ever a hint."""

from .base import Announcer, AnnouncerReceiver
from .door import DoorAnnouncer
from .multicast import MulticastAnnouncer
from .opening import open_announcers
from .rendezvous import RendezvousAnnouncer

__all__ = (
    "Announcer",
    "AnnouncerReceiver",
    "DoorAnnouncer",
    "MulticastAnnouncer",
    "RendezvousAnnouncer",
    "open_announcers",
)
