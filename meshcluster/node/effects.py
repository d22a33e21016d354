"""What a node asks its driver to do, or tells it. Performed in the order in which they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import Struct

from ..model import Address, Endpoint, Service
from ..wire.frames import AckedEvent, AnyMessage, Event, Note, Question, Request

if TYPE_CHECKING:
    from .links import NodeLink
    from .queries import Gathering
    from .requests import Waiter
    from .session import Session


class Announce(Struct, frozen=True):
    """Send a datagram to the beacon group. ``near``: on this host only; False: this is for those
    whom what was near does not reach.
    """

    data: bytes
    near: bool | None = None


class SendDatagram(Struct, frozen=True):
    """Send a datagram to one address."""

    data: bytes
    address: Address


class LookUp(Struct, frozen=True):
    """Look up hosts, each with a port; report back by ``seeds_found`` and ``seed_failed``."""

    seeds: tuple[Address, ...]


class DialEndpoint(Struct, frozen=True):
    """Open a link; report back with ``number`` by ``link_opened`` or ``dial_failed``."""

    number: int
    address: str
    endpoint: Endpoint
    others: tuple[str, ...] = ()
    """Further addresses of the member: each is tried when those before it take long."""


class CancelDial(Struct, frozen=True):
    """Nobody waits for this dial any more."""

    number: int


class CloseLink(Struct, frozen=True):
    """Close a link; ``abort`` gives up what is still to be written."""

    link: NodeLink
    abort: bool


class ServiceDiscovered(Struct, frozen=True):
    """A member is known from now on."""

    service: Service


class ServiceChanged(Struct, frozen=True):
    """A known member says something new of itself."""

    service: Service


class ServiceSuspected(Struct, frozen=True):
    """A known member is missed, or (``suspected`` False) was heard again."""

    service: Service
    suspected: bool


class ServiceConflict(Struct, frozen=True):
    """A member came that has the name of another one (ours, perhaps) on its host; both live."""

    service: Service


class ServiceGone(Struct, frozen=True):
    """A known member left, died or expired."""

    service: Service
    reason: str


class MessagesLost(Struct, frozen=True):
    """Messages to a member that were given up; some of them may have arrived."""

    service: Service
    reason: str
    messages: list[AnyMessage]


class CheckEndpoint(Struct, frozen=True):
    """A member could not open this endpoint of ours: see whether it listens, and renew it."""

    endpoint: Endpoint


class EventsArrived(Struct, frozen=True):
    """A batch of events. When the hooks have taken them: ``session.take(size)``."""

    session: Session
    service: Service
    protocol: str
    events: list[Event]
    size: int


class AckedArrived(Struct, frozen=True, eq=False):
    """An event whose handling is to be answered through ``session``."""

    session: Session
    service: Service
    protocol: str
    question: AckedEvent


class QuestionArrived(Struct, frozen=True, eq=False, weakref=True):
    """A question, to be answered through ``session`` by the hooks of ``point``."""

    point: ClassVar[str] = "query"

    session: Session
    service: Service
    protocol: str
    question: Question


class NoteArrived(Struct, frozen=True):
    """Something told to a mailbox."""

    service: Service
    protocol: str
    note: Note


class RequestArrived(Struct, eq=False, weakref=True):
    """Something asked of a mailbox, to be answered through ``session``."""

    session: Session
    service: Service
    protocol: str
    question: Request
    answered: bool = False
    """The answer was put into ``session``."""


class RequestDone(Struct, frozen=True):
    """A request of ours was answered, or failed."""

    waiter: Waiter
    value: Any
    error: Exception | None


class QueryProgress(Struct, frozen=True):
    """Something happened to a query: start, response, error, timeout, done."""

    gathering: Gathering
    name: str
    service: Service | None


class Report(Struct, frozen=True):
    """Worth a line in the log, once."""

    text: str


Effect = (
    Announce
    | SendDatagram
    | LookUp
    | DialEndpoint
    | CancelDial
    | CloseLink
    | ServiceDiscovered
    | ServiceChanged
    | ServiceSuspected
    | ServiceConflict
    | ServiceGone
    | MessagesLost
    | CheckEndpoint
    | EventsArrived
    | AckedArrived
    | QuestionArrived
    | NoteArrived
    | RequestArrived
    | RequestDone
    | QueryProgress
    | Report
)
