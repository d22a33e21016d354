"""The hot path of sending: the commonest case of ``Sender.event`` in a third of its time."""

from __future__ import annotations

from collections.abc import Iterable

from ..config import Limits
from ..hooks import HookRegistry
from ..model import Service
from ..node.session import LARGE_BODY_BYTES
from ..resolver import Words
from ..wire.body import BYTES, encode
from ..wire.frames import Event
from .congestion import Congestion
from .sending import Sender
from .waking import Waking


class Telling:
    """Events to one receiver at a time, from any thread."""

    def __init__(
        self, sender: Sender, hooks: HookRegistry, congestion: Congestion, waking: Waking,
        limits: Limits,
    ) -> None:  # fmt: skip
        self.limit = limits.waiting_messages
        """How many messages may wait; see ``Congestion.short_limit``."""
        self._sender = sender
        self._hooks = hooks
        self._congestion = congestion
        self._waking = waking
        self._most_bytes = limits.message_bytes
        self._short_bytes = min(LARGE_BODY_BYTES, self._most_bytes)

    def tell(
        self, data: object, resolve: Words | None, services: Iterable[Service] | None, channel: int
    ) -> tuple[Service, ...] | None:
        """Queues an event to one receiver that is given or was resolved before and has room, with
        a body that is not large, or bytes, where there are no ``send`` hooks; gives the receiver.
        Otherwise None: look closer.
        """
        sender = self._sender
        if services is None:
            found = sender.directory.resolved
            services = found.get(resolve) if type(resolve) is str else None
        elif resolve is not None:
            return None
        told, session = sender.latest
        if services is not told:
            session = sender.only(services)
        if session is None or channel or self._hooks.send_hooks:
            return None
        waiting = session.waiting
        if len(waiting) >= self.limit:
            return None
        form, body = (BYTES, data) if type(data) is bytes else encode(data)
        if len(body) > self._short_bytes or session.stalled:
            full = self._congestion.is_full(session)
            if full or body is not data or len(body) > self._most_bytes:
                return None
            session.put(Event(0, form, body))
        else:
            waiting.append(Event(0, form, body))
        if not session.awake:
            self._waking.notice(session)
        return services  # type: ignore[return-value]
