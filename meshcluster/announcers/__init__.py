"""How strangers hear of us. What an announcer brings is only ever a hint."""

from .base import Announcer, AnnouncerReceiver, Context
from .door import DoorAnnouncer
from .mdns import MdnsAnnouncer
from .multicast import MulticastAnnouncer
from .opening import close_announcers, open_announcers
from .registry import known_announcers, load
from .rendezvous import RendezvousAnnouncer

__all__ = (
    "Announcer",
    "AnnouncerReceiver",
    "Context",
    "DoorAnnouncer",
    "MdnsAnnouncer",
    "MulticastAnnouncer",
    "RendezvousAnnouncer",
    "close_announcers",
    "known_announcers",
    "load",
    "open_announcers",
)
