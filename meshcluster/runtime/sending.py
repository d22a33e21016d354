"""Everything a send does before it is queued, in the caller's own thread.

It resolves on a snapshot, runs the ``send`` hooks, encodes once for all receivers and checks the
limits, and whatever is wrong is raised there. Then only an append to a deque crosses threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .. import resolver as resolving
from ..channels import HOST_CHANNEL, LAN_CHANNEL, NEAR
from ..config import ClusterConfig, check_channel, check_words
from ..errors import (
    ConfigError,
    HookRejected,
    MessageTooLarge,
    NoRoute,
    NoServices,
    NotJoined,
)
from ..hooks import HookRegistry
from ..hooks.chain import intercept
from ..model import GONE, UDP, Service, Standing
from ..node.effects import Effect, ServiceChanged, ServiceDiscovered, ServiceGone
from ..node.membership import Peer
from ..node.node import Node
from ..node.parts import WHOLE_BYTES
from ..node.queries import Asked
from ..node.session import LARGE_BODY_BYTES, Session
from ..resolver import Resolver, Words
from ..wire import body as bodies
from ..wire.frames import Question
from ..wire.message import EVENT, QUESTION, Message
from .directory import Directory

Receivers = tuple[tuple[Service, Session], ...]
Part = tuple[int, int, bytes, Receivers]
"""Channel, form, body and those who get it. One call makes several parts only where hooks treat
protocols apart."""


NOBODY: tuple[object, Session | None] = object(), None
"""No services are these."""

Audience = tuple[object, Receivers, dict[bytes, Service]]
"""Services as they were named; each with its session, and by key."""

NO_AUDIENCE: Audience = object(), (), {}

NAMED = 5
"""So many members are named in an error; there may be thousands."""

FAR = {HOST_CHANNEL: " on this host (channel 1)", LAN_CHANNEL: " on this LAN (channel 2)"}


BEING_LEFT = "the cluster is being left: nothing new can be sent or asked"


class Sender:
    """Prepares what goes out. Reads the node's tables only where that is safe from any thread."""

    def __init__(self, node: Node, config: ClusterConfig, hooks: HookRegistry) -> None:
        self._node = node
        self._config = config
        self._limits = config.limits
        self._hooks = hooks
        self.directory = Directory()
        self.common: dict[bytes, Session] = {}
        """The sessions that carry what names no protocol, of the members told something so far."""
        self.latest = NOBODY
        """The services of the last short send, and the session to the one that they are: most
        sends have the receiver of the one before."""
        self.audience = NO_AUDIENCE
        """The same of the last question: whom it asked, and the session to each."""
        self._stopped = False
        self.changed: Callable[[], None] = lambda: None
        """Called in the loop after each change of the members; whoever waits for some sets it."""

    def refresh(self, effects: Iterable[Effect]) -> None:
        """Takes over what changed among the members; in the loop only."""
        for effect in effects:
            if isinstance(effect, ServiceDiscovered | ServiceChanged):
                self.directory.put(effect.service)
            elif isinstance(effect, ServiceGone):
                self.directory.remove(effect.service)
                self.common.pop(effect.service.key, None)
                self.latest, self.audience = NOBODY, NO_AUDIENCE
        self.changed()

    def stop(self) -> None:
        """We leave: no send is short any more, so that each hears it."""
        self._stopped = True
        self.common = {}
        self.latest, self.audience = NOBODY, NO_AUDIENCE

    @property
    def services(self) -> tuple[Service, ...]:
        """The members known, in the order of their discovery, without ourselves."""
        return self.directory.services

    @property
    def there(self) -> str:
        """Who is there, in words: for the text of an error."""
        names = [service.name for service in self.services]
        if not names:
            ttl = self._config.ttl
            reach = f"within ttl={ttl}" if ttl else "on this host (ttl=0; the LAN: ttl=1)"
            return f"nobody else is in cluster {self._config.cluster!r} {reach}"
        known = "1 member is known" if len(names) == 1 else f"{len(names)} members are known"
        return f"{known}: {', '.join(names[:NAMED])}{', ...' if len(names) > NAMED else ''}"

    @property
    def undelivered(self) -> tuple[Service, ...]:
        """The members that have not acknowledged all that was sent to them; in the loop only."""
        return tuple(
            peer.service
            for peer in self._node.peers
            if peer.service is not None and not all(s.idle for s in peer.sessions.values())
        )

    # --- whom --------------------------------------------------------------------------------

    def resolve(self, words: Words | None) -> tuple[Service, ...]:
        """The members that have every word."""
        return self.directory.resolve(words)

    def filter_by(self, tests: Resolver) -> tuple[Service, ...]:
        """The members that pass every test."""
        return resolving.filter_by(self.services, tests)

    def standing(self, service: Service, now: float) -> Standing:
        """How a member stands now."""
        peer = self._node.peers.member(service.key)
        if peer is None:
            return GONE
        session = peer.sessions.get("")
        protocol = self._first(peer) if session is None else self.scheme(session)
        return Standing(peer.state, max(0.0, now - peer.heard_at), protocol)

    def select(
        self, resolve: Words | None, resolver: Resolver | None, services: Iterable[Service] | None
    ) -> tuple[Service, ...]:
        """Everybody meant by any of the three, once.

        Raises:
            NoServices: nobody.
        """
        if resolve is None and resolver is None:
            chosen = tuple(dict.fromkeys(services)) if services is not None else ()
        else:
            union = dict.fromkeys(services or ())
            if resolve is not None:
                union.update(dict.fromkeys(self.resolve(resolve)))
            if resolver is not None:
                union.update(dict.fromkeys(self.filter_by(resolver)))
            chosen = tuple(union)
        if not chosen:
            raise NoServices(self._nobody(resolve, resolver))
        return chosen

    def _nobody(self, resolve: Words | None, resolver: Resolver | None, channel: int = 0) -> str:
        asked = [f"resolve={resolve!r}"] if resolving.words_of(resolve) else []
        asked += [f"resolver={resolver!r}"] if resolver is not None else []
        everybody = resolve is not None and not asked
        if everybody and not self.directory:
            return self.there
        who = "nobody" if everybody else f"nobody matches {' or '.join(asked) or 'services='}"
        return f"{who}{FAR.get(channel, '')}; {self.there}"

    def sessions(
        self, services: Sequence[Service], protocols: Sequence[str] | None,
        named: Sequence[Service] = (),
    ) -> Receivers:  # fmt: skip
        """The session to each service. Who has just gone is left out, unless it was ``named``.

        Raises:
            NoServices: a named one is gone.
            NoRoute: one of them offers none of ``protocols``.
        """
        member = self._node.peers.member
        found = []
        for service in services:
            peer = member(service.key)
            if peer is None:
                if service in named:
                    raise NoServices(f"{service.name} is not a member any more")
                continue
            session = peer.sessions.get("")
            if session is None or protocols is not None:
                session = self._lane(peer, service, protocols)
            if session.lane == "" and session.peer.key not in self.common:
                self._keep(session)
            found.append((service, session))
        return tuple(found)

    def _keep(self, session: Session) -> None:
        """The next send to this member is a short one."""
        key = session.peer.key
        if not self._stopped:
            self.common[key] = session
            if self._stopped or self._node.peers.member(key) is not session.peer:
                self.common.pop(key, None)  # gone in this very moment: nobody else takes it out

    def only(self, services: object) -> Session | None:
        """The session to the only one of ``services``, if it was told something before; None:
        look closer.
        """
        if type(services) is not tuple or len(services) != 1 or type(services[0]) is not Service:
            return None
        key = services[0].key
        session = self.common.get(key)
        if session is not None:
            self.latest = services, session
            if self.common.get(key) is not session:
                self.latest = NOBODY  # gone in this very moment: see _keep
        return session

    def audience_of(self, services: object) -> Audience:
        """The session to each of ``services``, if all were told something before and none is named
        twice; nobody: look closer.
        """
        if type(services) is not tuple or {*map(type, services)} - {Service}:
            return NO_AUDIENCE
        by_key = {service.key: service for service in services}
        sessions = [self.common.get(key) for key in by_key]
        if None in sessions or len(by_key) < len(services):
            return NO_AUDIENCE
        receivers: Any = tuple(zip(services, sessions, strict=True))
        self.audience = audience = services, receivers, by_key
        if sessions != [self.common.get(key) for key in by_key]:
            self.audience = NO_AUDIENCE  # gone in this very moment: see _keep
        return audience

    def _lane(self, peer: Peer, service: Service, protocols: Sequence[str] | None) -> Session:
        """The session restricted to ``protocols``: the common one where its link is one of them."""
        lane = ""
        if protocols is not None:
            check_words("protocols", protocols)
            if not self._node.route(peer, protocols):
                offers = ", ".join(e.scheme for e in self._node.route(peer, ())) or "nothing"
                raise NoRoute(
                    f"{service.name} cannot be reached by {list(protocols)}: {offers} can"
                )
            if (
                set(protocols) == {UDP}
                or self.scheme(peer.session("", self._limits)) not in protocols
            ):
                lane = ",".join(sorted(set(protocols)))
        session = peer.session(lane, self._limits)
        if session is None:
            raise NoRoute(f"{service.name} has {self._limits.lanes} sessions with us already")
        return session

    def scheme(self, session: Session | None) -> str:
        """The protocol of a session's link, or the one that would be dialled first."""
        if session is None:
            return ""
        link = session.link
        if link is not None:
            return link.scheme
        return self._first(session.peer, *session.schemes)

    def _first(self, peer: Peer, *only: str) -> str:
        route = self._node.route(peer, only)
        return route[0].scheme if route else ""

    def event(
        self, data: object, resolve: Words | None, resolver: Resolver | None,
        services: Iterable[Service] | None, channel: int, protocols: Sequence[str] | None,
    ) -> Sequence[Part]:  # fmt: skip
        """What a ``send`` puts into which sessions.

        Raises:
            NoServices, NoRoute, EncodeError, HookError, ConfigError: see each step.
        """
        if resolve is None and resolver is None and services is None:
            raise NoServices("send() needs resolve=, resolver= or services=; broadcast() tells all")
        receivers = self._receivers(resolve, resolver, services, channel, protocols)
        form, body = self.encode(data, channel)
        return self._fitting(self.prepare(EVENT, form, body, channel, receivers))

    def _fitting(self, parts: Sequence[Part]) -> Sequence[Part]:
        """Refuses what is to go by datagrams and does not fit one."""
        for _, _, body, receivers in parts:
            if len(body) > self._node.parcels.room and any(s.lane == UDP for _, s in receivers):
                raise MessageTooLarge(
                    f"a message of {len(body)} bytes; udp takes {self._node.parcels.room}"
                )
        return parts

    def _receivers(
        self, resolve: Words | None, resolver: Resolver | None, services: Iterable[Service] | None,
        channel: int, protocols: Sequence[str] | None,
    ) -> Receivers:  # fmt: skip
        named = None if services is None else _services(services)
        chosen = self.select(resolve, resolver, named)
        if channel in NEAR:
            chosen = tuple(service for service in chosen if NEAR[channel](service))
        receivers = self.sessions(chosen, protocols, named or ())
        if not receivers:
            raise NoServices(self._nobody(resolve, resolver, channel))
        return receivers

    def event_to_all(
        self, data: object, channel: int, protocols: Sequence[str] | None = None
    ) -> Sequence[Part]:
        """What a ``broadcast`` puts into which sessions; nobody there is no error, and who offers
        none of ``protocols`` is left out.
        """
        form, body = self.encode(data, channel)
        near = NEAR.get(channel)
        members = self.services
        services = near_ones = members if near is None else tuple(filter(near, members))
        if protocols is not None:
            check_words("protocols", protocols)
            services = tuple(each for each in services if self._offers(each, protocols))
        receivers = self.sessions(services, protocols)
        if not receivers:
            return ()
        parts = self._fitting(self.prepare(EVENT, form, body, channel, receivers))
        if protocols is None or set(protocols) != {UDP} or len(near_ones) < len(members):
            return parts
        if near is not None and self._config.ttl >= channel:
            return parts  # the group goes farther: to 1 the LAN, to 2 what is routed
        return self._to_everybody(parts, receivers)

    def _to_everybody(self, parts: Sequence[Part], receivers: Receivers) -> Sequence[Part]:
        """What goes by udp to everybody alike is put where the group gets it, if it reaches nobody
        else: not whom a send hook took out, nor whom a hook refused as a member.
        """
        channel, form, body, told = parts[0]
        if told != receivers or self._hooks.hooks("service.validate"):
            return parts
        everybody = self._node.parcels.everybody
        return ((channel, form, body, tuple([(service, everybody) for service, _ in told])),)

    def _offers(self, service: Service, protocols: Sequence[str]) -> bool:
        peer = self._node.peers.member(service.key)
        return peer is not None and bool(self._node.route(peer, protocols))

    def questions(
        self, query_id: int, form: int, body: bytes, resolve: Words | None,
        resolver: Resolver | None, services: Iterable[Service] | None, channel: int,
        protocols: Sequence[str] | None,
    ) -> Asked:  # fmt: skip
        """What a ``query`` asks whom; everybody when nobody is named.

        Raises:
            NotJoined: the cluster is being left.
            NoServices, NoRoute, HookError: see each step.
        """
        if self._stopped:
            raise NotJoined(BEING_LEFT)
        if resolve is None and resolver is None and services is None:
            resolve = ()
        receivers = self._receivers(resolve, resolver, services, channel, protocols)
        return [
            (session, service, Question(query_id, channel, form, body))
            for channel, form, body, group in self._fitting(
                self.prepare(QUESTION, form, body, channel, receivers)
            )
            for service, session in group
        ]

    def letter(self, kind: str, service: Service, mailbox: str, data: object) -> Sequence[Part]:
        """What a mailbox puts into the session to one member.

        Raises:
            NoServices, EncodeError, HookError: see each step.
        """
        receivers = self.sessions(_services((service,)), None, (service,))
        form, body = self.encode(data, 0)
        return self.prepare(kind, form, body, 0, receivers, mailbox)

    # --- what --------------------------------------------------------------------------------

    def encode(self, data: object, channel: int) -> tuple[int, bytes]:
        """A value as form and body.

        Raises:
            EncodeError, MessageTooLarge, ConfigError (the channel).
        """
        if channel:
            check_channel(channel)
        form, body = (bodies.BYTES, data) if type(data) is bytes else bodies.encode(data)
        if form != bodies.BYTES and LARGE_BODY_BYTES < len(body) <= WHOLE_BYTES:
            # The encoder's buffer was longer, and was cut where it lay: what waits would leave a
            # hole behind each body, half as large as these are together.
            body = bytes(memoryview(body))
        if len(body) > self._limits.message_bytes:
            raise MessageTooLarge(
                f"a message of {len(body)} bytes; the limit is {self._limits.message_bytes}"
            )
        return form, body

    def prepare(
        self, kind: str, form: int, body: bytes, channel: int, receivers: Receivers,
        mailbox: str = "",
    ) -> Sequence[Part]:  # fmt: skip
        """Runs the ``send`` hooks; gives what goes to whom.

        Raises:
            HookRejected, HookFailed: see ``hooks.chain``.
        """
        hooks = self._hooks.hooks("send")
        if not hooks:
            return ((channel, form, body, receivers),)
        services = tuple(service for service, _ in receivers)
        message = Message(None, channel, form, body, "", kind, services, mailbox)
        if any(hook.protocol is not None for hook in hooks):
            return [self._intercepted(*part) for part in self._by_protocol(message, receivers)]
        return (self._intercepted(message, receivers),)

    def _by_protocol(
        self, message: Message, receivers: Receivers
    ) -> Iterable[tuple[Message, Receivers]]:
        """Splits a message where a hook wants one protocol only, so that it sees just that part."""
        groups: dict[str, list[tuple[Service, Session]]] = {}
        for service, session in receivers:
            groups.setdefault(self.scheme(session), []).append((service, session))
        for scheme, group in groups.items():
            part = Message(
                None, message.channel, message.form, message.body, scheme, message.kind,
                tuple(service for service, _ in group), message.mailbox,
            )  # fmt: skip
            yield part, tuple(group)

    def _intercepted(self, message: Message, receivers: Receivers) -> Part:
        chain = self._hooks.chain("send", message.channel, message.protocol)
        changed = intercept(chain, message, self._hooks.timing)
        if len(changed.body) > self._limits.message_bytes:
            raise MessageTooLarge(f"a send hook made a message of {len(changed.body)} bytes")
        if changed.receivers != message.receivers:
            kept = {service.key for service in changed.receivers}
            receivers = tuple(pair for pair in receivers if pair[0].key in kept)
            if not receivers:
                raise HookRejected("a send hook left no receivers")
        return changed.channel, changed.form, changed.body, receivers


def check_ack(protocols: Sequence[str] | None) -> None:
    """Refuses to have acknowledged what goes by datagrams alone."""
    if protocols is not None and not set(protocols) - {UDP}:
        raise ConfigError(
            f"protocols={list(protocols)}: ack=True needs one with links; udp promises nothing"
        )


def _services(services: Iterable[Service]) -> tuple[Service, ...]:
    """Refuses what are no services; words are for ``resolve=``."""
    chosen = tuple(services) if isinstance(services, Iterable) else (services,)
    if isinstance(services, str | Service) or not all(isinstance(s, Service) for s in chosen):
        raise ConfigError(
            f"services={services!r:.80}: a sequence of services; resolve= takes words"
        )
    return chosen
