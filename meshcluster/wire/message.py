"""The message as hooks see it: what interceptors may replace and ``event`` and ``query`` get."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from ..config import check_channel
from ..model import Service
from . import body as bodies
from .body import BYTES

T = TypeVar("T")

EVENT, QUESTION, ANSWER = "event", "query", "answer"
NOTE, REQUEST = "note", "request"
"""What mailboxes send; interceptors see it, ``event`` and ``query`` hooks do not."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message, immutable.

    Attributes: ``kind`` ("event", "query", "answer", and of mailboxes "note" and "request");
    ``mailbox``, the name of the mailbox of these two; ``service``, the sender (None for one on
    its way out); ``receivers``, tuple of services (empty for one that came in); ``channel``, its
    number; ``form`` and ``body``, the value as it travels; ``protocol``, the scheme it came by
    (empty when going out, unless the hook asked for one protocol).
    """

    service: Service | None
    channel: int
    form: int
    body: bytes
    protocol: str = ""
    kind: str = EVENT
    receivers: tuple[Service, ...] = ()
    mailbox: str = ""

    @property
    def data(self) -> Any:
        """The value that was sent, decoded anew at each access (changing it changes no message).

        Raises:
            DecodeError: the body is not what its form says.
        """
        if self.form == BYTES:
            return self.body
        return bodies.decode(self.form, self.body)

    def read(self, wanted: type[T]) -> T:
        """The value as a ``wanted``: a dataclass, a Struct, or a type such as ``list[Point]``.

        Raises:
            DecodeError: it does not fit; the text names the field.
        """
        return bodies.read(self.form, self.body, wanted)

    def replace(self, **changes: Any) -> Message:
        """A copy with other ``data`` (or ``body``, ``form``), ``channel`` or ``receivers``.

        Raises:
            EncodeError: the new ``data`` cannot be sent.
            TypeError: there is no such field, or it is not the hook's to change.
        """
        if "data" in changes:
            changes["form"], changes["body"] = bodies.encode(changes.pop("data"))
        if "receivers" in changes:
            changes["receivers"] = tuple(changes["receivers"])
        unknown = changes.keys() - {"form", "body", "channel", "receivers"}
        if unknown:
            raise TypeError(f"a message has no {', '.join(sorted(unknown))} to replace")
        changed = msgspec.structs.replace(self, **changes)
        changed.check()
        return changed

    def check(self) -> None:
        """Refuses what could not travel.

        Raises:
            TypeError: a field of the wrong type.
            ConfigError: no channel number.
        """
        check_channel(self.channel)
        if type(self.body) is not bytes or self.form not in bodies.FORMS:
            raise TypeError(f"body={self.body!r:.40}, form={self.form!r}: bytes and a form number")
        if type(self.receivers) is not tuple or not all(
            isinstance(service, Service) for service in self.receivers
        ):
            raise TypeError(f"receivers={self.receivers!r:.80}: a tuple of services")


class Lost(msgspec.Struct, frozen=True):
    """Events to one member that were given up: what a ``send.lost`` hook gets.

    Attributes: ``service``, the receiver; ``reason``, such as "its process is gone"; ``messages``,
    tuple of what was sent, in order. Each was handled at most once: the first ones may have
    arrived, only nobody could tell any more.
    """

    service: Service
    reason: str
    messages: tuple[Message, ...]
