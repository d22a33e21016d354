"""How strangers hear of us. What an announcer brings is only ever a hint."""

from .base import Announcer, AnnouncerReceiver
from .door import DoorAnnouncer
from .mdns import MdnsAnnouncer
from .multicast import MulticastAnnouncer
from .opening import close_announcers, open_announcers
from .rendezvous import RendezvousAnnouncer

__all__ = (
    "Announcer",
    "AnnouncerReceiver",
    "DoorAnnouncer",
    "MdnsAnnouncer",
    "MulticastAnnouncer",
    "RendezvousAnnouncer",
    "close_announcers",
    "open_announcers",
)
