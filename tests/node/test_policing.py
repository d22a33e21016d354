"""What strangers may send and be sent: floods cost little, and newcomers are met all the same."""

from timeit import timeit

import pytest

from meshcluster.config import Limits
from meshcluster.model import Endpoint, unix_address
from meshcluster.node import effects as fx
from meshcluster.node.counters import Counters
from meshcluster.node.membership import Membership
from meshcluster.node.policing import Policing
from meshcluster.node.scope import Scope
from meshcluster.testing import Bench, introduce
from meshcluster.wire import codec
from meshcluster.wire.frames import Beacon, Leave, Probe, ProbeReply, Solicit

ONE, OTHER = ("10.0.0.1", 5), ("10.0.0.2", 5)
SOURCE, TOGETHER = "beyond what a source may send", "beyond what strangers may send"


def police(**limits):
    made, counters = Limits(**limits), Counters()
    policing = Policing(made, peers=Membership(made), scope=Scope(1), counters=counters)
    return policing, counters


def lets(policing, source, count, now=0.0):
    """How many of so many datagrams are looked at."""
    return sum(policing.lets(source, 50, now) for _ in range(count))


def test_a_source_may_send_so_much_a_second_and_others_still_theirs():
    policing, counters = police(source_datagrams_per_second=20)
    assert lets(policing, ONE, 100) == 20
    assert lets(policing, ("10.0.0.1", 6), 100) == 0, "another port is the same source"
    assert lets(policing, OTHER, 100) == 20
    assert lets(policing, ONE, 100, now=0.5) == 10
    assert counters.as_dict() == {f"datagrams: {SOURCE}": 350}


def test_on_this_host_each_port_is_a_source():
    policing, _ = police(source_datagrams_per_second=20)
    assert lets(policing, ("127.0.0.1", 1), 100) == lets(policing, ("127.0.0.1", 2), 100) == 20


def test_of_what_all_strangers_may_send_half_is_kept_for_those_who_say_little():
    policing, counters = police(strangers_datagrams_per_second=500)
    loud = sum(lets(policing, (f"10.0.1.{n}", 1), 200) for n in range(20))
    seldom = 8 * 17  # of those that came when no more than the half was left
    assert loud == 500 + seldom
    assert lets(policing, ("10.0.2.1", 1), 20) == 8
    assert f"datagrams: {TOGETHER}" in counters.as_dict()


def test_what_comes_by_unix_sockets_is_no_part_of_that():
    policing, _ = police(strangers_datagrams_per_second=1)
    for n in range(200):
        lets(policing, (f"10.0.1.{n}", 1), 200)
    assert lets(policing, unix_address(b"u" * 16), 100) == 100


def test_where_a_member_answers_far_more_may_come_and_that_is_bounded_too():
    one, other = Bench(1, limits=Limits(member_datagrams_per_second=1000)), Bench(2)
    introduce(one, other)
    taken = [one.node.datagram_received(b"junk", other.address, 0.0) for _ in range(3000)]
    assert sum(taken) == 1000
    assert one.dropped["datagrams: beyond what a member may send"] == 2000


def test_of_members_that_have_gone_no_more_is_kept_than_of_those_there():
    one = Bench(1, limits=Limits(newcomers_per_second=1e6))
    for number in range(2, 200):
        other = Bench(number)
        introduce(one, other)
        one.node.datagram_received(b"junk", other.address, 0.0)
        me = other.node.identity
        one.hear(other, Leave("default", me.id, me.boot), 0.0)
        one.datagrams()
    assert one.known == []
    assert len(one.node._discovery.policing._members) <= 16


def test_the_table_of_sources_is_bounded():
    policing, _ = police(sources=100, source_datagrams_per_second=2)
    for n in range(1000):
        lets(policing, (f"10.0.{n // 250}.{n % 250}", 1), 1)
    assert len(policing) == 100


def test_newcomers_may_be_many_at_once_and_some_are_kept_for_those_who_say_little():
    policing, counters = police(newcomers_per_second=20)
    lets(policing, ONE, 100)
    assert sum(policing.may_meet(ONE, 0.0) for _ in range(200)) == 100
    lets(policing, OTHER, 1)
    assert policing.may_meet(OTHER, 0.0)
    assert counters.as_dict()["datagrams: of newcomers beyond newcomers_per_second"] == 100


def test_strangers_are_dialled_so_often():
    policing, counters = police(stranger_dials_per_second=10)
    assert sum(policing.may_dial(0.0) for _ in range(100)) == 64
    assert sum(policing.may_dial(1.0) for _ in range(100)) == 10
    assert counters.as_dict() == {"dials of strangers beyond stranger_dials_per_second": 126}


def test_who_proved_nothing_is_sent_two_datagrams_then_what_came_from_there():
    policing, _ = police()
    assert sum(policing.may_send(ONE, 1200, 0.0) for _ in range(10)) == 2
    assert not policing.may_send(("10.0.0.1", 6), 60, 0.0)
    assert policing.lets(ONE, 120, 0.0)
    assert policing.may_send(ONE, 60, 0.0)
    assert not policing.may_send(ONE, 60, 0.0)
    assert sum(policing.may_send(ONE, 1200, 10.0) for _ in range(10)) == 2, "earned again"


def test_where_somebody_proved_to_be_more_may_be_sent_for_many_live_there():
    policing, _ = police()
    policing.proved(ONE, 0.0)
    assert sum(policing.may_send(ONE, 1200, 10.0) for _ in range(100)) == 64


def test_what_stays_on_this_machine_is_not_counted():
    policing, _ = police()
    assert all(policing.may_send(("127.0.0.1", 1), 1200, 0.0) for _ in range(100))
    assert all(policing.may_send(unix_address(b"u" * 16), 1200, 0.0) for _ in range(100))


def test_a_datagram_too_many_costs_little():
    policing, _ = police()
    sources = [(f"10.0.{n // 250}.{n % 250}", 1) for n in range(1000)]
    for _ in range(20):
        for source in sources:
            policing.lets(source, 60, 0.0)
    now = iter(range(10**6))
    seconds = min(
        timeit(lambda: policing.lets(sources[next(now) % 1000], 60, 0.0), number=20_000)
        for _ in range(5)
    )
    print(f"{seconds / 20_000 * 1e9:.0f} ns a datagram")
    assert seconds / 20_000 < 20e-6


# --- the whole node ---


def junk_beacon(number: int) -> bytes:
    return codec.encode_datagram(Beacon("default", number.to_bytes(16, "big"), 1, 1, b"", ()))


def test_a_stranger_is_met_while_a_thousand_sources_flood_forged_beacons() -> None:
    one, real = Bench(1), Bench(2)
    number = most = 0
    for step in range(1000):  # ten seconds
        now = step / 100
        for _ in range(200):
            number += 1
            source = f"10.1.{number % 1000 // 250}.{number % 250}"
            one.node.datagram_received(junk_beacon(number), (source, 9), now)
        one.node.advance(now)
        most = max(most, one.node.peers.strangers)
        if step == 500:
            real.node.start(now)
        if step >= 500:
            real.node.advance(now)
            for hearing, telling in ((one, real), (real, one), (one, real)):
                for effect in telling.node.take_effects():
                    target = getattr(effect, "address", hearing.address)
                    if hasattr(effect, "data") and target == hearing.address:
                        hearing.node.datagram_received(effect.data, telling.address, now)
        else:
            one.node.take_effects()
        if one.known and real.known:
            break
    print(f"met after {now - 5:.2f} s, {most} strangers at most")
    assert (one.known, real.known) == (["n2"], ["n1"])
    assert most < 1500


@pytest.mark.parametrize("kind", [Beacon, Probe, Solicit])
def test_a_victim_is_sent_no_more_than_came_in_its_name_and_a_datagram_or_two(kind: type) -> None:
    """Forged sources: KS-04 of kinship's audit."""
    one = Bench(1, props={"text": "x" * 800})
    victim, came, sent, now = ("10.0.0.99", 7), 0, 0, 0.0
    for number in range(2000):
        me = ("default", number.to_bytes(16, "big"), 1)
        forged = {
            Beacon: Beacon(*me, 1, bytes(8), (Endpoint("tcp", {"port": 1}),)),
            Probe: Probe(*me, 2**62, True, 1, bytes(8)),
            Solicit: Solicit(*me, 2**62, 1, bytes(8), False),
        }[kind]
        data = codec.encode_datagram(forged)
        came += len(data)
        one.node.datagram_received(data, victim, now)
        now += 0.005
        one.node.advance(now)
        sent += sum(len(e.data) for e in one.take(fx.SendDatagram) if e.address == victim)
    earned = 2400 * (1 + now / 10)  # on trust, and once more each ten seconds
    assert 0 < sent <= came / 2 + earned


def test_an_observer_that_asks_too_often_is_answered_as_much_as_it_says() -> None:
    one = Bench(1)
    came = sent = 0
    for number in range(1000):
        probe = Probe("default", bytes(15) + b"o", 1, number, True, 1, bytes(8), True)
        came += len(codec.encode_datagram(probe))
        one.node.datagram_received(codec.encode_datagram(probe), ("10.0.0.99", 7), 0.0)
        sent += sum(len(e.data) for e in one.take(fx.SendDatagram))
    assert 0 < sent <= came + 2400


def test_who_is_sent_no_details_for_want_of_proof_fetches_them_by_a_link() -> None:
    one, other = Bench(1, props={"text": "x" * 800}), Bench(2)
    for number in range(100, 103):  # somebody forges the other's address
        probe = Probe("default", number.to_bytes(16, "big"), 1, 5, True, 1, bytes(8))
        one.node.datagram_received(codec.encode_datagram(probe), other.address, 0.0)
    one.node.take_effects()
    one.node.start(0.0)
    other.hear(one, one.datagrams()[0], 0.0)
    (probe,) = other.datagrams()
    one.hear(other, probe, 0.0)
    (reply,) = [d for d in one.datagrams() if isinstance(d, ProbeReply)]
    assert (reply.details, reply.large) == (None, True)
    other.hear(one, reply, 0.0)
    assert [dial.endpoint.scheme for dial in other.take(fx.DialEndpoint)] == ["tcp"]
