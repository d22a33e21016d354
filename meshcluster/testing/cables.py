"""Cables of a mesh in virtual time: links that hold what is sent while a cable is out, and end as
TCP's do when that takes long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from ..model import Endpoint
from ..protocols.base import Accept, Buffer, Link, LinkReceiver, Props, ProtocolHandler
from ..protocols.stream import CUT_SECONDS
from ..wire.split import Split

SYN_SECONDS = 1.0
"""Between two tries of TCP to connect."""


class Cables:
    """Which members' cables are out, by the numbers of their order of joining."""

    def __init__(self) -> None:
        self._out: set[int] = set()
        self._links: set[CabledLink] = set()

    def unplug(self, number: int) -> None:
        """Nothing goes to that member nor comes from it."""
        self._out.add(number)

    def plug(self, number: int) -> None:
        """It does again, and what the links held goes on."""
        self._out.discard(number)
        for link in tuple(self._links):
            link.go_on()

    def connect(self, one: int, other: int) -> bool:
        """Whether anything gets from one to the other."""
        return one == other or not {one, other} & self._out

    def add(self, link: CabledLink) -> None:
        """A link was opened."""
        self._links.add(link)

    def forget(self, link: CabledLink) -> None:
        """It has ended."""
        self._links.discard(link)


class CabledHandler:
    """Another handler whose links go over the cables. ``number``: whose it is; ``of`` gives that
    of the member that has an endpoint.
    """

    def __init__(
        self, handler: ProtocolHandler, cables: Cables, number: int, of: Callable[[Endpoint], int]
    ) -> None:
        self.scheme = handler.scheme
        self.local_only = handler.local_only
        self._handler = handler
        self._cables = cables
        self._number = number
        self._of = of

    async def listen(self, accept: Accept) -> Props:
        """As the other handler."""
        return await self._handler.listen(accept)

    async def dial(self, address: str, endpoint: Endpoint, accept: Accept) -> None:
        """As the other handler; as long as a cable is out nobody answers."""
        ends = self._number, self._of(endpoint)
        while not self._cables.connect(*ends):  # noqa: ASYNC110 - as TCP does
            await asyncio.sleep(SYN_SECONDS)
        await self._handler.dial(
            address, endpoint, lambda link: CabledLink(link, self._cables, ends).begin(accept)
        )

    async def close(self) -> None:
        """As the other handler."""
        await self._handler.close()


class CabledLink:
    """Both directions of a link, at the end that dialled it: its link and its receiver."""

    def __init__(self, link: Link, cables: Cables, ends: tuple[int, int]) -> None:
        self._link = link
        self._cables = cables
        self._ends = ends
        self._receiver: LinkReceiver | None = None
        self._held: list[Callable[[], None]] = []
        """What is to be done when the cables are in again, in order."""
        self.local = link.local
        self.remote = link.remote

    def begin(self, accept: Accept) -> LinkReceiver | None:
        """It is open."""
        self._receiver = accept(self)
        self._cables.add(self)
        return None if self._receiver is None else self

    def go_on(self) -> None:
        """A cable is in again."""
        if self._cables.connect(*self._ends):
            held, self._held = self._held, []
            for each in held:
                each()

    def _do(self, action: Callable[[], None]) -> None:
        if self._cables.connect(*self._ends):
            action()
            return
        if not self._held:
            asyncio.get_running_loop().call_later(CUT_SECONDS, self._look, action)
        self._held.append(action)

    def _look(self, action: Callable[[], None]) -> None:
        """Held for as long as TCP waits: both ends see it fail."""
        if action in self._held:
            self._held = []
            self._link.abort()
            self._lost("nothing was acknowledged", fault=False)

    def _lost(self, reason: str, *, fault: bool) -> None:
        self._cables.forget(self)
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.link_lost(reason, fault=fault)

    # --- what the dialling member calls ------------------------------------------------------

    def send(self, frames: Sequence[bytes]) -> None:
        """Goes on its way, or is held."""
        self._do(lambda: self._link.send(frames))

    def close(self) -> None:
        """This end ends now; the other hears of it when it can."""
        self._do(self._link.close)
        asyncio.get_running_loop().call_soon(lambda: self._lost("closed", fault=False))

    def abort(self) -> None:
        """This end ends now; the other hears of it when it can."""
        self._held.clear()
        self.close()

    # --- what the other handler's link calls -------------------------------------------------

    @property
    def limit_bytes(self) -> int:
        """The receiver's."""
        return 0 if self._receiver is None else self._receiver.limit_bytes

    def frames_received(self, frames: Sequence[Buffer | Split]) -> None:
        """Arrives, or is held on its way."""
        copies = [bytes(frame) for frame in frames]
        self._do(lambda: self._arrived(copies))

    def _arrived(self, frames: Sequence[bytes]) -> None:
        if self._receiver is not None:
            self._receiver.frames_received(frames)

    def pause_sending(self) -> None:
        """Nothing is ever full in memory."""

    def resume_sending(self) -> None:
        """Nothing is ever full in memory."""

    def link_lost(self, reason: str, *, fault: bool = False) -> None:
        """The other end has ended it."""
        self._do(lambda: self._lost(reason, fault=fault))
