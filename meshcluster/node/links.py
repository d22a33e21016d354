"""Links of a node: dialled endpoint after endpoint, begun with a preface and hellos, attached to
the session they carry, replaced when they break.

Of two links dialled at once for one session the one dialled by the lower id stays. Nothing is lost
by that or by any other end of a link: sessions keep what is not acknowledged.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from random import Random
from typing import TYPE_CHECKING

from ..config import Limits
from ..errors import DecodeError
from ..model import Endpoint, Identity
from ..wire import codec
from ..wire.frames import (
    BUSY,
    NOT_ME,
    OTHER_CLUSTER,
    REJECTED,
    YIELD,
    Describe,
    Details,
    Goodbye,
    Hello,
    LinkFrame,
    Ping,
    Pong,
    Refuse,
)  # fmt: skip
from ..wire.split import Split
from .counters import Counters
from .crowds import Crowd
from .dialling import Dial, Dialling, Unreachable
from .effects import CloseLink, Effect
from .entrance import Entrance, Entrances
from .membership import Peer
from .schedule import Schedule
from .session import Session

if TYPE_CHECKING:
    from ..security.records import Records

YIELD_SECONDS = 0.2
"""After yielding to the other's dial: dial again when its link has not come by then."""

REFUSALS = {
    YIELD: "both dialled at once",
    NOT_ME: "another member listens there now",
    OTHER_CLUSTER: "it belongs to another cluster",
    REJECTED: "a hook of the member refused us",
    BUSY: "the member is busy",
}
REFUSED = "refused"
"""The reason of a failed dial that proves that nobody listens there."""

TAKE_BYTES = 256 * 1024

LASTING_SECONDS = 30.0
"""A link that was open for so long was of use, though nothing went over it."""

POSTED_FRAMES = 64
"""Frames other than batches that wait for a session's link, or for room in it; further ones are
not sent.
"""


class State(enum.Enum):
    """How far a link has come."""

    PREFACE = enum.auto()
    HELLO = enum.auto()
    OPEN = enum.auto()
    CLOSED = enum.auto()


class NodeLink:
    """A link as the node sees it. ``local``: proven to end on this machine."""

    __slots__ = (
        "dial", "entrance", "local", "opened_at", "out", "records", "remote", "scheme", "serial",
        "session", "splits", "state",
    )  # fmt: skip

    def __init__(
        self, serial: int, scheme: str, remote: str, entrance: Entrance, *, local: bool,
        dial: Dial | None,
    ) -> None:  # fmt: skip
        self.serial = serial
        self.scheme = scheme
        self.remote = remote
        self.local = local
        self.dial = dial
        self.entrance = entrance
        self.records: Records | None = None
        """What seals its frames, when they are."""
        self.splits = False
        """It takes frames in pieces, unless they are sealed."""
        self.state = State.PREFACE
        self.session: Session | None = None
        self.opened_at = inf
        """When it began to carry its session."""
        self.out: list[bytes | Split] = []
        """What waits to be written, sealed already: in the order of sealing it is written."""

    @property
    def key(self) -> tuple[str, int]:
        return ("hello", self.serial)


Admit = Callable[[Hello, NodeLink, float], Peer | int]
"""Takes in the sender of a hello; gives the member, or the reason to refuse it."""


class Links:
    """All links of a node, and the dialling of new ones."""

    def __init__(
        self, identity: Identity, cluster: str, limits: Limits, *, spoken: Mapping[str, bool],
        random: Random, schedule: Schedule, effects: list[Effect], counters: Counters,
        details: Callable[[], Details], admit: Admit, covers: Callable[[str], bool],
        unreachable: Unreachable, entrances: Entrances,
        forgotten: Callable[[Session], None],
        given_up: Callable[[Session, str], None],
    ) -> None:  # fmt: skip
        self._identity = identity
        self._cluster = cluster
        self._limits = limits
        self._random = random
        self._schedule = schedule
        self._effects = effects
        self._counters = counters
        self._details = details
        self._admit = admit
        self._unreachable = unreachable
        self._entrances = entrances
        self._forgotten = forgotten
        self._given_up = given_up
        self.dialling = Dialling(
            limits, spoken=spoken, random=random, schedule=schedule, effects=effects, covers=covers,
            unreachable=unreachable, end=lambda link: self._end(link, abort=True), post=self.post,
        )  # fmt: skip
        self._pending: dict[int, NodeLink] = {}
        self._accepted: Crowd[int] = Crowd()
        """Those of them that we did not dial, by the address of their other end."""
        self._serial = 0
        self.ready: dict[NodeLink, None] = {}
        """Links with something to write, in the order in which it came."""

    # --- dialling ----------------------------------------------------------------------------

    def route(self, peer: Peer, only: Sequence[str] = ()) -> Sequence[Endpoint]:
        """The endpoints of a peer worth dialling, best first (any thread)."""
        return self.dialling.route(peer, only)

    def want(self, session: Session, now: float) -> None:
        """Sees to it that a session has a link."""
        self.dialling.want(session, now)

    # --- opening -----------------------------------------------------------------------------

    def opened(
        self, scheme: str, remote: str, now: float, *, local: bool, same_user: bool,
        number: int | None,
    ) -> NodeLink | None:  # fmt: skip
        """A link is open: dialled as ``number``, or accepted when None; None: it is not wanted."""
        dial = None
        if number is not None:
            dial = self.dialling.taken(number)
            if dial is None:
                return None
        self._serial += 1
        if dial is None:
            entrance = self._entrances.accepted(same_user=same_user)
            self._make_room()
            self._accepted.add(self._serial, remote)
        else:
            entrance = self._entrances.dialled(dial.session.peer, same_user=same_user)
        link = NodeLink(self._serial, scheme, remote, entrance, local=local, dial=dial)
        self._pending[link.serial] = link
        self._schedule.set(link.key, now + self._limits.hello_seconds)
        self._write(link, *entrance.first())
        if dial is not None:
            dial.link = link
            if not entrance.key_id:  # nothing is to be waited for
                self._write(link, self._hello(dial.session))
        return link

    def _make_room(self) -> None:
        """For one more that has said nothing yet: of those the crowded give way, so that nobody
        keeps others out by opening links.
        """
        while len(self._accepted) >= self._limits.pending_links:
            self._counters.count("links beyond pending_links")
            self._end(self._pending[self._accepted.gives_way()], abort=True)

    def begin(self, link: NodeLink, frame: codec.Buffer, now: float) -> None:
        """Takes a frame of a link that is not open yet.

        Raises:
            DecodeError: it does not begin as a link of ours.
        """
        if link.state is State.PREFACE:
            self._enter(link, frame)
            return
        if not self._entrances.holds(link.entrance):
            raise DecodeError("link by a key that was removed")
        answer = codec.decode_frame(frame)
        if isinstance(answer, Hello):
            if link.dial is None:
                self._accept(link, answer, now)
            else:
                self._confirmed(link, link.dial, answer, now)
        elif isinstance(answer, Refuse) and link.dial is not None:
            self._refused(link, link.dial, answer.reason, now)
        else:
            raise DecodeError("link frame before the hello")

    def _enter(self, link: NodeLink, frame: codec.Buffer) -> None:
        entrance = link.entrance
        self._write(link, *entrance.take(frame))
        if entrance.passed:
            link.state = State.HELLO
            link.records = entrance.records
            if link.dial is not None and entrance.key_id:
                self._write(link, self._hello(link.dial.session))

    def _hello(self, session: Session) -> bytes:
        session.token = session.token or self._random.getrandbits(63) | 1
        me, details = self._identity, self._details()
        session.described = details.version
        return codec.encode_frame(
            Hello(
                self._cluster, me.id, me.boot, session.peer.key, session.lane, session.token,
                session.peer_token, session.acks, session.links, details,
            )
        )  # fmt: skip

    def _accept(self, link: NodeLink, hello: Hello, now: float) -> None:
        """An accepted link said hello: answer with our own, or refuse."""
        session = self._session_for(link, hello, now)
        if isinstance(session, int):
            self._counters.count(f"links refused: {REFUSALS[session]}")
            self._write(link, codec.encode_frame(Refuse(session)))
            self._end(link, abort=False)
            return
        self.dialling.overtaken(session, now)
        self._replace(session)
        self._resume(session, hello)
        session.peer_links = hello.links
        session.links += 1
        self._write(link, self._hello(session))
        session.endpoint = None
        self._attach(session, link, now)

    def _session_for(self, link: NodeLink, hello: Hello, now: float) -> Session | int:
        if hello.cluster != self._cluster:
            return OTHER_CLUSTER
        if hello.to != self._identity.key:
            return NOT_ME
        peer = self._admit(hello, link, now)
        if isinstance(peer, int):
            return peer
        session = peer.session(hello.lane, self._limits)
        if session is None:
            return BUSY
        if self._identity.key < peer.key and self.dialling.is_opening(session, now):
            return YIELD  # both dialled; ours stays
        same = hello.token == session.peer_token  # it has not lost us meanwhile
        if session.link is not None and same and hello.links < session.peer_links:
            return YIELD  # dialled before it knew of the link that we have
        return session

    def _confirmed(self, link: NodeLink, dial: Dial, hello: Hello, now: float) -> None:
        """The member we dialled answered with its hello."""
        session = dial.session
        if (hello.id, hello.boot) != (session.peer.id, session.peer.boot):
            raise DecodeError("another member answered the dial")
        peer = self._admit(hello, link, now)
        session.dial = None
        if isinstance(peer, int):
            self._end(link, abort=True)
            return
        self._replace(session)
        self._resume(session, hello)
        session.peer_links = hello.links
        session.links += 1
        session.endpoint = dial.endpoint
        self._attach(session, link, now, *self.dialling.unopened(dial))
        self.dialling.look_for_better(session, now)

    def _refused(self, link: NodeLink, dial: Dial, reason: int, now: float) -> None:
        text = REFUSALS.get(reason, f"refused for reason {reason}")
        self._end(link, abort=True)
        if reason == NOT_ME:
            self.dialling.next_endpoint(dial, text, now)
            return
        session = dial.session
        session.dial = None
        if session.link is not None:
            self.dialling.look_for_better(session, now + YIELD_SECONDS)
        elif reason == YIELD:
            self.dialling.redial_later(session, now, YIELD_SECONDS)
        else:
            session.failures += 1
            self._unreachable(session, [(link.scheme, text)], now)

    def _resume(self, session: Session, hello: Hello) -> None:
        if not session.resume(hello.token, hello.peer_token, hello.received):
            self._forgotten(session)
        if session.lost:
            self._given_up(session, "had lost us")

    def _attach(
        self, session: Session, link: NodeLink, now: float, *first: LinkFrame
    ) -> None:  # fmt: skip
        """From here the link carries the session; what was not acknowledged goes after these."""
        self._settled(link)
        self._schedule.cancel(("redial", session))
        link.state = State.OPEN
        link.opened_at = now
        link.session = session
        link.dial = None
        session.link = link
        session.splits = link.splits and link.records is None
        session.broken = False
        told = [codec.encode_frame(frame) for frame in first]
        self._write(link, *told, *session.posted, *session.unacked_frames())
        session.posted.clear()
        if session.ack_owed:
            self.acknowledge(session)

    def _replace(self, session: Session) -> None:
        if session.link is not None:
            self._end(session.link, abort=True)

    # --- ending ------------------------------------------------------------------------------

    def hello_timed_out(self, serial: int, now: float) -> None:
        """A link said nothing useful in time."""
        link = self._pending.get(serial)
        if link is not None:
            self._counters.count("links without a hello")
            self.lost(link, "no hello in time", now)

    def lost(self, link: NodeLink, reason: str, now: float) -> None:
        """A link ended by itself, or must end because of what came over it."""
        if link.state is State.CLOSED:
            return
        session, dial = link.session, link.dial
        self._end(link, abort=True)
        if dial is not None and dial.session.dial is dial:
            self.dialling.next_endpoint(dial, reason, now)
        elif session is not None:
            session.broken = True
            if now >= link.opened_at + LASTING_SECONDS:
                session.failures = 0
            if session.failures:
                self.dialling.useless(session, now)
            # The lower id redials at once, the other waits, so that they seldom cross. A link that
            # broke before it was of any use is no reason to hurry.
            if self._identity.key < session.peer.key and session.failures == 0:
                self.dialling.want(session, now)
            else:
                self.dialling.redial_later(session, now)
            session.failures += 1

    def moved(self, peer: Peer, address: str, now: float) -> None:
        """A member has left an address: a link to there may stay silent for minutes, and nobody
        answers a dial.
        """
        for session in peer.sessions.values():
            if session.link is not None and session.link.remote == address:
                self.lost(session.link, "its member has moved", now)
            else:
                self.dialling.restart(session, now)

    def drop(self, session: Session) -> None:
        """Ends what a session has: its member is gone."""
        self._schedule.cancel(("redial", session))
        self.dialling.cancel(session)
        if session.link is not None:
            self._end(session.link, abort=True)

    def say_goodbye(self, session: Session) -> None:
        """Tells the other end what we took and that we leave, then closes once that is written."""
        if session.link is not None:
            self._write(session.link, session.ack_frame(), codec.encode_frame(Goodbye()))
            self._end(session.link, abort=False)

    def close_pending(self) -> None:
        """Ends every link that has not come to its hello, and every dial."""
        self.dialling.cancel_all()
        for link in list(self._pending.values()):
            self._end(link, abort=True)

    def _end(self, link: NodeLink, *, abort: bool) -> None:
        self._settled(link)
        link.state = State.CLOSED
        if link.session is not None and link.session.link is link:
            link.session.link = None
            self._schedule.cancel(("better", link.session))
        if abort:
            self.ready.pop(link, None)
        self._effects.append(CloseLink(link, abort))

    def _settled(self, link: NodeLink) -> None:
        self._pending.pop(link.serial, None)
        self._accepted.remove(link.serial)
        self._schedule.cancel(link.key)

    # --- writing -----------------------------------------------------------------------------

    def _write(self, link: NodeLink, *frames: bytes | Split) -> None:
        link.out.extend(frames if link.records is None else _sealed(link.records, frames))
        self.ready[link] = None

    def post(self, session: Session, frame: LinkFrame, now: float) -> None:
        """Sends such a frame over a session's link, which is opened for it if need be."""
        if session.link is not None:
            if len(session.link.out) < POSTED_FRAMES:
                self._write(session.link, codec.encode_frame(frame))
        elif len(session.posted) < POSTED_FRAMES:
            session.posted.append(codec.encode_frame(frame))
            self.dialling.want(session, now)

    def ping(self, peer: Peer, now: float) -> None:
        """Asks a member over a link that it has, if any, whether it is there."""
        for session in peer.sessions.values():
            if session.link is not None:
                self.post(session, Ping(), now)
                return

    def pinged(self, frame: LinkFrame, session: Session, now: float) -> bool:
        """Answers a ping; tells whether a frame is one, or an answer."""
        if isinstance(frame, Ping):
            self.post(session, Pong(), now)
        return isinstance(frame, Ping | Pong)

    def tell_details(self, session: Session) -> None:
        """Our details have changed: a link that is open tells so before anything else."""
        if session.link is not None:
            self.ready[session.link] = None

    def acknowledge(self, session: Session) -> None:
        """Sends an acknowledgement by itself, if there is a link for it."""
        if session.link is not None:
            self._write(session.link, session.ack_frame())

    def take_frames(self, link: NodeLink) -> list[bytes | Split]:
        """What a link should write next, about 256 KiB at most; empty when there is nothing."""
        frames, link.out = link.out, []
        session = link.session
        if session is None or link.state is not State.OPEN:
            return frames
        if link.records is None:
            return frames + self._frames_of(session)
        return [*frames, *_sealed(link.records, self._frames_of(session))]

    def _frames_of(self, session: Session) -> list[bytes | Split]:
        frames: list[bytes | Split] = []
        details = self._details()
        if session.described != details.version:  # who hears of a change hears it first
            session.described = details.version
            frames.append(codec.encode_frame(Describe(details)))
        size, session.awake = 0, True  # until it rests: who takes sees whether it was left empty
        while size < TAKE_BYTES:
            frame = session.next_frame() if session.waiting or session.backlog else None
            if frame is not None:
                frames.append(frame)
                size += len(frame)
            elif session.rest():
                break
        if not size and session.ack_urgent:  # a batch would have acknowledged
            frames.append(session.ack_frame())
        return frames


def _sealed(records: Records, frames: Iterable[bytes | Split]) -> Iterable[bytes]:
    return (records.seal(bytes(frame)) for frame in frames)
