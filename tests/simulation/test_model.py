"""Whatever happens to two to six members, in any order: nobody sees what cannot be, and when it is
over all know each other and nobody else.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from meshcluster.testing import Simulation, VirtualMember

FEWEST, MOST = 2, 6
WHICH = some.integers(0, MOST - 1)
SECONDS = some.sampled_from([0.01, 0.3, 1.0, 3.0, 8.0])


class Mesh(RuleBasedStateMachine):
    """Hypothesis chooses what happens; the simulation's own chance has a seed."""

    @initialize(seed=some.integers(0, 2**16), members=some.integers(FEWEST, MOST))
    def start(self, seed: int, members: int) -> None:
        self.sim = Simulation(seed, members)
        self.all = list(self.sim.members)

    def one(self, which: int) -> VirtualMember:
        return self.sim.members[which % len(self.sim.members)]

    @precondition(lambda self: len(self.sim.members) < MOST)
    @rule(clock=some.sampled_from([0.99, 1.0, 1.01]))
    def join(self, clock: float) -> None:
        self.all.append(self.sim.add(clock=clock))

    @precondition(lambda self: len(self.sim.members) > FEWEST)
    @rule(which=WHICH)
    def leave(self, which: int) -> None:
        if not self.one(which).paused:
            self.sim.leave(self.one(which))

    @precondition(lambda self: len(self.sim.members) > FEWEST)
    @rule(which=WHICH)
    def kill(self, which: int) -> None:
        self.sim.kill(self.one(which))

    @rule(which=WHICH)
    def restart(self, which: int) -> None:
        self.all.append(self.sim.restart(self.one(which)))

    @rule(which=WHICH, seconds=SECONDS)
    def pause(self, which: int, seconds: float) -> None:
        if not self.one(which).paused:
            self.sim.pause(self.one(which), seconds)

    @rule(which=WHICH)
    def speak(self, which: int) -> None:
        if not self.one(which).paused:
            self.one(which).send("hello")

    @rule(cut=some.integers(1, MOST - 1))
    def partition(self, cut: int) -> None:
        self.sim.partition(self.sim.members[:cut], self.sim.members[cut:])

    @rule(cut=some.integers(1, MOST - 1))
    def partition_one_way(self, cut: int) -> None:
        self.sim.partition_one_way(self.sim.members[:cut], self.sim.members[cut:])

    @rule()
    def heal(self) -> None:
        self.sim.repair()

    @rule(loss=some.sampled_from([0.0, 0.1, 0.3]), duplication=some.sampled_from([0.0, 0.2]))
    def spoil(self, loss: float, duplication: float) -> None:
        self.sim.network.loss, self.sim.network.duplication = loss, duplication

    @rule(most=some.sampled_from([0.002, 0.05, 0.3]))
    def reorder(self, most: float) -> None:
        self.sim.network.latency = (0.0005, most)

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        self.sim.run(seconds)

    @invariant()
    def histories_are_in_order(self) -> None:
        for member in getattr(self, "all", ()):
            assert not member.disorder, f"{member} {member.disorder}"

    @invariant()
    def nobody_knows_itself(self) -> None:
        for member in getattr(self, "all", ()):
            keys = [peer.key for peer in member.node.peers]
            assert len(keys) == len(set(keys))
            assert member.node.identity.key not in keys

    def teardown(self) -> None:
        if not hasattr(self, "sim"):
            return
        sim = self.sim
        sim.repair()
        sim.network.loss = sim.network.duplication = 0.0
        sim.network.latency = (0.0005, 0.002)
        sim.run(seconds=8.5)  # all pauses are over
        sim.run_until(sim.converged, limit=20)
        sim.run(seconds=5)
        assert sim.converged(), "and stay so"
        self.histories_are_in_order()
        for member in sim.members:
            assert all(peer.suspicion is None for peer in member.node.peers)


Mesh.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
TestMesh = Mesh.TestCase
