"""The one door of a member's behaviour: what comes in, what time it is, what should happen.

Each input method takes ``now`` and changes state; the driver then performs ``take_effects()``,
writes what ``ready_links()`` have to write, and calls ``advance`` at ``deadline()``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from random import Random
from typing import Any

from ..config import ClusterConfig
from ..errors import NoRoute, NotJoined
from ..hooks import HookRegistry
from ..model import UDP, Address, Endpoint, Identity
from ..security.keyring import Keyring
from ..wire.frames import Details
from ..wire.split import Frame, Split
from .admission import Admission
from .announcing import Announcing
from .counters import Counters
from .datagrams import Datagrams
from .delivery import Delivery
from .detector import Detector
from .discovery import Discovery
from .effects import Effect, Report
from .entrance import Entrances
from .guard import Guard
from .hints import Hints
from .links import REFUSED, Links, NodeLink, State
from .membership import Membership, Peer
from .monitors import Monitors
from .ourselves import Ourselves
from .parcels import Parcels
from .proof import Prober
from .queries import Asked, Gathering, Queries, Resolve
from .reading import Reading
from .relief import Relief
from .requests import Requests
from .schedule import Schedule
from .scope import Scope
from .seeds import Seeds
from .session import Session
from .snapshots import Snapshots
from .views import Views

LINK_PROOF_SECONDS = 5.0
"""How long a candidate whose details need a link has for it."""


class Node:
    """One member. ``endpoints`` are its own, best first; ``port`` its own UDP port
    (0: it has none).

    ``spoken`` maps the schemes it can dial to whether they reach this machine only. ``lock`` guards
    the counters where several threads count. ``wall`` gives the seconds since 1970, for observers
    to compare; nothing else asks it. ``keyring``: what seals and opens; without keys all is plain.
    """

    def __init__(
        self, identity: Identity, config: ClusterConfig, hooks: HookRegistry, random: Random, *,
        endpoints: Iterable[Endpoint] = (), port: int = 0,
        spoken: Mapping[str, bool] | None = None, own_networks: Iterable[str] = (),
        lock: AbstractContextManager[object] | None = None, snapshots: Snapshots | None = None,
        offers: Mapping[str, object] | None = None, wall: Callable[[], float] = float,
        keyring: Keyring | None = None,
    ) -> None:  # fmt: skip
        self.identity, self.config, self.hooks = identity, config, hooks
        self.counters = Counters(lock)
        self.keyring = keyring or Keyring()
        self.peers = Membership(config.limits, closed=self.keyring.required)
        self._snapshots = snapshots or Snapshots()
        self.effects: list[Effect] = []  # see take_effects
        self._schedule = Schedule()
        self.queries = Queries(self._schedule, self.effects, self.wake)
        self.requests = Requests(self._schedule, self.effects)
        self._joined_at, self._left = 0.0, False
        self._prober = Prober(self._schedule, random, lambda: self._detector)
        self.scope = Scope(config.ttl, own_networks)
        self._spoken = spoken or {}
        self._ourselves = self._make_ourselves(endpoints, port, offers or {})
        self._links = self._make_links(random)
        self.ready = self._links.ready  # see ready_links
        self._delivery = Delivery(
            hooks, links=self._links, queries=self.queries, requests=self.requests,
            schedule=self._schedule, effects=self.effects, counters=self.counters,
        )  # fmt: skip
        self.relief = Relief(self._links, self.effects, self.counters, self._forgotten)
        self.parcels = self._make_parcels()
        self._admission = Admission(
            identity, config, hooks, peers=self.peers, prober=self._prober, links=self._links,
            queries=self.queries, requests=self.requests, snapshots=self._snapshots,
            schedule=self._schedule, effects=self.effects, counters=self.counters,
            stopped=self._delivery.hook_stopped,
        )  # fmt: skip
        self._views = self._make_views(random)
        interval = partial(self._views.interval, config.heartbeat_seconds)
        self._announcing = Announcing(self.peers, self.effects, interval)
        self._detector = self._make_detector(random)
        self._own = Datagrams(
            identity, config, details=lambda: self.details, views=self._views,
            lag=lambda: self._detector.lag, wall=wall,
        )  # fmt: skip
        self._discovery = self._make_discovery(random)
        self._seeds = self._make_seeds(random, interval)
        self._monitors = Monitors(
            identity.key, config.limits, peers=self.peers, ring=self._detector.ring,
            links=self._links, schedule=self._schedule, random=random,
        )  # fmt: skip
        self._guard = self._make_guard()
        self._detector.connect(self._discovery)
        self._admission.connect(
            self._views, self._detector, self._monitors, self._discovery, self._seeds
        )
        self.hints = self._make_hints()
        self._ourselves.connect(self._views, self._own)
        self._reading = self._make_reading()
        self._timers = self._timer_handlers()

    def _make_ourselves(
        self, endpoints: Iterable[Endpoint], port: int, offers: Mapping[str, object]
    ) -> Ourselves:
        return Ourselves(
            self.identity, self.config, endpoints, port=port, offers=offers, spoken=self._spoken,
            scope=self.scope, schedule=self._schedule, effects=self.effects,
            counters=self.counters,
        )  # fmt: skip

    def _make_links(self, random: Random) -> Links:
        return Links(
            self.identity, self.config.cluster, self.config.limits, spoken=self._spoken,
            random=random, schedule=self._schedule, effects=self.effects, counters=self.counters,
            details=lambda: self._ourselves.details,
            admit=lambda *hello: self._admission.greeted(*hello),
            unreachable=self._unreachable, forgotten=self._forgotten, given_up=self._given_up,
            covers=self.scope.covers,
            entrances=Entrances(self.keyring, self.config.cluster, random),
        )  # fmt: skip

    def _make_parcels(self) -> Parcels:
        return Parcels(
            self.identity, self.config.cluster, self.config.limits, delivery=self._delivery,
            effects=self.effects, counters=self.counters, wake=self.wake, peers=self.peers,
            schedule=self._schedule, offered=UDP in self._spoken, observer=self.config.observer,
            reaches=lambda peer, now: self._announcing.reaches(peer, now),
        )  # fmt: skip

    def _make_views(self, random: Random) -> Views:
        return Views(
            self.identity, self.config.cluster, self.config.limits, peers=self.peers,
            links=self._links, random=random, schedule=self._schedule,
            vouched=self._admission.vouched, forget=self._admission.forget_later,
            probe=lambda peer, now: self._discovery.probe(peer, now, want=True),
            scope=self.scope, seeded=bool(self.config.seeds),
            announce=lambda datagram, now: self._announcing.announce(datagram, now),
        )  # fmt: skip

    def _make_detector(self, random: Random) -> Detector:
        return Detector(
            self.identity, self.config, peers=self.peers, random=random, schedule=self._schedule,
            effects=self.effects, counters=self.counters, views=self._views,
            announce=self._announcing.announce, gone=self._admission.lose, ping=self._links.ping,
        )  # fmt: skip

    def _make_discovery(self, random: Random) -> Discovery:
        return Discovery(
            self.identity, self.config, peers=self.peers, prober=self._prober, random=random,
            schedule=self._schedule, effects=self.effects, counters=self.counters,
            scope=self.scope, own=self._own, views=self._views, snapshots=self._snapshots,
            announcing=self._announcing, proved=self._admission.proved, parcel=self.parcels.heard,
            by_link=self._needs_link, alive=self._admission.alive, gone=self._admission.gone,
            moved=self._links.moved, stirred=self._links.dialling.stirred, detector=self._detector,
        )  # fmt: skip

    def _make_seeds(self, random: Random, interval: Callable[[], float]) -> Seeds:
        return Seeds(
            self.config, peers=self.peers, random=random, schedule=self._schedule,
            effects=self.effects, counters=self.counters, interval=interval,
            in_scope=self.scope.covers, knock=self._discovery.knock,
        )  # fmt: skip

    def _make_hints(self) -> Hints:
        return Hints(
            self.identity, self.config, peers=self.peers, views=self._views,
            discovery=self._discovery, counters=self.counters,
            keyring=self.keyring, guard=self._guard,
        )  # fmt: skip

    def _make_reading(self) -> Reading:
        return Reading(
            self.config.limits, links=self._links, delivery=self._delivery,
            admission=self._admission, detector=self._detector, views=self._views,
            ourselves=self._ourselves, effects=self.effects, counters=self.counters,
        )  # fmt: skip

    def _make_guard(self) -> Guard | None:
        """None for a member without keys, whose datagrams pass as they are."""
        if not self.keyring.keys:
            return None
        return Guard(
            self.identity, self.keyring, self.config.limits, peers=self.peers,
            effects=self.effects, counters=self.counters, take=self._discovery.received,
            unmasked=self._admission.unmasked,
        )  # fmt: skip

    def _timer_handlers(self) -> dict[str, Callable[..., None]]:
        """What is done when a timer of each kind is due: takes whose it is, and the time."""
        return {
            "beacon": lambda _, now: self._discovery.beacon(now),
            "probe": self._discovery.probe_again,
            "refused": self._discovery.refusals.still,
            "left": self._admission.has_left,
            "round": lambda _, now: self._detector.round(now),
            "monitor": lambda _, now: self._monitors.open(now),
            "ask": self._detector.ask_at_last,
            "suspect": self._detector.suspected_long,
            "dead": self._detector.dead_again,
            "refute": lambda _, now: self._detector.refute_again(now),
            "forget": self._admission.forget,
            "dial": self._links.dialling.timed_out,
            "redial": self._links.dialling.want,
            "better": self._links.dialling.improve,
            "hello": self._links.hello_timed_out,
            "describe": lambda _, now: self._tell_details(now),
            "check": self._ourselves.check,
            "vouch": lambda _, now: self._views.send_vouches(now),
            "seed": lambda _, now: self._seeds.ask(now),
            "view": lambda _, now: self._views.look(now),
            "query": self.queries.timed_out,
            "request": self.requests.timed_out,
            "settle": self.queries.settle,
            "receipt": self.parcels.look_after,
            "ack": lambda _, now: self._delivery.send_acks(),
        }

    # --- the driver's side -------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Begins to announce."""
        self._joined_at = now
        self._discovery.beacon(now)
        self._seeds.ask(now)

    def advance(self, now: float) -> None:
        """Does all that is due."""
        deadline = self._schedule.next()
        if deadline is not None:
            self._detector.overslept(now - deadline, now)
        for kind, whose in self._schedule.pop_due(now):
            self._timers[kind](whose, now)

    def deadline(self) -> float | None:
        """When ``advance`` has something to do, or None."""
        return self._schedule.next()

    @property
    def active(self) -> bool:
        """Whether there is anything to perform or to write."""
        return bool(self.effects or self.ready)

    @property
    def busy(self) -> bool:
        """Whether there is anything to perform, to write, or a timer to be set."""
        return self.active or self._schedule.changed

    def take_effects(self) -> list[Effect]:
        """What is to be done, in order; the caller now owns it."""
        if not self.effects:
            return []
        effects = self.effects.copy()
        self.effects.clear()
        return effects if self._guard is None else self._guard.sealed(effects)

    def ready_links(self) -> list[NodeLink]:
        """Links that may have something to write; asked for once."""
        if not self.ready:
            return []
        links = list(self.ready)
        self.ready.clear()
        return links

    def take_frames(self, link: NodeLink) -> list[bytes | Split]:
        """What a link should write next; empty when there is nothing (more)."""
        return self._links.take_frames(link)

    def datagram_received(self, data: bytes, source: Address, now: float) -> bool:
        """A datagram came, by multicast or to our own port; False: there were too many."""
        if not self._discovery.policing.lets(source, len(data), now):
            return False
        if self._guard is None or not self.scope.covers(source[0]):  # which it counts
            self._discovery.received(data, source, now)
        else:
            self._guard.received(data, source, now)
        return True

    def datagram_refused(self, address: Address, now: float) -> None:
        """The host at ``address`` says that nobody listens on that port."""
        self._discovery.refusals.refused(address, now)

    def seeds_found(self, addresses: Sequence[Address], now: float) -> None:
        """What a round of looking up the seeds brought: where members may be."""
        if self.config.ttl > 0:
            self.scope.allow(address for address, _ in addresses)
        self._seeds.found(addresses, now)

    def seed_failed(self, name: str, trouble: str) -> None:
        """A seed could not be looked up."""
        self._seeds.failed(name, trouble)

    def link_opened(
        self, scheme: str, remote: str, now: float, *, local: bool, same_user: bool = False,
        number: int | None = None,
    ) -> NodeLink | None:  # fmt: skip
        """A link is open, dialled as ``number`` or accepted; None when it is not wanted.
        ``same_user``: the system says that a process of our own user is at its other end.
        """
        if number is None and not self.near(remote, "links", local=local):
            return None
        return self._links.opened(
            scheme, remote, now, local=local, same_user=same_user, number=number
        )

    def near(self, remote: str, what: str, *, local: bool = False) -> bool:
        """Whether ``what`` comes from near enough for ``ttl``; counted when not."""
        if self.scope.covers(remote, local=local):
            return True
        self.counters.count(f"{what} from outside the scope")
        return False

    def dial_failed(self, number: int, reason: str, now: float) -> None:
        """An endpoint could not be opened."""
        self._links.dialling.failed(number, reason, now)

    def link_lost(self, link: NodeLink, reason: str, now: float, *, fault: bool = False) -> None:
        """A link ended (``fault``: by what came over it). Its member is looked after at once."""
        if fault:
            self._reading.report_fault(link, reason)
        session = link.session if link.state is State.OPEN else None
        self._links.lost(link, reason, now)
        if session is not None and session.peer.service is not None:
            self._discovery.broke(session.peer, now)

    # --- data --------------------------------------------------------------------------------

    def frames_received(self, link: NodeLink, frames: Sequence[Frame], now: float) -> None:
        """Frames came over a link, in order. They are not kept."""
        self._reading.received(link, frames, now)

    def took(self, session: Session, size: int) -> None:
        """The hooks have taken ``size`` bytes of a session's batches."""
        self._delivery.took(session, size)

    @property
    def changes(self) -> int:
        """Grows with every change of the members known, for those who keep a snapshot."""
        return self._admission.changes

    # --- sending -----------------------------------------------------------------------------

    def route(self, peer: Peer, only: Sequence[str]) -> Sequence[Endpoint]:
        """The endpoints of a member worth dialling (any thread)."""
        return self._links.dialling.route(peer, only)

    def wake(self, session: Session, now: float) -> None:
        """Something was put into a session."""
        if session.link is not None:
            self._links.ready[session.link] = None
        elif session is self.parcels.everybody and not self._left:
            self.parcels.send_to_all(now)
        elif session.peer.service is None or self._left:
            service = session.peer.service or session.peer.gone
            self._admission.given_up(service, "is gone", session.discard())
        elif session.lane == UDP:
            self.parcels.send(session, now)
        else:
            self._links.dialling.want(session, now)

    # --- queries -----------------------------------------------------------------------------

    def ask(self, gathering: Gathering, now: float, asked: Asked | None, resolve: Resolve) -> None:
        """Starts a query. ``asked`` is None when nobody matched: then, if we have just joined,
        the query waits until the mesh has settled and asks whom ``resolve`` finds then.
        """
        settled_at = self._joined_at + self.config.limits.settle_seconds
        self.queries.start(gathering, now, asked, resolve, settled_at)

    def cancel_query(self, gathering: Gathering) -> None:
        """Ends a query; answers that still come are dropped."""
        self.queries.cancel(gathering)

    # --- members -----------------------------------------------------------------------------

    def _needs_link(self, peer: Peer, now: float) -> None:
        """The details of a peer are too large for a datagram: a link's hello brings them."""
        if peer.service is None:
            self._schedule.set(("forget", peer.key), now + LINK_PROOF_SECONDS)
        session = peer.session("", self.config.limits)
        if session is not None and (peer.service or self._discovery.policing.may_dial(now)):
            self._links.dialling.want(session, now)

    def _unreachable(
        self, session: Session, attempts: Sequence[tuple[str, str]], now: float
    ) -> None:
        """Every endpoint of a member was tried in vain."""
        peer, service = session.peer, session.peer.service
        if service is None:
            return
        nobody = bool(attempts) and all(reason == REFUSED for _, reason in attempts)
        if nobody and (session.broken or not peer.proven):
            self._links.dialling.redial_later(session, now)
            if self._detector.refused(peer, now):
                return
        route = self._links.route(peer, tuple(session.schemes))
        self.parcels.send_at_last(session, route, attempts, now)
        tried = ", ".join(f"{scheme}: {reason}" for scheme, reason in attempts)
        text = f"no way to {service.name}: {tried or 'no protocol in common'}"
        if session.wanted and self.counters.count("members that could not be reached"):
            self.effects.append(Report(text))
        for asked in session.withdraw_questions():
            gathering = self.queries.expecting(asked, peer.key)
            if gathering is not None:
                self.queries.failed(gathering, peer.key, NoRoute(text, attempts))
            else:
                self.requests.unreachable(asked, session, NoRoute(text, attempts))
        self._discovery.probe(peer, now, want=False)
        if session.backlog or session.broken:
            self._links.dialling.redial_later(session, now)

    def judge_again(self, now: float) -> None:
        """A ``service.validate`` hook was placed: it judges those who are known already."""
        self._admission.judge_again(now)

    def _given_up(self, session: Session, reason: str) -> None:
        messages, session.lost = session.lost, []
        self._admission.given_up(session.peer.service, reason, messages)

    def _forgotten(self, session: Session, reason: str = "had lost us") -> None:
        """The other end of a session had lost us, and with us what we asked of it."""
        service, unsent = session.peer.service, session.unsent_questions
        if service is not None:
            self.queries.forgotten(service, reason, unsent)
            self.requests.forgotten(service, reason, unsent)

    def networks_changed(self, networks: Iterable[str], now: float) -> None:
        """Our interfaces have these addresses (with prefixes) from now on, or work again."""
        self._discovery.networks_changed(networks, now)
        self._admission.networks_changed(now)
        self._ourselves.moved(now)

    def keys_changed(self, now: float) -> None:
        """The keyring has other keys: links that were opened by one that is in it no more are
        opened anew, which loses nothing; and everybody hears by which one we seal.
        """
        for peer in tuple(self.peers.linkable()):
            for session in tuple(peer.sessions.values()):
                key_id = session.link.entrance.key_id if session.link is not None else b""
                if session.link is not None and key_id and self.keyring.find(key_id) is None:
                    self._links.lost(session.link, "its key was removed", now)
        self._discovery.beacon_soon(now)

    # --- ourselves ---------------------------------------------------------------------------

    @property
    def details(self) -> Details:
        """What we say of ourselves (any thread)."""
        return self._ourselves.details

    def describe(self, now: float, **changes: Any) -> None:
        """Changes what we say of ourselves (``tags``, ``props``, ``offers``), if it is something
        else; told in a moment, and before anything that is sent from here on.

        Raises:
            MessageTooLarge: the details would not fit a hello; nothing was changed.
        """
        self._ourselves.describe(now, **changes)

    def renewed(self, before: Endpoint, endpoint: Endpoint, now: float) -> None:
        """An endpoint of ours was opened anew: everybody hears of it, and tries it at once."""
        self._ourselves.renewed(before, endpoint, now)

    def _tell_details(self, now: float) -> None:
        for peer in self.peers.linkable():
            for session in peer.sessions.values():
                self._links.tell_details(session)
        self._discovery.beacon_soon(now)

    @property
    def own_words(self) -> frozenset[str]:
        """What others would resolve us by (any thread)."""
        return self._ourselves.words

    def heartbeat(self, now: float) -> None:
        """Announces us now instead of at the next time."""
        self._discovery.beacon_soon(now)

    def discover(self, now: float) -> bool:
        """Asks everybody to answer; False: it was asked a moment ago."""
        asks = self._discovery.discover(now)
        if asks:
            self._seeds.ask(now)
        return asks

    def close_queries(self) -> None:
        """Ends all queries and requests: we leave."""
        self.queries.close(NotJoined("the cluster was left before the query ended"))
        self.requests.close(NotJoined("the cluster was left before the answer came"))

    @property
    def idle(self) -> bool:
        """All that was sent has been acknowledged."""
        told = self.parcels.everybody.idle
        return told and all(s.idle for p in self.peers.linkable() for s in p.sessions.values())

    def take_no_more(self, now: float) -> None:
        """Begins to leave: whoever asks or tells us something from here on hears that we do."""
        self._delivery.leaving = True
        for session in [s for p in self.peers.linkable() for s in p.sessions.values()]:
            if session.waiting:  # whoever put there may have been interrupted before waking us
                self.wake(session, now)

    def leave(self, now: float) -> None:
        """Says goodbye over every link and to the group. Nothing else is sent afterwards."""
        self._left = True
        self.close_queries()
        for peer in self.peers.linkable():
            for session in peer.sessions.values():
                self._links.say_goodbye(session)
                reason = "had not acknowledged when we left"
                self._admission.given_up(peer.service, reason, session.discard())
        self._discovery.say_goodbye(now)
        self._links.close_pending()
        self._schedule.clear()
