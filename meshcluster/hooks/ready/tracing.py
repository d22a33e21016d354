"""``trace``: a readable line for each thing that passes the hooks of a cluster."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from ...errors import DecodeError
from ...model import Service
from ...wire.message import Message
from ..placing import HookPlacing

FIRST, LAST = -sys.maxsize, sys.maxsize

SHOWN_BODY_BYTES = 1024
"""The value of a larger body is not decoded; its size is told."""

SHOWN_CHARACTERS = 120
SHOWN_RECEIVERS = 5

logger = logging.getLogger("meshcluster.trace")


def trace(cluster: HookPlacing, write: Callable[[str], object] | None = None) -> Trace:
    """Writes a line for each message and for each thing that becomes of a member::

        send event to bob on channel 0: 'hello'
        receive query from bob by unix on channel 0: {'what': 'time'}
        service.lost <Service bob 9f86d081 at 127.0.0.1 tags=web>: left

    It looks last at what is sent and first at what is received, so the lines tell what travels:
    after the ``send`` hooks, before the ``receive`` hooks, whose vetoes therefore have a line.
    Events, questions and answers are all told there; a hook of its own at ``event`` or ``query``
    would end the waiting of messages for hooks that are yet to be placed. Members are told when
    they are about to be validated, discovered, changed, suspect, recovered, in conflict and lost.

    It changes nothing and vetoes nothing. A ``write`` that raises is logged once and ignored; one
    that blocks holds the member up, for it is called inside it, from any thread.

    Args:
        cluster: a ``Cluster`` or ``AsyncCluster``, joined or not.
        write: takes each line; by default the logger ``meshcluster.trace``, at level INFO.

    Returns:
        The trace, whose ``remove()`` takes it away again.
    """
    return Trace(cluster, write or logger.info)


class Trace:
    """A trace that is placed; see ``trace``."""

    def __init__(self, cluster: HookPlacing, write: Callable[[str], object]) -> None:
        self._cluster = cluster
        self._write = write
        self._failed = False
        cluster.hook("send", order=LAST)(self._send)
        cluster.hook("receive", order=FIRST)(self._receive)
        cluster.hook("service.validate", order=FIRST)(self._validate)
        cluster.hook("service.discovered", order=FIRST)(self._discovered)
        cluster.hook("service.changed", order=FIRST)(self._changed)
        cluster.hook("service.suspect", order=FIRST)(self._suspect)
        cluster.hook("service.recovered", order=FIRST)(self._recovered)
        cluster.hook("service.conflict", order=FIRST)(self._conflict)
        cluster.hook("service.lost", order=FIRST)(self._lost)

    def remove(self) -> None:
        """Takes it away from every point. Idempotent."""
        for function in (
            self._send, self._receive, self._validate, self._discovered, self._changed,
            self._suspect, self._recovered, self._conflict, self._lost,
        ):  # fmt: skip
            self._cluster.unhook(function)

    def _send(self, message: Message) -> None:
        self._line(lambda: f"send {message.kind} to {_receivers(message)}{_content(message)}")

    def _receive(self, message: Message) -> None:
        sender = message.service.name if message.service else "?"
        way = f"from {sender} by {message.protocol}"
        self._line(lambda: f"receive {message.kind} {way}{_content(message)}")

    def _validate(self, service: Service) -> None:
        self._line(lambda: f"service.validate {service!r}")

    def _discovered(self, service: Service) -> None:
        self._line(lambda: f"service.discovered {service!r}")

    def _changed(self, service: Service) -> None:
        self._line(lambda: f"service.changed {service!r}")

    def _suspect(self, service: Service) -> None:
        self._line(lambda: f"service.suspect {service!r}")

    def _recovered(self, service: Service) -> None:
        self._line(lambda: f"service.recovered {service!r}")

    def _conflict(self, service: Service) -> None:
        self._line(lambda: f"service.conflict {service!r}")

    def _lost(self, service: Service) -> None:
        self._line(lambda: f"service.lost {service!r}: {service.reason}")

    def _line(self, make: Callable[[], str]) -> None:
        """Writes a line; a trace that fails must not look like a hook that breaks."""
        try:
            self._write(make())
        except Exception:
            if not self._failed:
                self._failed = True
                logger.exception("a line could not be written (further failures are not told)")


def _receivers(message: Message) -> str:
    names = [service.name for service in message.receivers]
    more = len(names) - SHOWN_RECEIVERS
    return ", ".join(names[:SHOWN_RECEIVERS]) + (f" and {more} more" if more > 0 else "")


def _content(message: Message) -> str:
    return f" on channel {message.channel}: {_value(message)}"


def _value(message: Message) -> str:
    size = len(message.body)
    if size > SHOWN_BODY_BYTES:
        return f"{size} bytes"
    try:
        text = repr(message.data)
    except DecodeError:
        return f"{size} bytes that cannot be read"
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."
