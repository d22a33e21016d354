"""What a node asks its driver to do, or tells it. Performed in the order in which they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..model import Address, Endpoint, Service
from ..wire.frames import Event, Note, Question, Request

if TYPE_CHECKING:
    from .links import NodeLink
    from .queries import Gathering
    from .requests import Waiter
    from .session import Session


@dataclass(frozen=True, slots=True)
class Announce:
    """Send a datagram to the beacon group."""

    data: bytes


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Send a datagram to one address."""

    data: bytes
    address: Address


@dataclass(frozen=True, slots=True)
class DialEndpoint:
    """Open a link; report back with ``number`` by ``link_opened`` or ``dial_failed``."""

    number: int
    address: str
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class CancelDial:
    """Nobody waits for this dial any more."""

    number: int


@dataclass(frozen=True, slots=True)
class CloseLink:
    """Close a link; ``abort`` gives up what is still to be written."""

    link: NodeLink
    abort: bool


@dataclass(frozen=True, slots=True)
class ServiceDiscovered:
    """A member is known from now on."""

    service: Service


@dataclass(frozen=True, slots=True)
class ServiceChanged:
    """A known member says something new of itself."""

    service: Service


@dataclass(frozen=True, slots=True)
class ServiceGone:
    """A known member left, died or expired."""

    service: Service
    reason: str


@dataclass(frozen=True, slots=True)
class EventsArrived:
    """A batch of events. When the hooks have taken them: ``session.take(size)``."""

    session: Session
    service: Service
    protocol: str
    events: list[Event]
    size: int


@dataclass(frozen=True, slots=True)
class QuestionArrived:
    """A question, to be answered through ``session``."""

    session: Session
    service: Service
    protocol: str
    question: Question


@dataclass(frozen=True, slots=True)
class NoteArrived:
    """Something told to a mailbox."""

    service: Service
    protocol: str
    note: Note


@dataclass(frozen=True, slots=True)
class RequestArrived:
    """Something asked of a mailbox, to be answered through ``session``."""

    session: Session
    service: Service
    protocol: str
    question: Request


@dataclass(frozen=True, slots=True)
class RequestDone:
    """A request of ours was answered, or failed."""

    waiter: Waiter
    value: Any
    error: Exception | None


@dataclass(frozen=True, slots=True)
class QueryProgress:
    """Something happened to a query: start, response, error, timeout, done."""

    gathering: Gathering
    name: str
    service: Service | None


@dataclass(frozen=True, slots=True)
class Report:
    """Worth a line in the log, once."""

    text: str


Effect = (
    Announce
    | SendDatagram
    | DialEndpoint
    | CancelDial
    | CloseLink
    | ServiceDiscovered
    | ServiceChanged
    | ServiceGone
    | EventsArrived
    | QuestionArrived
    | NoteArrived
    | RequestArrived
    | RequestDone
    | QueryProgress
    | Report
)
