"""The simulated network: the fate of things is drawn, and only from the source handed in."""

from random import Random

from meshcluster.testing import Network


def test_without_faults_each_datagram_arrives_once_within_the_latency() -> None:
    network = Network(Random(1), latency=(0.1, 0.2))
    for _ in range(100):
        assert network.copies() == 1
        assert 0.1 <= network.delay() <= 0.2


def test_loss_and_duplication_come_as_often_as_asked() -> None:
    network = Network(Random(1), loss=0.3, duplication=0.2)
    copies = [network.copies() for _ in range(10_000)]
    assert 2700 < copies.count(0) < 3300
    assert 1700 < copies.count(2) < 2300


def test_a_partition_cuts_sides_apart_until_it_is_repaired() -> None:
    network = Network(Random(1))
    network.partition(["a", "b"], ["c"])
    assert network.connected("a", "b")
    assert not network.connected("a", "c")
    assert network.connected("x", "y")
    assert not network.connected("x", "a")
    network.repair()
    assert network.connected("a", "c")
