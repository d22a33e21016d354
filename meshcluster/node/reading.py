"""What comes over links: each frame opened, decoded and handed to whom it is for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from ..config import Limits
from ..errors import DecodeError
from ..model import LEFT
from ..wire import codec
from ..wire.frames import Ack, Describe, Goodbye, Numbered, Unopened, View, ViewRequest
from ..wire.split import Split
from .admission import Admission
from .counters import Counters
from .delivery import Delivery
from .detector import Detector
from .effects import Effect, Report
from .links import Links, NodeLink, State
from .ourselves import Ourselves
from .views import Views

_BATCHED = (*get_args(Numbered), Ack)
"""As a tuple: a union that is made anew for each frame costs more than the look."""


class Reading:
    """Reads links for a node. What does not fit ends its link, counted."""

    def __init__(
        self, limits: Limits, *, links: Links, delivery: Delivery, admission: Admission,
        detector: Detector, views: Views, ourselves: Ourselves, effects: list[Effect],
        counters: Counters,
    ) -> None:  # fmt: skip
        self._limits = limits
        self._links = links
        self._delivery = delivery
        self._admission = admission
        self._detector = detector
        self._views = views
        self._ourselves = ourselves
        self._effects = effects
        self._counters = counters

    def received(self, link: NodeLink, frames: Sequence[codec.Buffer | Split], now: float) -> None:
        """Frames came over a link, in order. They are not kept."""
        try:
            for frame in frames:
                if link.state is State.CLOSED:
                    return
                if link.records is not None:
                    frame = link.records.open(_whole(frame))
                if link.state is State.OPEN:
                    self._frame(link, frame, now)
                else:
                    self._links.begin(link, _whole(frame), now)
        except DecodeError as error:
            self.report_fault(link, str(error))
            self._links.lost(link, str(error), now)

    def report_fault(self, link: NodeLink, reason: str) -> None:
        """A link ended because of what came over it."""
        if self._counters.count(f"links: {reason.split(':')[0]}"):
            text = f"ended a {link.scheme} link from {link.remote or 'this host'}: {reason}"
            self._effects.append(Report(f"{text} (further ones are only counted)"))

    def _frame(self, link: NodeLink, data: codec.Buffer | Split, now: float) -> None:
        session = link.session
        assert session is not None
        frame = data.frame() if isinstance(data, Split) else codec.decode_frame(data)
        session.peer.heard_at = now
        if session.peer.suspicion is not None:
            self._detector.alive(session.peer, now)
        if isinstance(frame, _BATCHED):
            self._delivery.received(session, link, frame, len(data), now)
        elif isinstance(frame, Goodbye):
            self._admission.lose(session.peer, LEFT, now, session)
        elif isinstance(frame, Describe):
            if len(data) > self._limits.hello_bytes:
                raise DecodeError("oversized details")
            self._admission.proved(session.peer, frame.details, now)
        elif isinstance(frame, ViewRequest):
            self._views.requested(frame, session, now)
        elif isinstance(frame, View):
            self._views.answered(frame, session, now)
        elif isinstance(frame, Unopened):
            self._ourselves.unopened(frame, now)
        elif not self._links.pinged(frame, session, now):
            raise DecodeError("hello on an open link")


def _whole(frame: codec.Buffer | Split) -> codec.Buffer:
    return bytes(frame) if isinstance(frame, Split) else frame
