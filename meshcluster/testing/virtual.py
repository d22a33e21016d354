"""One member of a simulation: a real node, driven by the simulation instead of an event loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Any

from ..config import ClusterConfig
from ..hooks import PASS, HookRegistry
from ..model import Address, Endpoint, Identity, Service
from ..node import effects as fx
from ..node.links import REFUSED, NodeLink
from ..node.node import Node
from ..node.promises import Promise
from ..node.queries import Gathering
from ..wire import body as bodies
from ..wire.frames import ANSWERED, NO_RESPONDER, RAISED, AckedEvent, Answer, Event, Question
from ..wire.message import QUESTION, Message

if TYPE_CHECKING:
    from .simulation import Simulation

PORT = 1
SCHEME = "memory"
LINK_FRAMES = 64
"""Frames on the way over one link before it pauses its sender."""

HELD_DATAGRAMS = 256
"""What the kernel keeps for a process that does not read; further ones are lost."""

LogEntry = tuple[float, str, str]
"""When, what happened, and to whom."""


class VirtualLink:
    """One end of a link; frames take time, and stay in order."""

    def __init__(self, owner: VirtualMember, node_link: NodeLink) -> None:
        self.owner = owner
        self.node_link = node_link
        self.peer: VirtualLink | None = None
        self.on_the_way: deque[bytes] = deque()
        self.open = True


class VirtualMember:
    """A member with a log of what its hooks would have seen.

    ``log`` holds (time, what, name) of members discovered, changed and lost; ``received`` the
    (sender's name, data) of events; ``respond`` answers questions (None: no query hook), and
    ``handle`` has the events that are to be acknowledged: it calls ``acknowledge``, now or later.
    """

    def __init__(
        self, simulation: Simulation, name: str, address: str, boot: int, random: Random,
        config: ClusterConfig, clock: float = 1.0,
    ) -> None:  # fmt: skip
        self.name = name
        self.address = address
        self.source = (address, PORT)
        """Where its datagrams come from."""
        self.inbox: list[tuple[bytes, Address]] = []
        self.alive = True
        self.paused = False
        self.clock = clock
        """Seconds that its clock counts in one second."""
        self._held: list[Callable[[], None]] = []
        """What is done when it goes on."""
        self._datagrams_held = 0
        self.hooks = HookRegistry(allow_async=False)
        self.log: list[LogEntry] = []
        self.histories: dict[bytes, list[str]] = {}
        """The same by the key of each run of a member, without the times."""
        self.received: list[tuple[str, Any]] = []
        self.respond: Callable[[Message], object] | None = None
        self.handle: Callable[[fx.AckedArrived], None] = self._handle
        self._simulation = simulation
        self._links: dict[NodeLink, VirtualLink] = {}
        self._queries = 0
        self.armed: float | None = None
        self.reasons: dict[str, str] = {}
        """Why each member was lost last."""
        self.broken: set[str] = set()
        """Its protocols that refuse every link now; see ``Simulation.block``."""
        self.lost: list[tuple[str, Any]] = []
        """What a ``send.lost`` hook would have been told: the receiver's name, the data."""
        schemes = simulation.schemes
        identity = Identity(random.randbytes(16), boot, config.name, "simulated")
        self.node = Node(
            identity, config, self.hooks, random,
            endpoints=[Endpoint(scheme, simulation.said) for scheme in schemes], port=PORT,
            spoken=dict.fromkeys(schemes, False), snapshots=simulation.snapshots,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"<VirtualMember {self.name}{'' if self.alive else ' (dead)'}>"

    @property
    def now(self) -> float:
        """What its clock says."""
        return self._simulation.now * self.clock

    # --- what a test asks and does -----------------------------------------------------------

    @property
    def known(self) -> list[str]:
        """Names of the members it knows, sorted."""
        return sorted(peer.service.name for peer in self.node.peers if peer.service)

    @property
    def links(self) -> list[VirtualLink]:
        """Its open links, in the order in which they opened."""
        return list(self._links.values())

    def peer_named(self, name: str) -> Any:
        """The member of that name as this one sees it."""
        return next(p for p in self.node.peers if p.service and p.service.name == name)

    def send(self, data: object, *names: str) -> None:
        """Tells something to the members of these names; to all when none is given."""
        event = Event(0, *bodies.encode(data))
        for name in names or self.known:
            session = self.peer_named(name).session("", self.node.config.limits)
            session.put(event)
            self.node.wake(session, self.now)
        self.step()

    def promise(self, data: object, *names: str, timeout: float = 30.0) -> Promise:
        """Tells something to the members of these names, each of which is to acknowledge it."""
        peers = [self.peer_named(name) for name in names]
        sessions = [(p.service, p.session("", self.node.config.limits)) for p in peers]
        promise = Promise(sessions, timeout, self._next_id, lambda: None)
        promise.open(self.node.requests)
        self.node.requests.start(self.now)
        for waiter in promise.waiters:
            waiter.session.put(AckedEvent(waiter.id, 0, *bodies.encode(data)))
            self.node.wake(waiter.session, self.now)
        self.step()
        return promise

    def acknowledge(self, arrived: fx.AckedArrived, error: Exception | None = None) -> None:
        """Says that it handled an event, or raised."""
        if not self.alive:
            return
        told = None if error is None else [type(error).__name__, str(error)]
        form, body = bodies.encode(told)
        outcome = ANSWERED if error is None else RAISED
        arrived.session.put(Answer(arrived.question.id, outcome, 0, form, body))
        self.node.wake(arrived.session, self.now)
        self.step()

    def _handle(self, arrived: fx.AckedArrived) -> None:
        event = arrived.question
        self.received.append((arrived.service.name, bodies.decode(event.form, event.body)))
        self.acknowledge(arrived)

    def _next_id(self) -> int:
        self._queries += 1
        return self._queries

    def broadcast(self, data: object) -> None:
        """Tells everybody something by protocol ``udp``."""
        everybody = self.node.parcels.everybody
        everybody.put(Event(0, *bodies.encode(data)))
        self.node.wake(everybody, self.now)
        self.step()

    def ask(self, data: object, *names: str, timeout: float = 30.0) -> Gathering:
        """Asks the members of these names; all when none is given."""
        gathering = Gathering(self._next_id(), timeout)
        question = Question(gathering.id, 0, *bodies.encode(data))
        asked = []
        for name in names or self.known:
            peer = self.peer_named(name)
            session = peer.session("", self.node.config.limits)
            asked.append((session, peer.service, question))
        self.node.ask(gathering, self.now, asked or None, list)
        self.step()
        return gathering

    def retag(self, *tags: str) -> None:
        """Sets its tags."""
        self.node.describe(self.now, tags=tags)
        self.step()

    def leave(self) -> None:
        """Says goodbye and is gone."""
        self.node.leave(self.now)
        self.step()
        self.alive = False

    # --- the driver's part -------------------------------------------------------------------

    def step(self) -> None:
        """Performs effects, writes links, sets the timer."""
        if not self.alive or self.paused:
            return
        node = self.node
        while True:
            effects, ready = node.take_effects(), node.ready_links()
            if not effects and not ready:
                break
            for effect in effects:
                self._perform(effect)
            for link in ready:
                self._write(link)
        deadline = node.deadline()
        if deadline is not None and (self.armed is None or deadline < self.armed):
            self.armed = deadline
            self._simulation.at(deadline / self.clock, self._due, deadline)

    def _due(self, deadline: float) -> None:
        if self.alive and not self.paused and self.armed == deadline:
            self.armed = None
            self.node.advance(max(self.now, deadline))  # fractions of clocks are not exact
            self.step()

    def when_awake(self, action: Callable[[], None], *, datagram: bool = False) -> None:
        """Does something to it that a paused member takes no notice of until it goes on."""
        if not self.paused:
            action()
        elif not datagram:
            self._held.append(action)
        elif self._datagrams_held < HELD_DATAGRAMS:
            self._datagrams_held += 1
            self._held.append(action)

    def wake(self) -> None:
        """Goes on after a pause: takes what came meanwhile, then does what it should have done."""
        self.paused = False
        held, self._held, self._datagrams_held = self._held, [], 0
        for action in held:
            action()
        for link in self.links:
            self._write(link.node_link)
        if self.armed is not None and self.armed <= self.now:
            self._due(self.armed)
        self.step()

    def _perform(self, effect: fx.Effect) -> None:
        match effect:  # the commonest first
            case fx.ServiceDiscovered(service):
                self._note("discovered", service)
            case fx.SendDatagram(data, address):
                self._simulation.send(self, data, address[0])
            case fx.Announce(data):
                self._simulation.announce(self, data)
            case fx.LookUp(seeds):
                self._simulation.look_up(self, seeds)
            case fx.DialEndpoint(number, address, endpoint):
                self._simulation.dial(self, number, address, endpoint.scheme)
            case fx.CloseLink(link, abort):
                self._close(link, abort=abort)
            case fx.ServiceChanged(service):
                self._note("changed", service, f" {','.join(service.tags)}")
            case fx.ServiceConflict(service):
                self._note("conflict", service)
            case fx.ServiceSuspected(service, suspected):
                self._note("suspect" if suspected else "recovered", service)
            case fx.ServiceGone(service, reason):
                self._note("lost", service)
                self.reasons[service.name] = reason
            case fx.EventsArrived(session, service, _, events, size):
                self.received += [(service.name, bodies.decode(e.form, e.body)) for e in events]
                self.node.took(session, size)
            case fx.AckedArrived():
                self.handle(effect)
            case fx.RequestDone(waiter, value, error):
                waiter.finish(value, error)
            case fx.QuestionArrived():
                self._answer(effect)
            case fx.MessagesLost(service, _, messages):
                events = [each for each in messages if isinstance(each, Event)]
                self.lost += [(service.name, bodies.decode(e.form, e.body)) for e in events]
            case fx.CheckEndpoint(endpoint):
                self._log("checked", endpoint.scheme)
                if endpoint.scheme in self.broken:
                    self.broken.remove(endpoint.scheme)
                    self.node.renewed(endpoint, endpoint, self.now)
            case _:
                pass

    def _note(self, what: str, service: Service, more: str = "") -> None:
        self._log(what, service.name + more)
        self.histories.setdefault(service.key, []).append(what)

    @property
    def disorder(self) -> list[list[str]]:
        """Histories that no member should have: of each run first ``discovered``, then changes and
        suspicions, each withdrawn or not, then ``lost``; and so again.
        """
        return [history for history in self.histories.values() if not _in_order(history)]

    def _log(self, what: str, name: str) -> None:
        entry = (self._simulation.now, what, name)
        self.log.append(entry)
        self._simulation.trace(self, entry)

    def _answer(self, arrived: fx.QuestionArrived) -> None:
        asked = arrived.question
        value: object = PASS
        if self.respond is not None:
            value = self.respond(
                Message(arrived.service, asked.channel, asked.form, asked.body, SCHEME, QUESTION)
            )
        outcome = NO_RESPONDER if value is PASS else ANSWERED
        form, body = bodies.encode(None if value is PASS else value)
        arrived.session.put(Answer(asked.id, outcome, asked.channel, form, body))
        self.node.wake(arrived.session, self.now)

    def seeds_found(self, addresses: list[Address]) -> None:
        """The seeds were looked up."""
        if self.paused:
            self.when_awake(partial(self.seeds_found, addresses))
        elif self.alive:
            self.node.seeds_found(addresses, self.now)
            self.step()

    # --- links -------------------------------------------------------------------------------

    def open_link(self, remote: str, number: int | None, scheme: str) -> VirtualLink | None:
        """A link opens at this end."""
        node_link = self.node.link_opened(scheme, remote, self.now, local=False, number=number)
        if node_link is None:
            return None
        link = self._links[node_link] = VirtualLink(self, node_link)
        return link

    def dial_failed(self, number: int) -> None:
        """Nobody listens there."""
        if self.paused:
            self.when_awake(partial(self.dial_failed, number))
        elif self.alive:
            self.node.dial_failed(number, REFUSED, self.now)
            self.step()

    def has(self, link: VirtualLink) -> bool:
        """Whether a link is open at this end."""
        return link.node_link in self._links

    def arrived(self, link: VirtualLink, frame: bytes) -> None:
        """A frame came over a link."""
        if self.alive and link.node_link in self._links:
            self.node.frames_received(link.node_link, [frame], self.now)
            self.step()

    def link_ended(self, link: VirtualLink, reason: str) -> None:
        """A link was ended by the other side or the network."""
        if self.paused:
            self.when_awake(partial(self.link_ended, link, reason))
        elif self._links.pop(link.node_link, None) is not None and self.alive:
            self.node.link_lost(link.node_link, reason, self.now)
            self.step()

    def write_more(self, link: VirtualLink) -> None:
        """Frames have arrived: there is room for more."""
        if self.alive and not self.paused and link.node_link in self._links:
            self._write(link.node_link)
            self.step()

    def _write(self, node_link: NodeLink) -> None:
        link = self._links.get(node_link)
        while link is not None and len(link.on_the_way) < LINK_FRAMES:
            frames = self.node.take_frames(node_link)
            if not frames:
                return
            self._simulation.write(link, [bytes(frame) for frame in frames])

    def _close(self, node_link: NodeLink, *, abort: bool) -> None:
        link = self._links.pop(node_link, None)
        if link is None:
            return
        if not abort:
            last = self.node.take_frames(node_link)
            self._simulation.write(link, [bytes(frame) for frame in last])
        self._simulation.close(link, abort=abort)


AFTER = {
    "": {"discovered"},
    "discovered": {"changed", "suspect", "lost"},
    "changed": {"changed", "suspect", "recovered", "lost"},
    "suspect": {"changed", "recovered", "lost"},
    "recovered": {"changed", "suspect", "lost"},
    "lost": {"discovered"},
}


def _in_order(history: list[str]) -> bool:
    return all(then in AFTER[first] for first, then in pairwise(["", *history]))
