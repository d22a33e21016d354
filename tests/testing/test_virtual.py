"""A virtual member logs what its hooks would have seen."""

from meshcluster.testing import Simulation


def test_its_log_tells_who_came_changed_and_went() -> None:
    sim = Simulation(1, members=2)
    one, two = sim.members
    sim.run(seconds=1)
    two.retag("blue")
    sim.run(seconds=1)
    sim.leave(two)
    sim.run(seconds=1)
    assert [(what, name) for _, what, name in one.log] == [
        ("discovered", "m2"),
        ("changed", "m2 blue"),
        ("lost", "m2"),
    ]


def test_it_receives_and_answers() -> None:
    sim = Simulation(1, members=2)
    one, two = sim.members
    two.respond = lambda question: question.data + 1
    sim.run(seconds=1)
    one.send({"a": (1, 2)}, "m2")
    gathering = one.ask(41, "m2")
    sim.run(seconds=1)
    assert two.received == [("m1", {"a": (1, 2)})]
    assert list(gathering.results.values()) == [42]


def test_a_slow_network_only_delays_many_frames() -> None:
    sim = Simulation(1, members=2, latency=(0.01, 0.05))
    one, two = sim.members
    sim.run(seconds=2)
    for number in range(2000):
        one.send(number, "m2")
    sim.run(seconds=60)
    assert [data for _, data in two.received] == list(range(2000))
