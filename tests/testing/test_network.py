"""The simulated network: the fate of things is drawn, and only from the source handed in."""

from collections import Counter
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


def test_a_partition_may_be_one_way() -> None:
    network = Network(Random(1))
    network.partition_one_way(["a"], ["b"])
    assert not network.connected("a", "b")
    assert network.connected("b", "a")
    assert not network.linked("b", "a")
    assert not network.whole
    network.repair()
    assert network.connected("a", "b")
    assert network.whole


def test_a_datagram_for_all_is_lost_or_doubled_for_each_by_itself() -> None:
    network = Network(Random(2), loss=0.2, duplication=0.1)
    got = Counter(network.reached(list(range(10_000))))
    assert 1800 < 10_000 - len(got) < 2200
    assert 850 < sum(count == 2 for count in got.values()) < 1150


def test_a_datagram_for_all_arrives_in_waves_that_have_everybody() -> None:
    network = Network(Random(3))
    for many in (1, 3, 50):
        waves = network.waves(list(range(many)))
        assert sorted(n for wave in waves for n in wave) == list(range(many))
