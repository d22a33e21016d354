"""When seeds are asked, which of them, and what is said when none answers."""

from itertools import pairwise

import pytest

from meshcluster.config import Limits
from meshcluster.node import effects as fx
from meshcluster.testing.bench import Bench
from meshcluster.wire import codec
from meshcluster.wire.frames import Probe


def rounds(bench, seconds):
    """When it looks its seeds up, in so many seconds."""
    bench.node.start(0.0)
    times = [0.0 for _ in bench.take(fx.LookUp)]
    while (due := bench.node.deadline()) is not None and due <= seconds:
        bench.node.advance(due)
        times += [due for _ in bench.take(fx.LookUp)]
    return times


def asked(bench):
    effects = bench.take(fx.SendDatagram)
    return [e.address for e in effects if isinstance(codec.decode_datagram(e.data), Probe)]


def test_they_are_asked_at_once_then_ever_more_rarely():
    times = rounds(Bench(1, seeds=("mesh.local",)), 300)
    pauses = [after - before for before, after in pairwise(times)]
    assert times[0] == 0.0
    assert pauses[0] < 0.5
    for number, pause in enumerate(pauses):
        wanted = min(30.0, 0.25 * 2**number)
        assert 0.75 * wanted <= pause <= 1.25 * wanted + 1e-6


def test_without_seeds_nothing_is_looked_up():
    assert rounds(Bench(1), 60) == []


def test_a_name_stands_for_all_its_addresses():
    bench = Bench(1, seeds=("mesh.local",))
    bench.node.seeds_found([("10.0.0.7", 27677), ("10.0.0.8", 27677), ("10.0.0.7", 27677)], 0.0)
    assert asked(bench) == [("10.0.0.7", 27677), ("10.0.0.8", 27677)]


def test_of_too_many_addresses_some_are_drawn():
    bench = Bench(1, seeds=("mesh.local",), limits=Limits(seed_addresses=5))
    bench.node.seeds_found([(f"10.0.1.{number}", 27677) for number in range(100)], 0.0)
    assert len(set(asked(bench))) == 5


def test_what_is_out_of_scope_is_not_asked_and_counted():
    bench = Bench(1, ttl=0, seeds=("mesh.local",))
    bench.node.seeds_found([("10.0.0.7", 27677), ("127.0.0.1", 27677)], 0.0)
    reports = [e for e in bench.node.effects if isinstance(e, fx.Report)]
    assert asked(bench) == [("127.0.0.1", 27677)]
    assert bench.dropped == {"seeds: out of scope": 1}
    assert "10.0.0.7 is out of reach at ttl=0" in reports[0].text


@pytest.mark.parametrize("times", [1, 5])
def test_a_name_that_cannot_be_looked_up_is_reported_once_and_counted(times):
    bench = Bench(1, seeds=("mesh.local",))
    for _ in range(times):
        bench.node.seed_failed("mesh.local", "Name or service not known")
    (report,) = bench.take(fx.Report)
    assert "seed mesh.local: Name or service not known" in report.text
    assert bench.dropped == {"seeds: not found": times}


def test_that_no_seed_answers_is_said_once():
    bench = Bench(1, seeds=("10.0.0.9",))
    bench.node.start(0.0)
    said = []
    while (due := bench.node.deadline()) is not None and due <= 200:
        bench.node.advance(due)
        said += [e.text for e in bench.take(fx.Report)]
    (text,) = said
    assert "no seed answers so far, of 10.0.0.9" in text


def test_any_answer_within_seconds_is_taken_later_ones_are_not():
    one, other = Bench(1, seeds=("10.0.0.2",)), Bench(2)
    one.node.seeds_found([other.address], 0.0)
    (probe,) = one.datagrams()
    other.hear(one, probe, 0.0)
    (reply,) = other.datagrams()
    one.hear(other, reply, 10.0)
    assert one.known == []
    one.hear(other, reply, 0.1)
    assert one.known == ["n2"]
