"""What is given up for a slow receiver: its oldest events, or all that it has and its link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..wire.frames import AnyMessage
from .counters import Counters
from .effects import Effect, MessagesLost
from .links import Links

if TYPE_CHECKING:
    from .session import Session


class Forgotten(Protocol):
    """Ends what was asked of a member and cannot be answered any more."""

    def __call__(self, session: Session, reason: str) -> None: ...


class Relief:
    """Gives up, counts and tells; whether that must be, others decide."""

    def __init__(
        self, links: Links, effects: list[Effect], counters: Counters, forgotten: Forgotten
    ) -> None:
        self._links = links
        self._effects = effects
        self._counters = counters
        self._forgotten = forgotten

    def drop(self, session: Session, count: int) -> int:
        """Gives up the ``count`` oldest events that wait for a receiver; returns how many did."""
        dropped = session.drop_events(count)
        self._tell(session, "did not take them in time", dropped)
        return len(dropped)

    def disconnect(self, session: Session) -> None:
        """Gives up all that a receiver has not acknowledged, and ends its link. It remains a
        member, and what is sent to it from here on opens another link.
        """
        self._counters.count("receivers disconnected: too slow")
        given_up = session.discard()
        session.token = 0  # the other end is to begin anew as well
        self._links.drop(session)
        self._forgotten(session, "was too slow and disconnected")
        self._tell(session, "was too slow and disconnected", given_up)

    def _tell(self, session: Session, reason: str, messages: list[AnyMessage]) -> None:
        if messages:
            self._counters.count("messages given up: their receiver is too slow", len(messages))
            if session.peer.service is not None:
                self._effects.append(MessagesLost(session.peer.service, reason, messages))
