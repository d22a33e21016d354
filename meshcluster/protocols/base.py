"""What a protocol is: a handler opens links, a link keeps message boundaries and pushes frames.

A handler needs ``scheme``, ``local_only``, ``listen``, ``dial`` and ``close``; it inherits
nothing. Whoever has a stream transport uses ``StreamLink`` and writes about a dozen lines.

After ``os.fork`` the child must let go of what it shares with its parent, or a dead parent seems to
live. So a handler, a link or an announcer that holds descriptors may have, besides:

- ``descriptors() -> Iterable[int]``: those it holds now, and no number that it has closed. In a
  forked child, and only there, they are replaced by ones of ``/dev/null``. Without it they stay
  open in the child. ``StreamLink`` has it.
- ``forked() -> None``: called in the child afterwards, to forget what would undo the parent's work
  (a file to be removed on closing). It must take no lock and close nothing: an event loop that
  forgets a descriptor in the child forgets it in the parent too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..config import FRAME_BYTES, Limits
from ..model import Endpoint
from ..wire.split import Split

Buffer = bytes | bytearray | memoryview
Props = dict[str, str | int]


class LinkReceiver(Protocol):
    """What a link pushes into. Made by us; a handler only calls it, in the event loop."""

    @property
    def limit_bytes(self) -> int:
        """No frame may be longer; it grows once the other end has introduced itself."""

    def frames_received(self, frames: Sequence[Buffer | Split]) -> None:
        """The complete frames of one read, in order. They may be reused after the call."""

    def pause_sending(self) -> None:
        """The link's own buffer is full; nothing more is sent until ``resume_sending``."""

    def resume_sending(self) -> None:
        """There is room again."""

    def link_lost(self, reason: str, *, fault: bool = False) -> None:
        """The link has ended; called once, also after ``close`` and ``abort``.

        ``fault``: because the other end broke the rules; that is counted and reported.
        """


class Link(Protocol):
    """One open two-way path. Frames arrive whole and in order, or the link ends.

    A link may have ``same_user``, a bool, besides: True only when the system itself proves that a
    process of our own user is at the other end (``credentials.is_same_user`` asks it of a UNIX
    socket). What it carries need not be sealed then. Whoever reads it does so by
    ``getattr(link, "same_user", False)``.

    So it may have ``takes_split``: True says that its ``send`` takes frames in pieces too
    (``wire/split.py``). Without it they come joined.
    """

    @property
    def remote(self) -> str:
        """The other end's IP address as text; empty when the link cannot leave this machine."""

    @property
    def local(self) -> bool:
        """Whether the link cannot leave this machine."""

    def send(self, frames: Sequence[bytes]) -> None:
        """Queues frames. Never blocks; says ``pause_sending`` when it has enough."""

    def close(self) -> None:
        """Ends the link once all that was queued is written."""

    def abort(self) -> None:
        """Ends the link now."""


Accept = Callable[[Link], LinkReceiver | None]
"""Called by a handler, in the event loop, for each link that opens, before it delivers anything;
None: the link is not wanted, abort it."""


Ask = Callable[[str, bytes, Callable[[bytes, bytes], None]], None]
"""Hands a guest's message to its member, in the loop: the guest's IP address, what it said, and
what takes the answer, a status and a body, in the loop."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler is made with."""

    cluster: str
    member_id: bytes
    host_only: bool
    """Whether nothing outside this host may connect: listen on loopback only."""
    runtime_dir: Path
    """A directory of this user's own, mode 0700; or of the group that the mesh is for, mode 2770
    (``claims.is_shared`` tells)."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The handler's part of ``protocol_options``."""
    frame_bytes: int = FRAME_BYTES
    """No frame on an open link is longer."""
    message_bytes: int = Limits().message_bytes
    """No message of a guest may be longer."""
    ask: Ask | None = None
    """For programs that are no members; None: there may be none, members prove who they are."""


class ProtocolHandler(Protocol):
    """Opens links of one scheme. Called as ``Handler(context)`` when its member joins."""

    @property
    def scheme(self) -> str:
        """The protocol's name, as it stands in endpoints and in ``protocols=``."""

    @property
    def local_only(self) -> bool:
        """Whether its links cannot leave this machine."""

    async def listen(self, accept: Accept) -> Props:
        """Begins to accept links; returns what a dialler must know (advertised to everybody).

        Raises:
            OSError: the protocol cannot be used here.
        """

    async def dial(self, address: str, endpoint: Endpoint, accept: Accept) -> None:
        """Opens a link to a member's endpoint; ``accept`` was called for it when this returns.

        Raises:
            OSError: it cannot be opened; ``ConnectionRefusedError``: nobody listens there.
        """

    async def close(self) -> None:
        """Stops to accept and removes what ``listen`` made. Links are closed by their user."""
