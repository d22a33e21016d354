"""The one door of a member's behaviour: what comes in, what time it is, what should happen.

Each input method takes ``now`` and changes state; the driver then performs ``take_effects()``,
writes what ``ready_links()`` have to write, and calls ``advance`` at ``deadline()``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from random import Random
from typing import Any

import msgspec

from ..config import ClusterConfig
from ..errors import (
    DecodeError,
    HookError,
    MessageTooLarge,
    NoRoute,
    NotJoined,
)
from ..hooks import HookRegistry
from ..hooks.chain import validate
from ..model import LOOPBACK, Address, Endpoint, Identity, Service, ip_of, is_unix, unix_address
from ..wire import codec
from ..wire.frames import (
    BUSY,
    REJECTED,
    Ack,
    Batch,
    Describe,
    Details,
    Events,
    Goodbye,
    Hello,
    View,
    ViewRequest,
)  # fmt: skip
from .counters import Counters
from .delivery import Delivery
from .discovery import DESCRIBE_KEY, DESCRIBE_SECONDS, Discovery
from .effects import (
    Effect,
    Report,
    ServiceChanged,
    ServiceDiscovered,
    ServiceGone,
)  # fmt: skip
from .links import REFUSED, Links, NodeLink, State
from .membership import Membership, Peer
from .proof import Prober
from .queries import Asked, Gathering, Queries, Resolve
from .requests import Requests
from .schedule import Schedule
from .session import Session
from .snapshots import Snapshots
from .views import Views

LOCALHOST = "localhost"

LINK_PROOF_SECONDS = 5.0
"""How long a candidate whose details need a link has for it."""


class Node:
    """One member. ``endpoints`` are its own, best first; ``port`` its own UDP port
    (0: it has none).

    ``spoken`` maps the schemes it can dial to whether they reach this machine only. ``lock`` guards
    the counters where several threads count.
    """

    def __init__(
        self, identity: Identity, config: ClusterConfig, hooks: HookRegistry, random: Random, *,
        endpoints: Iterable[Endpoint] = (), port: int = 0,
        spoken: Mapping[str, bool] | None = None, own_networks: Iterable[str] = (),
        lock: AbstractContextManager[object] | None = None, snapshots: Snapshots | None = None,
        offers: Mapping[str, object] | None = None,
    ) -> None:  # fmt: skip
        self.identity = identity
        self.config = config
        self.hooks = hooks
        self.counters = Counters(lock)
        self.peers = Membership(config.limits)
        self.changes = 0
        """Grows with every change of the members known, for those who keep a snapshot."""
        self._snapshots = snapshots or Snapshots()
        self._effects: list[Effect] = []
        self._schedule = Schedule()
        self._queries = Queries(self._schedule, self._effects, self.wake)
        self.requests = Requests(self._schedule, self._effects)
        self._twins: dict[bytes, list[Peer]] = {}
        self._joined_at = 0.0
        self._left = False
        self._prober = Prober(self._schedule, random)
        self.details = codec.copied(
            Details(
                1, identity.name, identity.host, config.tags, tuple(endpoints), dict(config.props),
                port, config.heartbeat_seconds, dict(offers or {}), config.observer,
            )
        )  # fmt: skip
        self._links = Links(
            identity, config.cluster, config.limits, spoken=spoken or {}, random=random,
            schedule=self._schedule, effects=self._effects, counters=self.counters,
            details=lambda: self.details, admit=self._greeted, unreachable=self._unreachable,
            forgotten=self._forgotten,
        )  # fmt: skip
        self._views = Views(
            identity, config.cluster, config.limits, peers=self.peers, links=self._links,
            random=random, schedule=self._schedule, effects=self._effects,
            vouched=self._vouched, forget=self._forget_later,
            probe=lambda peer, now: self._discovery.probe(peer, now, want=True),
            tellable=lambda address, local: self._discovery.tellable(address, local),
            is_own=lambda address: self._discovery.is_own(address),
        )  # fmt: skip
        self._discovery = Discovery(
            identity, config, peers=self.peers, prober=self._prober, random=random,
            schedule=self._schedule, effects=self._effects, counters=self.counters,
            own_networks=own_networks, details=lambda: self.details, views=self._views,
            snapshots=self._snapshots,
            proved=self._proved, by_link=self._needs_link, alive=self._alive, gone=self.lose,
        )  # fmt: skip
        self._check_details(self.details)
        self._views.toggle(self._own_fingerprint())
        self._delivery = Delivery(
            hooks, links=self._links, queries=self._queries, requests=self.requests,
            schedule=self._schedule, effects=self._effects, counters=self.counters,
        )  # fmt: skip
        self._timers: dict[str, Callable[..., None]] = {
            "beacon": lambda _, now: self._discovery.beacon(now),
            "probe": self._discovery.probe_again,
            "watch": self._discovery.watch,
            "forget": lambda key, now: self._forget(key),
            "dial": self._links.dial_timed_out,
            "redial": self._links.want,
            "hello": self._links.hello_timed_out,
            "describe": lambda _, now: self._tell_details(now),
            "vouch": lambda _, now: self._views.send_vouches(),
            "view": lambda _, now: self._views.look(now),
            "query": self._queries.timed_out,
            "request": self.requests.timed_out,
            "settle": self._queries.settle,
            "ack": lambda _, now: self._delivery.send_acks(),
        }

    # --- the driver's side -------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Begins to announce."""
        self._joined_at = now
        self._discovery.beacon(now)

    def advance(self, now: float) -> None:
        """Does all that is due."""
        for kind, whose in self._schedule.pop_due(now):
            self._timers[kind](whose, now)

    def deadline(self) -> float | None:
        """When ``advance`` has something to do, or None."""
        return self._schedule.next()

    def take_effects(self) -> list[Effect]:
        """What is to be done, in order; the caller now owns it."""
        if not self._effects:
            return []
        effects = self._effects.copy()
        self._effects.clear()
        return effects

    def ready_links(self) -> list[NodeLink]:
        """Links that may have something to write; asked for once."""
        if not self._links.ready:
            return []
        links = list(self._links.ready)
        self._links.ready.clear()
        return links

    def take_frames(self, link: NodeLink) -> list[bytes]:
        """What a link should write next; empty when there is nothing (more)."""
        return self._links.take_frames(link)

    def datagram_received(self, data: bytes, source: Address, now: float) -> None:
        """A datagram came, by multicast or to our own port."""
        self._discovery.received(data, source, now)

    def datagram_refused(self, address: Address, now: float) -> None:
        """The host at ``address`` says that nobody listens on that port."""
        self._discovery.refused(address, now)

    def link_opened(
        self, scheme: str, remote: str, now: float, *, local: bool, number: int | None = None
    ) -> NodeLink | None:
        """A link is open, dialled as ``number`` or accepted; None when it is not wanted."""
        return self._links.opened(scheme, remote, now, local=local, number=number)

    def dial_failed(self, number: int, reason: str, now: float) -> None:
        """An endpoint could not be opened."""
        self._links.dial_failed(number, reason, now)

    def link_lost(self, link: NodeLink, reason: str, now: float, *, fault: bool = False) -> None:
        """A link ended (``fault``: by what came over it). Its member is looked after at once."""
        if fault:
            self._report_fault(link, reason)
        session = link.session if link.state is State.OPEN else None
        self._links.lost(link, reason, now)
        if session is not None and session.peer.service is not None:
            self._discovery.probe(session.peer, now, want=False)

    # --- data --------------------------------------------------------------------------------

    def frames_received(self, link: NodeLink, frames: Sequence[codec.Buffer], now: float) -> None:
        """Frames came over a link, in order. They are not kept."""
        try:
            for frame in frames:
                if link.state is State.OPEN:
                    self._frame(link, frame, now)
                elif link.state is not State.CLOSED:
                    self._links.begin(link, frame, now)
        except DecodeError as error:
            self._report_fault(link, str(error))
            self._links.lost(link, str(error), now)

    def _report_fault(self, link: NodeLink, reason: str) -> None:
        if self.counters.count(f"links: {reason.split(':')[0]}"):
            text = f"ended a {link.scheme} link from {link.remote or 'this host'}: {reason}"
            self._effects.append(Report(f"{text} (further ones are only counted)"))

    def _frame(self, link: NodeLink, data: codec.Buffer, now: float) -> None:
        session = link.session
        assert session is not None
        frame = codec.decode_frame(data)
        session.peer.heard_at = now
        if isinstance(frame, Events | Batch | Ack):
            self._delivery.received(session, link, frame, len(data), now)
        elif isinstance(frame, Goodbye):
            self.lose(session.peer, "left", now)
        elif isinstance(frame, Describe):
            if len(data) > self.config.limits.hello_bytes:
                raise DecodeError("oversized details")
            self._proved(session.peer, frame.details, now)
        elif isinstance(frame, ViewRequest):
            self._views.requested(frame, session, now)
        elif isinstance(frame, View):
            self._views.answered(frame, session, now)
        else:
            raise DecodeError("hello on an open link")

    def took(self, session: Session, size: int) -> None:
        """The hooks have taken ``size`` bytes of a session's batches."""
        self._delivery.took(session, size)

    # --- sending -----------------------------------------------------------------------------

    def route(self, peer: Peer, only: Sequence[str]) -> Sequence[Endpoint]:
        """The endpoints of a member worth dialling (any thread)."""
        return self._links.route(peer, only)

    def wake(self, session: Session, now: float) -> None:
        """Something was put into a session."""
        if session.link is not None:
            self._links.ready[session.link] = None
        elif session.peer.service is None or self._left:
            self.counters.count("messages to a lost member", session.discard())
        else:
            self._links.want(session, now)

    # --- queries -----------------------------------------------------------------------------

    def ask(self, gathering: Gathering, now: float, asked: Asked | None, resolve: Resolve) -> None:
        """Starts a query. ``asked`` is None when nobody matched: then, if we have just joined,
        the query waits until the mesh has settled and asks whom ``resolve`` finds then.
        """
        settled_at = self._joined_at + self.config.limits.settle_seconds
        self._queries.start(gathering, now, asked, resolve, settled_at)

    def cancel_query(self, gathering: Gathering) -> None:
        """Ends a query; answers that still come are dropped."""
        self._queries.cancel(gathering)

    # --- members -----------------------------------------------------------------------------

    def _vouched(self, peer: Peer, details: Details, now: float) -> None:
        """Another member says this of a peer."""
        self._proved(peer, details, now, told=True)

    def _proved(self, peer: Peer, details: Details, now: float, *, told: bool = False) -> None:
        """A peer proved to be there, or was ``told`` of, and these are its details. What it says
        itself stands over what others say of it.
        """
        known, service = peer.details, peer.service
        digest = self._snapshots.digest(peer, details)
        if service is not None and known is not None:
            other = _other_member(known, details)
            if (told or not peer.told) and (details.version < known.version or other):
                return
            if digest == peer.digest and service.local == peer.local:
                peer.told = peer.told and told
                if service.address == ip_of(peer.address):
                    return
            elif details.observer and other:
                self.lose(peer, "is an observer", now)
                return
            elif other:
                self.peers.rename(peer, details)
        fingerprint = peer.fingerprint if service is not None else 0
        peer.describe(details, digest)
        peer.told = told
        made = self._snapshots.service(peer, lan=self._discovery.on_lan(peer.address[0]))
        if not self._accepts(made):
            peer.refused = None if told else digest
            if service is not None:
                if not peer.observer:
                    self._views.toggle(fingerprint ^ peer.fingerprint)
                self.lose(peer, "was refused by a hook", now)
            else:
                self._forget_later(peer, now)
        elif service is not None:
            self._changed(peer, made, fingerprint, now)
        elif peer.observer or not self._waits_for_twin(peer, details, now):
            self._admit(peer, made, now)

    def _changed(self, peer: Peer, service: Service, fingerprint: int, now: float) -> None:
        peer.service = service
        if peer.observer:
            return
        self._effects.append(ServiceChanged(service))
        self.changes += 1
        self._views.toggle(fingerprint ^ peer.fingerprint)
        if peer.proven and not peer.told:
            self._views.vouch_for(peer, now)

    def _forget_later(self, peer: Peer, now: float) -> None:
        self._schedule.set(("forget", peer.key), now + self.config.expire_seconds)

    def _accepts(self, service: Service) -> bool:
        try:
            chain = self.hooks.chain("service.validate")
            return validate(chain, service, self.hooks.timing)
        except HookError as error:
            self._delivery.hook_stopped("service.validate", error)
            return False

    def _waits_for_twin(self, peer: Peer, details: Details, now: float) -> bool:
        """A member of the same name and host is known: see first whether that one still lives."""
        twin = self.peers.twin(peer, details.name, details.host)
        if twin is None:
            return False
        waiting = self._twins.setdefault(twin.key, [])
        if peer not in waiting:
            waiting.append(peer)
        self._forget_later(peer, now)
        self._discovery.probe(twin, now, want=False)
        return True

    def _alive(self, peer: Peer, now: float) -> None:
        """A peer answered: those who share its name are members of their own."""
        for other in self._twins.pop(peer.key, ()):
            current = self.peers.get(other.key) is other  # it was not forgotten meanwhile
            if current and other.service is None and other.details is not None:
                lan = self._discovery.on_lan(other.address[0])
                self._admit(other, self._snapshots.service(other, lan=lan), now)

    def _admit(self, peer: Peer, service: Service, now: float) -> None:
        if not self.peers.admit(peer):
            self.counters.count("members beyond the limit")
            return
        self._schedule.cancel(("forget", peer.key))
        peer.service = service
        peer.refused = None
        peer.heard_at = now
        self._discovery.watch(peer.key, now)
        if peer.observer:
            return
        self.changes += 1
        self._effects.append(ServiceDiscovered(service))
        self._views.entered(peer, now)

    def lose(self, peer: Peer, reason: str, now: float) -> None:
        """A peer left, died or expired."""
        service = peer.service
        self._prober.stop(peer)
        self._schedule.cancel(("watch", peer.key))
        self._schedule.cancel(("forget", peer.key))
        self.peers.forget(peer)
        for session in peer.sessions.values():
            self._links.drop(session)
            lost = session.discard()
            if lost:
                self.counters.count("messages to a lost member", lost)
        peer.service = None
        if service is not None and not peer.observer:
            self._views.left(peer, now)
            self.changes += 1
            self._effects.append(ServiceGone(service, reason))
            self._queries.member_gone(service, reason)
            self.requests.member_gone(service, reason)
        self._alive(peer, now)

    def _forget(self, key: bytes) -> None:
        peer = self.peers.get(key)
        if peer is not None and peer.service is None:
            self._prober.stop(peer)
            for session in peer.sessions.values():
                self._links.drop(session)
            self.peers.forget(peer)

    def _needs_link(self, peer: Peer, now: float) -> None:
        """The details of a peer are too large for a datagram: a link's hello brings them."""
        if peer.service is None:
            self._schedule.set(("forget", peer.key), now + LINK_PROOF_SECONDS)
        session = peer.session("", self.config.limits)
        if session is not None:
            self._links.want(session, now)

    def _greeted(self, hello: Hello, link: NodeLink, now: float) -> Peer | int:
        """A hello proves its sender. Gives the member, or why it cannot be one."""
        if not self._discovery.in_scope(link.remote, local=link.local):
            return REJECTED
        port = hello.details.port
        address = (link.remote or LOOPBACK, port)
        if link.local and port == 0:  # it has no UDP at all
            address = unix_address(hello.id)
        peer = self.peers.hear(hello.id, hello.boot, address, now)
        if peer is None:
            return BUSY
        if peer.service is None and link.dial is None and not is_unix(peer.address):
            peer.address = address
        peer.proved_local(link.local or self._discovery.is_own(link.remote))
        self._proved(peer, hello.details, now)
        if peer.service is not None:
            return peer
        if ("forget", peer.key) not in self._schedule:
            self.peers.forget(peer)
        return REJECTED if peer.refused else BUSY

    def _unreachable(
        self, session: Session, attempts: Sequence[tuple[str, str]], now: float
    ) -> None:
        """Every endpoint of a member was tried in vain."""
        peer, service = session.peer, session.peer.service
        if service is None:
            return
        if (
            (session.broken or not peer.proven)
            and attempts
            and all(reason == REFUSED for _, reason in attempts)
        ):
            self.lose(peer, "its process is gone", now)
            return
        tried = ", ".join(f"{scheme}: {reason}" for scheme, reason in attempts)
        text = f"no way to {service.name}: {tried or 'no protocol in common'}"
        if self.counters.count("members that could not be reached"):
            self._effects.append(Report(text))
        for asked in session.withdraw_questions():
            gathering = self._queries.expecting(asked, peer.key)
            if gathering is not None:
                self._queries.failed(gathering, peer.key, NoRoute(text, attempts))
            else:
                self.requests.unreachable(asked, session, NoRoute(text, attempts))
        self._discovery.probe(peer, now, want=False)
        if session.backlog or session.broken:
            self._links.redial_later(session, now)

    def _forgotten(self, session: Session) -> None:
        """The other end of a session had lost us, and with us what we asked of it."""
        service = session.peer.service
        if service is not None:
            unsent = session.unsent_questions
            self._queries.member_gone(service, "had lost us", unsent)
            self.requests.member_gone(service, "had lost us", unsent)

    # --- ourselves ---------------------------------------------------------------------------

    def describe(self, now: float, **changes: Any) -> None:
        """Changes what we say of ourselves (``tags``, ``props``, ``offers``), if it is something
        else; told in a moment, and before anything that is sent from here on.

        Raises:
            MessageTooLarge: the details would not fit a hello; nothing was changed.
        """
        same = msgspec.structs.replace(self.details, **changes)
        if codec.encode_details(same) == codec.encode_details(self.details):
            return
        details = codec.copied(msgspec.structs.replace(same, version=same.version + 1))
        self._check_details(details)
        before, self.details = self._own_fingerprint(), details
        self._views.toggle(before ^ self._own_fingerprint())
        if DESCRIBE_KEY not in self._schedule:
            self._schedule.set(DESCRIBE_KEY, now + DESCRIBE_SECONDS)

    def _tell_details(self, now: float) -> None:
        for peer in self.peers.linkable():
            for session in peer.sessions.values():
                self._links.tell_details(session)
        self._discovery.beacon_soon(now)

    def _own_fingerprint(self) -> int:
        me = Peer(self.identity.id, self.identity.boot, ("", 0), 0.0)
        me.digest = codec.digest(self.details)
        return me.fingerprint

    @property
    def own_words(self) -> frozenset[str]:
        """What others would resolve us by (any thread)."""
        me, details = self.identity, self.details
        addresses = self._discovery.own_addresses
        return frozenset({*details.tags, me.name, me.id.hex(), me.host, LOCALHOST, *addresses})

    def heartbeat(self, now: float) -> None:
        """Announces us now instead of at the next time."""
        self._discovery.beacon_soon(now)

    def discover(self, now: float) -> bool:
        """Asks everybody to answer; False: it was asked a moment ago."""
        return self._discovery.discover(now)

    def _check_details(self, details: Details) -> None:
        size = len(codec.encode_details(details))
        room = self.config.limits.hello_bytes - 1024
        if size > room:
            raise MessageTooLarge(f"tags, props and endpoints take {size} bytes, over {room}")
        size, room = self._discovery.beacon_size(details), self.config.limits.datagram_bytes
        if size > room:
            raise MessageTooLarge(f"a beacon with these endpoints has {size} bytes, over {room}")

    def close_queries(self) -> None:
        """Ends all queries and requests: we leave."""
        self._queries.close(NotJoined("the cluster was left before the query ended"))
        self.requests.close(NotJoined("the cluster was left before the answer came"))

    @property
    def idle(self) -> bool:
        """All that was sent has been acknowledged."""
        return all(s.idle for p in self.peers.linkable() for s in p.sessions.values())

    def leave(self, now: float) -> None:
        """Says goodbye over every link and to the group. Nothing else is sent afterwards."""
        self._left = True
        self.close_queries()
        self._discovery.say_goodbye()
        for peer in self.peers.linkable():
            for session in peer.sessions.values():
                self._links.say_goodbye(session)
        self._links.close_pending()
        self._schedule.clear()


def _other_member(known: Details, details: Details) -> bool:
    """Whether details say what never changes in one run of a member."""
    return (known.name, known.host, known.observer) != (
        details.name, details.host, details.observer,
    )  # fmt: skip
