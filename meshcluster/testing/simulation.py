"""Many real nodes, one heap of events, one seed: a mesh that can be broken at will, repeatably.

::

    sim = Simulation(seed=7, members=100, loss=0.01)
    sim.run_until(sim.converged, limit=30)
    sim.kill(sim.members[3])
    sim.run(seconds=5)

The same seed gives the same run, bit for bit; what fails names its seed. After chaos, ``repair``
and ``run_until(converged)``: not only must nothing bad happen, something good must.
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

from ..config import ClusterConfig
from ..model import Address
from .network import Network
from .sharing import SharedSnapshots
from .virtual import HELD_DATAGRAMS, SCHEME, LogEntry, VirtualLink, VirtualMember

LOOK_SECONDS = 0.01
"""How often ``run_until`` looks."""

MANY = 256
"""In a mesh of more members each takes in together what came within the latency of one datagram,
as a busy process does: thousands of members hear thousands of beacons.
"""

Entry = tuple[float, int, Callable[[], None]]


class SimulationFailed(AssertionError):
    """A condition did not come true in time. The text names the seed."""


class Simulation:
    """A mesh in virtual time. ``config`` is what each member's ``join`` would be given."""

    def __init__(
        self, seed: int, members: int = 0, *, loss: float = 0.0, duplication: float = 0.0,
        latency: tuple[float, float] = (0.0005, 0.002), multicast: bool = True,
        schemes: Sequence[str] = (SCHEME,), said: Mapping[str, str | int] | None = None,
        **config: Any,
    ) -> None:  # fmt: skip
        self.seed = seed
        self.now = 0.0
        self.random = Random(f"{seed}")
        self.network = Network(
            self.random, loss=loss, duplication=duplication, latency=latency, multicast=multicast
        )
        self.members: list[VirtualMember] = []
        self.schemes = tuple(schemes)
        """The protocols of every member, best first."""
        self.said = dict(said or {})
        """What every endpoint says, for beacons as large as real ones."""
        self._blocked: set[str] = set()
        self._config: dict[str, Any] = {"ttl": 1, **config}
        self._at: dict[str, VirtualMember] = {}
        self._heap: list[Entry] = []
        self._serial = 0
        self._boots = 0
        self.sent_bytes = 0
        """Of all datagrams and frames, each counted once, to however many it goes."""
        self.announced = 0
        """Datagrams to the group."""
        self._happened: list[tuple[str, LogEntry]] = []
        self._digest = hashlib.blake2b(digest_size=16)
        self.snapshots = SharedSnapshots()
        for _ in range(members):
            self.add()

    # --- verbs -------------------------------------------------------------------------------

    def add(
        self, name: str | None = None, *, clock: float = 1.0, **config: Any
    ) -> VirtualMember:  # fmt: skip
        """A member joins now. Its clock counts ``clock`` seconds in one of ours."""
        number = len(self._at) + 1
        address = f"10.0.{number // 250}.{number % 250 + 1}"
        return self._boot(name or f"m{number}", address, config, clock)

    def restart(self, member: VirtualMember, **config: Any) -> VirtualMember:
        """The member's place is taken by a new run of it, under the same name and address."""
        self.kill(member)
        return self._boot(member.name, member.address, config, member.clock)

    def pause(self, member: VirtualMember, seconds: float) -> None:
        """Stops a member for a while, as ``SIGSTOP`` does: its host still takes in for it."""
        member.paused = True
        self.after(seconds, self._wake, member)

    def _wake(self, member: VirtualMember) -> None:
        if not member.alive or not member.paused:
            return
        member.paused = False
        for link in member.links:
            if link.peer is not None:
                for _ in tuple(link.peer.on_the_way):
                    self._deliver(link.peer)
        member.wake()

    def kill(self, member: VirtualMember) -> None:
        """Ends a member without a word, as ``kill -9`` does: its links end, its port refuses."""
        member.alive = False
        for link in member.links:
            self.close(link, abort=True)
        if member in self.members:
            self.members.remove(member)

    def leave(self, member: VirtualMember) -> None:
        """A member says goodbye and ends."""
        member.leave()
        self.members.remove(member)

    def partition(self, *sides: Sequence[VirtualMember]) -> None:
        """Cuts groups of members apart. Links stay open and silent, as over a pulled cable."""
        self.network.partition(*[[member.address for member in side] for side in sides])

    def partition_one_way(
        self, senders: Sequence[VirtualMember], receivers: Sequence[VirtualMember]
    ) -> None:  # fmt: skip
        """Nothing gets through from the ones to the others; links between them stand still."""
        self.network.partition_one_way(
            [member.address for member in senders], [member.address for member in receivers]
        )

    def repair(self) -> None:
        """Ends the partition; what waited on links goes on."""
        self.network.repair()
        for member in self.members:
            for link in member.links:
                for _ in link.on_the_way:
                    self.after(self.network.delay(), self._deliver, link)

    def block(self, scheme: str, member: VirtualMember | None = None) -> None:
        """Nobody gets through by a protocol any more, and what is open breaks: its listener at one
        ``member`` is dead until that member opens it anew; without one the network swallows it.
        """
        if member is None:
            self._blocked.add(scheme)
        else:
            member.broken.add(scheme)
        for each in [member] if member is not None else self.members:
            for link in each.links:
                if link.node_link.scheme == scheme and link.open:
                    self._reset(link)

    def unblock(self, scheme: str) -> None:
        """The network lets a protocol through again."""
        self._blocked.discard(scheme)

    def abort_links(self, chance: float) -> int:
        """Ends each open link with this chance, as a reset does; returns how many."""
        chosen = [
            link
            for member in self.members
            for link in member.links
            if link.open and self.random.random() < chance
        ]
        for link in chosen:
            self._reset(link)
        return len(chosen)

    def run(self, seconds: float) -> None:
        """Lets time pass."""
        end = self.now + seconds
        while self._heap and self._heap[0][0] <= end:
            self._step()
        self.now = end

    def run_until(self, condition: Callable[[], bool], *, limit: float) -> float:
        """Lets time pass until a condition holds; returns how many seconds that took.

        Raises:
            SimulationFailed: it does not hold after ``limit`` seconds.
        """
        start = self.now
        while not condition():
            if self.now >= start + limit:
                raise SimulationFailed(
                    f"seed={self.seed}: {getattr(condition, '__name__', condition)} does not hold "
                    f"after {limit:g} s; {self._first_disagreement()}"
                )
            self.run(LOOK_SECONDS)
        return self.now - start

    def converged(self) -> bool:
        """Whether every living member knows all the others and nobody else."""
        others = len(self.members) - 1
        if any(len(member.node.peers) != others for member in self.members):
            return False  # the common case, without looking who is meant
        keys = {member.node.identity.key for member in self.members}
        return all(
            {member.node.identity.key, *(p.key for p in member.node.peers)} == keys
            for member in self.members
        )

    @property
    def digest(self) -> str:
        """A fingerprint of all that happened so far: equal runs have equal ones."""
        for name, (when, what, whose) in self._happened:
            self._digest.update(f"{when:.9f} {name} {what} {whose}\n".encode())
        self._happened.clear()
        return self._digest.hexdigest()

    def _first_disagreement(self) -> str:
        names = sorted(member.name for member in self.members)
        for member in self.members:
            if sorted([*member.known, member.name]) != names:
                missing = sorted(set(names) - {*member.known, member.name})
                extra = sorted(set(member.known) - set(names))
                return f"{member.name} misses {missing} and still knows {extra}"
        return "all views agree"

    # --- time --------------------------------------------------------------------------------

    def at(self, when: float, action: Callable[..., None], *arguments: Any) -> None:
        """Does something at a time; what is due at once happens in the order it was asked for."""
        self._serial += 1
        entry: Entry = (when, self._serial, partial(action, *arguments))
        heapq.heappush(self._heap, entry)

    def after(self, delay: float, action: Callable[..., None], *arguments: Any) -> None:
        """Does something in a while."""
        self.at(self.now + delay, action, *arguments)

    def _step(self) -> None:
        self.now, _, action = heapq.heappop(self._heap)
        action()

    def trace(self, member: VirtualMember, entry: LogEntry) -> None:
        """Adds to the fingerprint, which is made when asked for: most runs never are."""
        self._happened.append((member.name, entry))

    # --- what members do ---------------------------------------------------------------------

    def _boot(
        self, name: str, address: str, config: dict[str, Any], clock: float
    ) -> VirtualMember:  # fmt: skip
        self._boots += 1
        random = Random(f"{self.seed}/{self._boots}")
        settings = ClusterConfig(**{**self._config, **config, "name": name})
        member = VirtualMember(self, name, address, self._boots, random, settings, clock)
        self._at[address] = member
        self.members.append(member)
        member.node.start(member.now)
        member.step()
        return member

    def announce(self, sender: VirtualMember, data: bytes) -> None:
        """A beacon to everybody else."""
        self.sent_bytes += len(data)
        self.announced += 1
        network = self.network
        if not network.multicast:
            return
        self.snapshots.expect(data)
        receivers = [member for member in self.members if member is not sender]
        if not network.whole:
            here, connected = sender.address, network.connected
            receivers = [each for each in receivers if connected(here, each.address)]
        receivers = network.reached(receivers)
        if len(self.members) > MANY:
            for member in receivers:
                self._enter(sender, data, member)
            return
        for wave in network.waves(receivers):
            self.after(network.delay(), self._land_all, sender, data, wave)

    def _land_all(self, sender: VirtualMember, data: bytes, wave: list[VirtualMember]) -> None:
        for member in wave:
            self._land(sender, data, member)

    def look_up(self, member: VirtualMember, seeds: Sequence[Address]) -> None:
        """Members are looked up by their names, the living and the dead."""
        places = {each.name: each.source for each in self._at.values()}
        found = [places[name] for name, _ in seeds if name in places]
        self.after(self.network.delay(), member.seeds_found, found)

    def send(self, sender: VirtualMember, data: bytes, address: str) -> None:
        """A datagram to one address; a dead member's host refuses it."""
        self.sent_bytes += len(data)
        target = self._at.get(address)
        if target is None or not self.network.connected(sender.address, address):
            return
        if target.alive:
            self._fly(sender, data, target)
        else:
            self.after(2 * self.network.delay(), self._refuse, sender, target)

    def _fly(self, sender: VirtualMember, data: bytes, target: VirtualMember) -> None:
        together = len(self.members) > MANY
        for _ in range(self.network.copies()):
            if together:
                self._enter(sender, data, target)
            else:
                self.after(self.network.delay(), self._land, sender, data, target)

    def _enter(self, sender: VirtualMember, data: bytes, target: VirtualMember) -> None:
        if target.paused and len(target.inbox) >= HELD_DATAGRAMS:
            return
        target.inbox.append((data, sender.source))
        if len(target.inbox) == 1:
            self.after(self.network.delay(), self._take_in, target)

    def _land(self, sender: VirtualMember, data: bytes, target: VirtualMember) -> None:
        if target.paused:
            target.when_awake(partial(self._land, sender, data, target), datagram=True)
        elif target.alive:
            target.node.datagram_received(data, sender.source, target.now)
            if target.node.busy:  # most members have nothing to do with most beacons
                target.step()

    def _take_in(self, target: VirtualMember) -> None:
        if target.paused:
            target.when_awake(partial(self._take_in, target))
            return
        arrived = target.inbox.copy()
        target.inbox.clear()
        if target.alive:
            received, now = target.node.datagram_received, target.now
            for data, source in arrived:
                received(data, source, now)
            target.step()

    def _refuse(self, sender: VirtualMember, target: VirtualMember) -> None:
        if sender.paused:
            sender.when_awake(partial(self._refuse, sender, target))
        elif sender.alive and self._at[target.address] is target:
            sender.node.datagram_refused((target.address, 1), sender.now)
            sender.step()

    def dial(self, member: VirtualMember, number: int, address: str, scheme: str) -> None:
        """A member opens a link. Over a partition nothing comes back."""
        if self.network.linked(member.address, address) and scheme not in self._blocked:
            self.after(self.network.delay(), self._dialled, member, number, address, scheme)

    def _dialled(self, member: VirtualMember, number: int, address: str, scheme: str) -> None:
        target = self._at.get(address)
        for each in (member, target):
            if each is not None and each.alive and each.paused:
                each.when_awake(partial(self._dialled, member, number, address, scheme))
                return
        if target is None or not target.alive or scheme in target.broken:
            self.after(self.network.delay(), member.dial_failed, number)
            return
        far = target.open_link(member.address, None, scheme)
        near = member.open_link(address, number, scheme) if member.alive else None
        if near is None or far is None:
            for end in (near, far):
                if end is not None:
                    self.after(self.network.delay(), end.owner.link_ended, end, "not wanted")
            return
        near.peer, far.peer = far, near
        near.owner.step()
        far.owner.step()

    def write(self, link: VirtualLink, frames: Sequence[bytes]) -> None:
        """Frames go out, one after the other."""
        for frame in frames:
            self.sent_bytes += len(frame)
            link.on_the_way.append(frame)
            self.after(self.network.delay(), self._deliver, link)

    def _deliver(self, link: VirtualLink) -> None:
        """The oldest frame arrives: whatever the draws of time were, frames keep their order."""
        peer = link.peer
        if peer is None or not self.network.linked(link.owner.address, peer.owner.address):
            return
        if peer.owner.paused:
            return  # until it wakes
        if link.on_the_way:
            frame = link.on_the_way.popleft()
            if not (peer.owner.alive and peer.owner.has(peer)):  # it was not told, or not yet
                self.after(self.network.delay(), link.owner.link_ended, link, "reset")
                return
            peer.owner.arrived(peer, frame)
            link.owner.write_more(link)

    def close(self, link: VirtualLink, *, abort: bool) -> None:
        """A member ended its end: the other hears of it, after what was written if in order."""
        peer = link.peer
        link.open = False
        if abort:
            link.on_the_way.clear()
        if peer is not None and peer.open:
            peer.open = False
            self.after(self.network.latency[1], self._closed, link, peer)

    def _closed(self, link: VirtualLink, peer: VirtualLink) -> None:
        if not self.network.connected(link.owner.address, peer.owner.address):
            return
        if peer.owner.paused:
            peer.owner.when_awake(partial(self._closed, link, peer))
            return
        while link.on_the_way:
            self._deliver(link)
        peer.owner.link_ended(peer, "closed by the other end")

    def _reset(self, link: VirtualLink) -> None:
        for end in (link, link.peer):
            if end is not None:
                end.open = False
                end.on_the_way.clear()
        for end in (link, link.peer):
            if end is not None:
                end.owner.link_ended(end, "reset")


def churn(seed: int, members: int = 20, seconds: float = 60.0) -> Simulation:
    """Members join, leave, die and restart under loss; then all is well and they must agree."""
    sim = Simulation(seed, members, loss=0.05, duplication=0.02)
    script = Random(f"churn {seed}")
    while sim.now < seconds:
        sim.run(script.uniform(0.1, 2.0))
        member = script.choice(sim.members)
        deed = script.choice(("kill", "leave", "restart", "add", "abort", "add", "cut"))
        if deed == "kill" and len(sim.members) > 3:
            sim.kill(member)
        elif deed == "leave" and len(sim.members) > 3:
            sim.leave(member)
        elif deed == "restart":
            sim.restart(member)
        elif deed == "add":
            sim.add()
        elif deed == "abort":
            member.send("hello")
            sim.run(0.05)
            sim.abort_links(0.3)
        else:
            half = len(sim.members) // 2
            sim.partition(sim.members[:half], sim.members[half:])
            sim.run(script.uniform(0.5, 15.0))
            sim.repair()
    sim.repair()
    sim.network.loss = 0.0
    sim.run_until(sim.converged, limit=60)
    return sim


def main() -> None:
    """``python -m meshcluster.testing.simulation --seed N``: one run of ``churn``, reported."""
    parser = argparse.ArgumentParser(description=churn.__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--members", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0, help="virtual time of the chaos")
    given = parser.parse_args()
    sim = churn(given.seed, given.members, given.seconds)
    print(f"seed {given.seed}: {len(sim.members)} members agree at {sim.now:.2f} s; {sim.digest}")


if __name__ == "__main__":
    main()
