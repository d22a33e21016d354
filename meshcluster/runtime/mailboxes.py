"""The mailboxes of one cluster object by name: made at any time, kept when it rejoins."""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from ..config import check_label, check_plain
from ..errors import ConfigError, NotJoined
from ..hooks.chain import name_of
from ..hooks.registry import is_async, misfit
from ..model import Service
from ..node.counters import Counters
from ..node.effects import NoteArrived, RequestArrived
from ..wire import body as bodies
from ..wire.frames import ANSWERED, NO_RESPONDER, RAISED, Note, Request

T = TypeVar("T")

logger = logging.getLogger("meshcluster.hooks")

ERROR_CHARACTERS = 10_000
"""More of what a receiver raised is not sent."""


class Later(enum.Enum):
    """What a mailbox's receiver may return instead of an answer."""

    LATER = "LATER"

    def __repr__(self) -> str:
        return self.value


LATER = Later.LATER
"""Returned by a mailbox's receiver: ``letter.reply`` or ``letter.fail`` will be called."""


class Asking(Protocol):
    """What answers need of who sends them."""

    def answer(self, arrived: RequestArrived, outcome: int, value: object, /) -> None:
        """Sends the outcome of a request and its value (any thread)."""

    def take_late(self, arrived: RequestArrived, /) -> None:
        """Notes a request that is not answered at once; in the loop."""


class Letter(Struct, eq=False):
    """Something that came to a mailbox.

    Attributes: ``service``, who sent it; ``protocol``, the scheme it came by; ``is_request``
    (bool): whether an answer is waited for.
    """

    service: Service
    protocol: str
    _told: Note | Request
    _arrived: RequestArrived | None = None
    _asking: Asking | None = None
    """Until it is answered."""

    @property
    def is_request(self) -> bool:
        return self._arrived is not None

    @property
    def data(self) -> Any:
        """The value that was sent, decoded anew at each access.

        Raises:
            DecodeError: the body is not what its form says.
        """
        return bodies.decode(self._told.form, self._told.body)

    def read(self, wanted: type[T]) -> T:
        """The value as a ``wanted``; see ``Message.read``."""
        return bodies.read(self._told.form, self._told.body, wanted)

    def reply(self, data: object) -> None:
        """Answers a request, once, from any thread; further answers, those to what is no request
        and those after leaving are ignored. What cannot be sent arrives as a ``RemoteError`` that
        says so.
        """
        self._finish(ANSWERED, data)

    def fail(self, error: BaseException) -> None:
        """Answers a request with a failure: the asker gets a ``RemoteError``."""
        self._finish(RAISED, [type(error).__name__, text_of(error)])

    def _finish(self, outcome: int, value: object) -> None:
        asking, self._asking = self._asking, None
        if asking is not None and self._arrived is not None:
            with suppress(NotJoined):  # its asker has been told that we left
                asking.answer(self._arrived, outcome, value)

    def __repr__(self) -> str:
        kind = "request" if self.is_request else "note"
        return f"<Letter {kind} from {self.service.name}>"


Receive = Callable[[Letter], Any]


class Mailboxes:
    """Hands what comes to the receiver of each mailbox, in the loop."""

    def __init__(self) -> None:
        self._receivers: dict[str, Receive | None] = {}
        self._offers: dict[str, object] = {}
        self.changed: Callable[[], None] = lambda: None
        """Called after the offers changed; who is joined sets it."""

    @property
    def offers(self) -> Mapping[str, object]:
        """What we say of each of our mailboxes that has a receiver."""
        return self._offers

    def open(self, name: str, receive: Receive | None, offer: object) -> None:
        """Adds a mailbox.

        Raises:
            ConfigError: the name is taken, or no short text; a receiver that is no plain function;
                an offer that cannot travel.
        """
        check_label("mailbox", name)
        if receive is not None and (not callable(receive) or is_async(receive)):
            raise ConfigError(f"mailbox {name!r}: receive={receive!r} must be a plain function")
        if receive is not None and (trouble := misfit(receive)):
            raise ConfigError(
                f"mailbox {name!r}: receive={receive!r} must take one argument, the Letter: "
                f"{trouble}"
            )
        if name in self._receivers:
            raise ConfigError(f"mailbox {name!r} is open already: close it first")
        if receive is not None:
            self._set_offer(name, offer)
        self._receivers[name] = receive

    def set_offer(self, name: str, offer: object) -> None:
        """Says something else of a mailbox.

        Raises:
            ConfigError: an offer that cannot travel; it has no receiver, so nothing is offered.
        """
        if self._receivers.get(name) is None:
            raise ConfigError(f"mailbox {name!r} has no receiver (any more): it offers nothing")
        self._set_offer(name, offer)

    def _set_offer(self, name: str, offer: object) -> None:
        check_plain(f"offer of mailbox {name}", offer)
        before = self._offers
        self._offers = {**before, name: offer}
        self._tell(before)

    def close(self, name: str) -> None:
        """Takes a mailbox away; what still comes for it is counted as dropped."""
        self._receivers.pop(name, None)
        if name in self._offers:
            before = self._offers
            self._offers = {key: value for key, value in before.items() if key != name}
            self._tell(before)

    def _tell(self, before: dict[str, object]) -> None:
        try:
            self.changed()
        except BaseException:
            self._offers = before
            raise

    def note(self, counters: Counters, arrived: NoteArrived) -> None:
        """Calls the receiver for a note."""
        note = arrived.note
        receive = self._receivers.get(note.mailbox)
        if receive is None:
            counters.count("letters for no mailbox")
            return
        try:
            receive(Letter(arrived.service, arrived.protocol, note))
        except Exception:
            _raised(counters, logging.ERROR, note, receive)

    def request(self, counters: Counters, asking: Asking, arrived: RequestArrived) -> None:
        """Calls the receiver for a request: what it returns is the answer."""
        request = arrived.question
        receive = self._receivers.get(request.mailbox)
        if receive is None:
            counters.count("letters for no mailbox")
            asking.answer(arrived, NO_RESPONDER, None)
            return
        letter = Letter(arrived.service, arrived.protocol, request, arrived, asking)
        try:
            value = receive(letter)
        except Exception as error:
            _raised(counters, logging.INFO, request, receive)
            letter.fail(error)
            return
        if value is not LATER:
            letter.reply(value)
        elif not arrived.answered:
            asking.take_late(arrived)


def _raised(counters: Counters, level: int, told: Note | Request, receive: Receive) -> None:
    """Reports the exception being handled; ``level``: of a request its asker is told as well."""
    counters.count("hooks that raised")
    logger.log(level, "mailbox %s: %s raised", told.mailbox, name_of(receive), exc_info=True)


def text_of(error: BaseException) -> str:
    """What an exception says, as far as it can be sent."""
    try:
        text = str(error)
    except Exception:
        return "(its text cannot be had)"
    return text[:ERROR_CHARACTERS].encode(errors="replace").decode()
