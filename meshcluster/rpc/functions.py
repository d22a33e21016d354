"""All of one cluster object that has to do with functions: what it exposes, and what it calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..mailbox import MailboxBase
from ..model import Service
from .call import AsyncCall
from .calls import Calls, Mesh
from .letters import MAILBOX
from .serving import Serving
from .terms import Terms
from .values import Values

END_SECONDS = 1.0
"""How long leaving waits for functions that run on threads; what blocks longer is left alone."""


@dataclass(frozen=True, slots=True)
class Member(Mesh):
    """What is needed of the cluster: public words, and its loop."""

    mailbox: Callable[..., MailboxBase]
    """``cluster.mailbox``."""
    on_lost: Callable[[Callable[[Service], None]], object]
    """``cluster.hook("service.lost")``."""
    open_calls: Callable[[], int]
    """How many may be asked of us and not answered."""


class Functions:
    """Made when one of the methods of ``face.py`` is first used."""

    def __init__(self, member: Member) -> None:
        self.values = Values()
        self.calls = Calls(member, self.values, self._box)
        self.serving = Serving(self.values, member.open_calls)
        self._member = member
        self._mailbox: MailboxBase | None = None
        self._serves = False

    def _box(self) -> MailboxBase:
        """What we ask by; who exposes nothing has no receiver and offers nothing."""
        if self._mailbox is None:
            self._member.in_loop(self._open)  # where only one of several threads opens it
        assert self._mailbox is not None
        return self._mailbox

    def _open(self) -> None:
        """In the loop, for several threads may make their first call at once."""
        if self._mailbox is None:
            self._mailbox = self._member.mailbox(MAILBOX)

    def go(
        self, name: str, args: tuple[Any, ...], named: dict[str, Any], terms: Terms
    ) -> AsyncCall:
        """Begins a call in an event loop; see ``Calls.start``."""
        call = AsyncCall()
        self.calls.start(call, name, args, named, terms)
        return call

    def expose(self, thing: object, name: str | None, **options: Any) -> None:
        """Exposes a function or the methods of an object, and tells all members."""
        self._member.in_loop(lambda: self._change(lambda: self.serving.add(thing, name, **options)))

    def unexpose(self, name: str) -> int:
        """Takes it away again; says how many functions that were."""
        counts: list[int] = []
        self._member.in_loop(lambda: self._change(lambda: counts.append(self.serving.remove(name))))
        return counts[0]

    def _change(self, change: Callable[[], None]) -> None:
        before = dict(self.serving.exposed)
        change()
        try:
            if self._serves:
                self._box().offer(self.serving.offer)
            elif self.serving.exposed:
                self._serve()
        except BaseException:
            self.serving.exposed = before  # more than a member may say of itself
            raise

    def _serve(self) -> None:
        """From now on we have a receiver."""
        if self._mailbox is not None:
            self._mailbox.close()
        self._mailbox = self._member.mailbox(
            MAILBOX, self.serving.receive, offer=self.serving.offer
        )
        self._member.on_lost(self._lost)
        self._serves = True

    def _lost(self, service: Service) -> None:
        self._member.in_loop(lambda: self.serving.lost(service))

    async def close(self) -> None:
        """After leaving: ends what runs for others."""
        await self.serving.close(END_SECONDS)
        self.calls.close()
