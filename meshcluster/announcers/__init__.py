"""How strangers hear of us. What an announcer brings is only ever a hint."""

from .base import Announcer, AnnouncerReceiver
from .multicast import MulticastAnnouncer

__all__ = ("Announcer", "AnnouncerReceiver", "MulticastAnnouncer")
