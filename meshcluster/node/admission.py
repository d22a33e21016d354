"""Who is taken in, who changes, who is lost: from a proof or a word to what users are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..config import ClusterConfig
from ..errors import HookError
from ..hooks import HookRegistry
from ..hooks.chain import validate
from ..model import (
    CONFLICT,
    LEFT,
    LOOPBACK,
    REFUSED,
    Address,
    Identity,
    Service,
    ip_of,
    is_named,
    member_key,
    unix_address,
)  # fmt: skip
from ..wire.frames import BUSY, REJECTED, AnyMessage, Details, Hello
from .counters import Counters
from .effects import (
    Effect,
    MessagesLost,
    Report,
    ServiceChanged,
    ServiceConflict,
    ServiceDiscovered,
    ServiceGone,
)  # fmt: skip
from .links import Links, NodeLink
from .membership import Membership, Peer
from .proof import Prober
from .queries import Queries
from .requests import Requests
from .schedule import Schedule
from .session import Session, asked_in
from .snapshots import Snapshots
from .views import Views

if TYPE_CHECKING:
    from .detector import Detector
    from .discovery import Discovery
    from .monitors import Monitors
    from .seeds import Seeds

GOODBYE_SECONDS = 0.05
"""Who said goodbye to all says over its links what it took of ours: so long that is waited for."""


class Admission:
    """The way from candidate to member to the lost. ``stopped`` is told of hooks that broke."""

    def __init__(
        self, identity: Identity, config: ClusterConfig, hooks: HookRegistry, *,
        peers: Membership, prober: Prober, links: Links, queries: Queries, requests: Requests,
        snapshots: Snapshots, schedule: Schedule, effects: list[Effect], counters: Counters,
        stopped: Callable[[str, HookError], None],
    ) -> None:  # fmt: skip
        self._identity = identity
        self._config = config
        self._hooks = hooks
        self._peers = peers
        peers.evict = self.evict
        self._prober = prober
        self._links = links
        self._queries = queries
        self._requests = requests
        self._snapshots = snapshots
        self._schedule = schedule
        self._effects = effects
        self._counters = counters
        self._stopped = stopped
        self._views: Views
        self._detector: Detector
        self._monitors: Monitors
        self._discovery: Discovery
        self._seeds: Seeds
        self._twins: dict[bytes, list[Peer]] = {}
        self.changes = 0
        """Grows with every change of the members known."""

    def connect(
        self, views: Views, detector: Detector, monitors: Monitors, discovery: Discovery,
        seeds: Seeds,
    ) -> None:  # fmt: skip
        """Sets those, which are made with this one's methods."""
        self._views, self._detector, self._discovery = views, detector, discovery
        self._seeds, self._monitors = seeds, monitors

    def greeted(self, hello: Hello, link: NodeLink, now: float) -> Peer | int:
        """A hello proves its sender. Gives the member, or why it cannot be one."""
        scope = self._discovery.scope
        if not scope.covers(link.remote, local=link.local):
            return REJECTED
        known = self._peers.get(member_key(hello.id, hello.boot))
        if known is not None and known.key_id and not link.entrance.key_id:
            self._counters.count("links: not sealed, of one who seals")
            return REJECTED
        port = hello.details.port
        address = (link.remote or LOOPBACK, port)
        if link.local and port == 0:  # it has no UDP at all
            address = unix_address(hello.id)
        peer = self._peers.hear(hello.id, hello.boot, address, now)
        taken_over = self._takes_over(peer, link, now)
        peer.key_id = peer.key_id or link.entrance.key_id
        if (peer.service is None and link.dial is None and not is_named(peer.address)) or (
            taken_over
        ):
            peer.address = address
        if peer.refused and peer.refused == self._snapshots.digest(peer, hello.details):
            return REJECTED  # it knows us, and tries again and again
        peer.proved_local(link.local or scope.is_own(link.remote))
        self.proved(peer, hello.details, now)
        if peer.service is not None:
            return peer
        if ("forget", peer.key) not in self._schedule:
            self._peers.forget(peer)
        return REJECTED if peer.refused else BUSY

    def vouched(self, peer: Peer, details: Details, now: float) -> None:
        """Another member says this of a peer."""
        self.proved(peer, details, now, told=True)

    def proved(self, peer: Peer, details: Details, now: float, *, told: bool = False) -> None:
        """A peer proved to be there, or was ``told`` of, and these are its details. What it says
        itself stands over what others say of it.
        """
        known, service = peer.details, peer.service
        if peer.key_id and not told:
            peer.authenticated = True
        digest = self._snapshots.digest(peer, details)
        if service is not None and known is not None:
            other = _other_member(known, details)
            if (told or not peer.told) and (details.version < known.version or other):
                return
            same = service.local == peer.local and service.authenticated == peer.authenticated
            if digest == peer.digest and same:
                peer.told = peer.told and told
                if service.address == ip_of(peer.address):
                    return
            elif details.observer and other:
                self.lose(peer, CONFLICT, now)
                return
            elif other:
                self._peers.rename(peer, details)
        endpoints = peer.endpoints
        details = self._snapshots.details(peer, details)
        peer.describe(details, digest)
        if service is not None and endpoints != details.endpoints:
            self._links.dialling.readvertised(peer, now)
        peer.told = told
        made = self._snapshots.service(peer, lan=self._on_lan(peer))
        if not self._accepts(made):
            peer.refused = None if told else digest
            if service is not None:
                self.lose(peer, REFUSED, now)
            else:
                self.forget_later(peer, now)
        elif service is not None:
            self._changed(peer, made, now)
        elif peer.observer or not self._waits_for_twin(peer, details, now):
            self._admit(peer, made, now)

    def _changed(self, peer: Peer, service: Service, now: float) -> None:
        peer.service = service
        if peer.observer:
            return
        self._effects.append(ServiceChanged(service))
        self.changes += 1
        self._views.count(peer)
        if peer.proven and not peer.told:
            self._views.vouch_for(peer, now)

    def unmasked(self, peer: Peer, source: Address, now: float) -> None:
        """What a peer says is sealed from now on: what was open may have been somebody else's."""
        self._doubt(peer, now)
        self._discovery.probe(peer, now, want=True, address=source)

    def _doubt(self, peer: Peer, now: float) -> None:
        self._prober.stop(peer)
        peer.doubt()
        for session in peer.sessions.values():
            if session.link is not None or session.dial is not None:
                self._links.drop(session)  # where it was dialled may have been anybody's word
                self._links.dialling.redial_later(session, now)

    def _takes_over(self, peer: Peer, link: NodeLink, now: float) -> bool:
        """Whether a sealed hello comes of somebody of whom only open words were heard."""
        if peer.key_id or peer.authenticated or not link.entrance.key_id or not peer.proven:
            return False
        self._doubt(peer, now)
        return True

    def judge_again(self, now: float) -> None:
        """A ``service.validate`` hook was placed: it judges those who are known already."""
        for peer in tuple(self._peers.linkable()):
            if peer.service is not None and not self._accepts(peer.service):
                peer.refused = peer.digest
                self.lose(peer, REFUSED, now)

    def networks_changed(self, now: float) -> None:
        """Our interfaces have other addresses: who is in a network of ours is seen anew."""
        for peer in tuple(self._peers.linkable()):
            lan, service = self._on_lan(peer), peer.service
            if service is None or service.lan is (lan or peer.local):
                continue
            made = self._snapshots.service(peer, lan=lan)
            if self._accepts(made):
                self._changed(peer, made, now)
            else:
                peer.refused = peer.digest
                self.lose(peer, REFUSED, now)

    def _on_lan(self, peer: Peer) -> bool:
        return self._discovery.scope.on_lan(ip_of(peer.address))

    def forget_later(self, peer: Peer, now: float) -> None:
        """A candidate that does not become a member is forgotten in time."""
        self._schedule.set(("forget", peer.key), now + self._config.expire_seconds)

    def _accepts(self, service: Service) -> bool:
        try:
            chain = self._hooks.chain("service.validate")
            return validate(chain, service, self._hooks.timing)
        except HookError as error:
            self._stopped("service.validate", error)
            return False

    def _waits_for_twin(self, peer: Peer, details: Details, now: float) -> bool:
        """A member of the same name and host is known: see first whether that one still lives."""
        twin = self._peers.twin(peer, details.name, details.host)
        if twin is None:
            return False
        if twin.address == peer.address and peer.reached_at == now:
            # It answered where the other one did: that one's process is gone.
            self._detector.dead(twin, now, crashed=True)  # which may have taken in who waited
            return peer.service is not None or self._waits_for_twin(peer, details, now)
        waiting = self._twins.setdefault(twin.key, [])
        if peer not in waiting:
            waiting.append(peer)
        self.forget_later(peer, now)
        self._discovery.probe(twin, now, want=False)
        return True

    def alive(self, peer: Peer, now: float) -> None:
        """A peer answered, or is gone: those who share its name need not wait for that."""
        for other in self._twins.pop(peer.key, ()):
            current = self._peers.get(other.key) is other  # it was not forgotten meanwhile
            if not current or other.service is not None or other.details is None:
                continue
            if peer.service is None and self._waits_for_twin(other, other.details, now):
                continue  # one that had waited as well is a member by now
            self._admit(other, self._snapshots.service(other, lan=self._on_lan(other)), now)

    def _admit(self, peer: Peer, service: Service, now: float) -> None:
        if not self._peers.admit(peer):
            self._counters.count("members beyond the limit")
            return
        self._schedule.cancel(("forget", peer.key))
        peer.service = service
        peer.refused = None
        peer.heard_at = now
        self._detector.watch_from(peer, now)
        if peer.observer:
            return
        self.changes += 1
        self._effects.append(ServiceDiscovered(service))
        self._report_conflict(peer, service)
        self._watch(now)
        self._views.entered(peer, now)

    def _report_conflict(self, peer: Peer, service: Service) -> None:
        """Two that live and have one name on one host are told of: one may be there by mistake. Who
        is known by word may be the other's former run.
        """
        if not peer.proven:
            return
        twin = self._peers.twin(peer, service.name, service.host)
        me = self._identity
        ours = (service.name, service.host) == (me.name, me.host) and not self._config.observer
        if twin is None and not ours:
            return
        self._effects.append(ServiceConflict(service))
        if self._counters.count("members of a name that is taken"):
            other = "this one" if ours or twin is None else twin.id.hex()[:8]
            text = f"two members of one host are named {service.name}: {service.id[:8]} and {other}"
            self._effects.append(Report(f"{text} (further ones are only counted)"))

    def _watch(self, now: float) -> None:
        if not self._config.observer:
            self._monitors.changed(now)

    def gone(self, peer: Peer, reason: str, now: float) -> None:
        """A peer said goodbye to all, or does not answer."""
        if reason == LEFT and any(each.link is not None for each in peer.sessions.values()):
            self._schedule.set(("left", peer.key), now + GOODBYE_SECONDS)
        else:
            self.lose(peer, reason, now)

    def has_left(self, key: bytes, now: float) -> None:
        """Nothing came over the links of who said goodbye to all."""
        peer = self._peers.get(key)
        if peer is not None:
            self.lose(peer, LEFT, now)

    def lose(self, peer: Peer, reason: str, now: float, told: Session | None = None) -> None:
        """A peer left, died or expired. Where it said goodbye it ``told`` what it took before."""
        if ("left", peer.key) in self._schedule:  # it said so, and then its links broke
            self._schedule.cancel(("left", peer.key))
            reason = LEFT
        service = peer.service.lost(reason) if peer.service is not None else None
        self._prober.stop(peer)
        self._detector.forget(peer)
        self._schedule.cancel(("forget", peer.key))
        self._peers.forget(peer)
        lost: list[AnyMessage] = []
        unsent: set[int] = set()
        for session in peer.sessions.values():
            self._links.drop(session)
            unsent |= session.unsent_questions
            given_up = session.discard()
            if session is told:
                unsent |= asked_in(given_up)
            lost += given_up
        peer.service, peer.gone = None, service
        if service is not None and not peer.observer:
            self._views.left(peer, now)
            self.changes += 1
            self._effects.append(ServiceGone(service, reason))
            self._watch(now)
            self._queries.member_gone(service, reason, unsent)
            self._requests.member_gone(service, reason, unsent)
            self._seeds.lost(now)
        self.given_up(service, reason, lost)
        self.alive(peer, now)

    def given_up(self, service: Service | None, reason: str, messages: list[AnyMessage]) -> None:
        """Messages to a member are not tried any more: counted and told, never lost silently."""
        if messages:
            self._counters.count("messages to a lost member", len(messages))
            if service is not None:
                self._effects.append(MessagesLost(service, reason, messages))

    def evict(self, peer: Peer) -> None:
        """Forgets a candidate for want of room."""
        self._counters.count("candidates that gave way")
        self._schedule.cancel(("forget", peer.key))
        self.forget(peer.key, 0.0)

    def forget(self, key: bytes, now: float) -> None:
        """Forgets a candidate."""
        peer = self._peers.get(key)
        if peer is not None and peer.service is None:
            self._prober.stop(peer)
            for session in peer.sessions.values():
                self._links.drop(session)
            self._peers.forget(peer)


def _other_member(known: Details, details: Details) -> bool:
    """Whether details say what never changes in one run of a member."""
    return (known.name, known.host, known.observer) != (
        details.name, details.host, details.observer,
    )  # fmt: skip
