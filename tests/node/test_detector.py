"""Silence is a reason to ask, no answer one to suspect, and only long silence of a suspect, or its
host's word, is taken for death.
"""

import msgspec
import pytest

from meshcluster.config import ClusterConfig
from meshcluster.model import CRASHED, EXPIRED, UNREACHABLE
from meshcluster.node import effects as fx
from meshcluster.node.detector import FLAPS, HEALTH_MOST, REFUTE_SECONDS, ROUND_KEY, SIGHTINGS
from meshcluster.testing import Bench, carry, connect, introduce, pass_time
from meshcluster.wire import codec
from meshcluster.wire.frames import (
    Beacon,
    Dead,
    Leave,
    Probe,
    ProbeReply,
    ProbeRequest,
    Sighting,
    Suspect,
)

LAN = ClusterConfig(ttl=1).pace


def peer_of(one, other):
    return one.node.peers.member(other.node.identity.key)


def word(kind, by, about, *rest):
    """What ``by`` says ``about`` another one."""
    me = by.node.identity
    return kind("default", me.id, me.boot, about.node.identity.key, *rest)


def happened(one, until, since=0.0):
    """What one does and tells as time goes by, with the times."""
    seen = []
    for tenth in range(round(since * 10) + 1, round(until * 10) + 1):
        one.node.advance(tenth / 10)
        seen += [(tenth / 10, effect) for effect in one.node.take_effects()]
    return seen


def times(seen, kind):
    return [when for when, effect in seen if isinstance(effect, kind)]


@pytest.fixture
def two():
    """Two members with a link."""
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    connect(one, other)
    one.node.take_effects()
    other.node.take_effects()
    return one, other


@pytest.fixture
def large(monkeypatch):
    """Every mesh is a large one."""
    monkeypatch.setattr("meshcluster.node.detector.DIRECT_PROOFS", 1)


@pytest.fixture
def three():
    benches = Bench(1), Bench(2), Bench(3)
    meet(*benches)
    return benches


def meet(*benches):
    """All hear each other until nobody has more to say."""
    for each in benches:
        each.node.start(0.0)
    talking = True
    while talking:
        talking = False
        for by in benches:
            for effect in by.take(fx.Announce, fx.SendDatagram):
                talking = True
                for to in benches:
                    if to is not by and getattr(effect, "address", to.address) == to.address:
                        to.node.datagram_received(effect.data, by.address, 0.0)


# --- asking ---


def test_a_silent_member_is_asked_suspected_and_lost_in_this_order(two):
    one, _ = two
    seen = happened(one, 12)
    (suspected,) = times(seen, fx.ServiceSuspected)
    (lost,) = times(seen, fx.ServiceGone)
    asked = min(when for when, e in seen if isinstance(e, fx.SendDatagram))
    assert 0 < asked < suspected < lost
    assert suspected - asked == pytest.approx(3 * LAN.answer_seconds, abs=0.15)
    (gone,) = [e for _, e in seen if isinstance(e, fx.ServiceGone)]
    assert gone.reason == gone.service.reason == UNREACHABLE
    assert one.known == []


def test_who_beacons_is_not_asked(two):
    one, other = two
    for second in range(1, 10):
        other.node._discovery.beacon(second - 0.5)
        one.hear(other, other.datagrams()[-1], second - 0.5)
        assert not times(happened(one, second, second - 1), fx.SendDatagram)


def test_any_answer_ends_a_suspicion(two):
    one, other = two
    pass_time(one, 4)
    assert peer_of(one, other).state == "suspect"
    one.node.take_effects()
    me = other.node.identity
    nonce = peer_of(one, other).probing.nonce
    one.hear(other, ProbeReply("default", me.id, me.boot, nonce, 0, None, False), 4.0)
    (recovered,) = one.take(fx.ServiceSuspected)
    assert not recovered.suspected
    assert peer_of(one, other).state == "alive"
    assert not times(happened(one, 6, 4), fx.ServiceGone)


def test_a_frame_over_a_link_proves_life_as_an_answer_does(two):
    one, other = two
    near = peer_of(one, other).sessions[""].link
    far = peer_of(other, one).sessions[""].link
    pass_time(one, 4)
    assert peer_of(one, other).suspicion is not None
    one.node.frames_received(near, [far.session.ack_frame()], 4.0)
    assert peer_of(one, other).suspicion is None


def test_a_link_is_asked_too_where_no_datagram_comes_through(two):
    one, other = two
    near = peer_of(one, other).sessions[""].link
    far = peer_of(other, one).sessions[""].link
    for tenth in range(1, 400):
        one.node.advance(tenth / 10)
        carry(one, near, other, far, tenth / 10)
    assert peer_of(one, other).state == "alive"
    assert not one.take(fx.ServiceSuspected, fx.ServiceGone)


def test_the_hosts_word_that_the_process_is_gone_needs_no_suspicion(two):
    one, other = two
    pass_time(one, 2.4)
    one.node.take_effects()
    one.refuse(other.address, 2.4)
    (gone,) = one.take(fx.ServiceGone)
    assert gone.reason == CRASHED


def test_who_cannot_be_judged_expires():
    one, other = Bench(1, expire_seconds=2.0), Bench(2, heartbeat_seconds=0.01)
    introduce(one, other)
    (gone,) = [e for _, e in happened(one, 6) if isinstance(e, fx.ServiceGone)]
    assert gone.reason == EXPIRED


# --- repeated beacons ---


def test_a_beacon_that_was_heard_before_is_no_sign_of_life(two):
    one, other = two
    other.node._discovery.beacon(0.5)
    old = other.datagrams()[-1]
    one.hear(other, old, 0.5)
    for tenth in range(6, 120):
        one.hear(other, old, tenth / 10)
        one.node.advance(tenth / 10)
    assert one.known == []
    assert one.dropped["datagrams: repeated beacons"] > 40  # then it is a stranger's


# --- what others say ---


def test_who_is_suspected_says_at_once_that_it_lives_and_again(two):
    one, other = two
    one.hear(other, word(Suspect, other, one, 0), 1.0)
    pass_time(one, 1.1, since=1.0, step=0.05)
    seen = [one.datagrams()]
    pass_time(one, 1.1 + REFUTE_SECONDS + 0.1, since=1.1, step=0.05)
    seen.append(one.datagrams())
    beacons = [[d for d in each if isinstance(d, Beacon)] for each in seen]
    assert all(beacons)
    assert beacons[0][-1].number < beacons[1][-1].number


def test_of_a_suspicion_that_is_out_of_date_nothing_comes(three):
    one, other, third = three
    for second in (0.2, 0.3):
        third.node._discovery.beacon(second)
        one.hear(third, third.datagrams()[-1], second)
    answers = []
    for _ in range(40):
        one.hear(other, word(Suspect, other, third, peer_of(one, third).number - 1), 0.4)
        answers += [d for d in one.datagrams() if isinstance(d, Sighting)]
    assert peer_of(one, third).suspicion is None
    assert answers  # of a mesh of three about all say what they know
    assert all(each.number == peer_of(one, third).number for each in answers)
    assert SIGHTINGS >= 3


def test_what_others_say_they_heard_is_not_told_on(three):
    one, other, third = three
    number = peer_of(one, third).number
    one.hear(other, word(Sighting, other, third, number + 9, 0), 0.3)
    one.take()
    for _ in range(40):
        one.hear(other, word(Suspect, other, third, number + 1), 0.4)
    assert one.datagrams() == []
    assert peer_of(one, third).suspicion is None


def test_a_suspicion_of_somebody_unknown_is_nothing(two):
    one, other = two
    one.hear(other, word(Suspect, other, Bench(9), 0), 1.0)
    one.hear(other, word(Dead, other, Bench(9), 0, True), 1.0)
    one.hear(other, word(ProbeRequest, other, Bench(9), 0, 7), 1.0)
    one.hear(other, word(Sighting, other, Bench(9), 0, 7), 1.0)
    assert one.node.take_effects() == []


def test_words_of_strangers_are_dropped(two):
    one, other = two
    stranger = Bench(9)
    for said in (
        word(Suspect, stranger, other, 0), word(Dead, stranger, other, 0, True),
        word(ProbeRequest, stranger, other, 0, 7), word(Sighting, stranger, other, 9, 0),
    ):  # fmt: skip
        one.hear(stranger, said, 1.0)
    assert one.dropped["datagrams: words of strangers"] == 4
    assert peer_of(one, other).suspicion is None


def prove(one, other, **details):
    """``one`` knows ``other``, as after a link."""
    peer = one.node.peers.hear(other.node.identity.id, 1, other.address, 0.0)
    one.node._admission.proved(peer, msgspec.structs.replace(other.node.details, **details), 0.0)
    one.node.take_effects()
    return peer


def test_neither_does_an_observer_speak_of_members_nor_they_of_it(two):
    one, other = two
    observer = Bench(9)
    peer = prove(one, observer, observer=True)
    for said in (word(Suspect, observer, other, 9), word(Dead, observer, other, 9, True)):
        one.hear(observer, said, 0.2)
    assert one.dropped["datagrams: words of observers"] == 2
    assert peer_of(one, other).suspicion is None
    for said in (
        word(Suspect, other, observer, 9), word(Dead, other, observer, 9, True),
        word(ProbeRequest, other, observer, 0, 7),
    ):  # fmt: skip
        one.hear(other, said, 0.2)
    assert peer.suspicion is None
    assert one.node.take_effects() == []


def test_an_observer_keeps_to_itself_who_it_misses():
    one, other, third = Bench(1, observer=True), Bench(2), Bench(3)
    for each in (other, third):
        prove(one, each)
    said = []
    for tenth in range(1, 200):
        beacons([other], one, tenth / 10 - 0.1)
        said += one.take(fx.Announce, fx.SendDatagram, fx.ServiceGone)
    assert [each.service.name for each in said if isinstance(each, fx.ServiceGone)] == ["n3"]
    assert {type(_decoded(e)) for e in said if not isinstance(e, fx.ServiceGone)} == {Probe}


def test_in_a_small_mesh_nobody_is_dead_on_another_ones_word(three):
    one, other, third = three
    one.hear(other, word(Dead, other, third, 99, True), 1.0)
    assert peer_of(one, third).state == "suspect"
    me = third.node.identity
    pass_time(one, 1.1, since=1.0)
    nonce = peer_of(one, third).probing.nonce
    one.hear(third, ProbeReply("default", me.id, me.boot, nonce, 0, None, False), 1.1)
    assert peer_of(one, third).state == "alive"


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("two_say_so", [False, True])
def test_in_a_large_mesh_nobody_is_dead_because_one_says_so(two_say_so):
    """However often, and though its subject cannot hear of it."""
    one, liar, third, victim = [Bench(n) for n in range(1, 5)]
    meet(one, liar, third, victim)
    if two_say_so:
        one.hear(third, word(Suspect, third, victim, 99), 0.1)
    for tenth in range(1, 30):
        now = tenth / 10
        one.hear(liar, word(Suspect, liar, victim, 2**63), now)
        one.hear(liar, word(Dead, liar, victim, 2**63, False), now)
    assert (peer_of(one, victim) is None) == two_say_so


@pytest.mark.usefixtures("large")
def test_in_a_large_mesh_a_word_is_no_reason_for_all_to_ask(monkeypatch):
    monkeypatch.setattr("meshcluster.node.detector.SIGHTINGS", 0)
    one, other, victim = Bench(1), Bench(2), Bench(3)
    meet(one, other, victim)
    one.hear(other, word(Dead, other, victim, 99, True), 0.1)
    assert peer_of(one, victim).suspicion is not None
    assert one.datagrams() == []


def test_confirmed_by_another_one_it_takes_less_time():
    lost = []
    for confirmed in (False, True):
        one, other, third = benches = Bench(1), Bench(2), Bench(3)
        meet(*benches)
        for tenth in range(1, 200):
            now = tenth / 10
            other.node._discovery.beacon(now)
            one.hear(other, other.datagrams()[-1], now)
            one.node.advance(now)
            if confirmed and peer_of(one, third) and peer_of(one, third).suspicion:
                one.hear(other, word(Suspect, other, third, peer_of(one, third).number), now)
            if peer_of(one, third) is None:
                lost.append(now)
                break
    assert lost[1] < lost[0] - LAN.suspect_seconds


def test_a_confirmation_that_comes_late_is_no_lateness_of_ours():
    """It ends a suspicion that has lasted long enough for it; else all would begin anew."""
    one, *others, victim = benches = [Bench(n) for n in range(1, 9)]
    meet(*benches)
    now = 0.0
    while peer_of(one, victim).suspicion is None:
        now = beacons(others, one, now)
    while now < peer_of(one, victim).suspicion.since + 1.5 * LAN.suspect_seconds:
        now = beacons(others, one, now)
    for other in others[:2]:
        one.hear(other, word(Suspect, other, victim, peer_of(one, victim).number), now)
    one.node.advance(now)
    assert peer_of(one, victim) is None
    assert "times we were late ourselves" not in one.dropped


def beacons(others, one, now):
    """A tenth of a second passes, in which others beacon; gives the new time."""
    now = round(now + 0.1, 1)
    for other in others:
        other.node._discovery.beacon(now)
        one.hear(other, other.datagrams()[-1], now)
    one.node.advance(now)
    return now


# --- through others ---


def test_who_does_not_answer_is_asked_by_others_too(three):
    one, other, third = three
    requests = []
    for tenth in range(1, 32):
        now = tenth / 10
        other.node._discovery.beacon(now)
        one.hear(other, other.datagrams()[-1], now)
        one.node.advance(now)
        requests += [
            (d, e.address) for e in one.take(fx.SendDatagram)
            if isinstance(d := _decoded(e), ProbeRequest)
        ]  # fmt: skip
    assert requests
    assert {r.subject for r, _ in requests} == {third.node.identity.key}
    assert {address for _, address in requests} == {other.address}


def _decoded(effect):
    return codec.decode_datagram(effect.data)


def test_who_was_seen_by_another_one_while_it_is_asked_is_no_suspect(three):
    one, other, third = three
    pass_time(one, 2.4)
    assert peer_of(one, third).probing is not None
    one.hear(other, word(Sighting, other, third, peer_of(one, third).number + 1, 0), 2.4)
    assert not times(happened(one, 3.4, 2.4), fx.ServiceSuspected)
    assert times(happened(one, 8, 3.4), fx.ServiceSuspected), "when nobody sees it any more"


def test_an_answer_through_another_one_ends_a_suspicion(three):
    one, other, third = three
    one.hear(other, word(Dead, other, third, 99, False), 1.0)
    pass_time(one, 1.2, since=1.0)
    nonce = peer_of(one, third).probing.nonce
    one.hear(other, word(Sighting, other, third, 0, nonce), 1.2)
    assert peer_of(one, third).suspicion is None


@pytest.mark.parametrize("number", [0, 2**40])
def test_sightings_that_are_old_or_absurd_are_nothing(three, number):
    one, other, third = three
    one.hear(other, word(Suspect, other, third, 99), 1.0)
    one.hear(other, word(Sighting, other, third, number, 12345), 1.0)
    assert peer_of(one, third).suspicion is not None
    assert one.dropped["datagrams: sightings out of date"] == 1


# --- our own trouble ---


def test_a_single_member_that_says_we_are_missed_makes_us_patient_once(three):
    one, other, third = three
    patience = []
    for second in range(1, 20):
        one.hear(other, word(Suspect, other, one, 2**40 + second), float(second))
        patience.append(one.node._detector.patience)
    assert max(patience) == 2
    one.hear(third, word(Suspect, third, one, 2**40), 20.0)
    assert one.node._detector.patience == 3


def test_who_was_stopped_judges_nobody_by_that_time(two):
    one, other = two
    pass_time(one, 1)
    one.node.advance(61.0)  # for a minute we did nothing
    assert not one.take(fx.ServiceGone)
    assert one.dropped["times we were late ourselves"] == 1
    other.node._discovery.beacon(61.5)
    one.hear(other, other.datagrams()[-1], 61.5)
    assert one.known == ["n2"]


def test_whom_it_suspected_before_it_was_stopped_recovers_for_users_too(two):
    one, other = two
    pass_time(one, 4)
    (suspected,) = one.take(fx.ServiceSuspected)
    assert suspected.suspected
    one.node.advance(64.0)
    other.node._discovery.beacon(64.5)
    one.hear(other, other.datagrams()[-1], 64.5)
    (recovered,) = one.take(fx.ServiceSuspected)
    assert not recovered.suspected


def test_who_finds_itself_late_is_more_patient_and_says_so_until_it_is_answered_again(two):
    one, _ = two
    detector = one.node._detector
    before = detector.answer_seconds
    for minute in range(1, 20):
        one.node.advance(60.0 * minute)
    assert detector.answer_seconds == before * (1 + HEALTH_MOST)
    one.node._discovery.beacon(2000.0)
    assert one.datagrams()[-1].lag > 1000 * LAN.late_seconds
    for _ in range(HEALTH_MOST):
        detector.answered()
    assert detector.answer_seconds == before


def test_who_says_that_it_is_late_is_given_more_time(two):
    one, other = two
    other.node._detector.lag = 3.0
    other.node._discovery.beacon(0.5)
    one.hear(other, other.datagrams()[-1], 0.5)
    patient = times(happened(one, 30, 0.5), fx.ServiceSuspected)[0]
    assert patient > 0.5 + 3 * 3.0


def test_trouble_of_ours_is_over_when_we_hear_everybody_again_and_need_not_ask(two):
    one, other = two
    detector = one.node._detector
    before = detector.answer_seconds
    pass_time(one, 1)
    one.node.advance(4.0)
    assert detector.lag > LAN.late_seconds
    for tenth in range(41, 200):
        beacons([other], one, tenth / 10)
    assert one.take(fx.SendDatagram) == []
    assert detector.answer_seconds == before
    assert detector.lag < LAN.late_seconds / 10


def test_who_is_always_late_stays_patient_though_nobody_is_missed(two):
    one, other = two
    for second in range(20, 400, 20):
        other.node._discovery.beacon(second)
        one.hear(other, other.datagrams()[-1], second)
        one.node.advance(second)
    assert one.node._detector.patience == 1 + HEALTH_MOST


def test_a_question_that_we_slept_over_is_asked_again_before_anybody_is_suspected(two):
    one, other = two
    now = 0.0
    while (probing := peer_of(one, other).probing) is None or probing.tries < 3:
        one.node.advance(now := now + 0.1)
    one.take()
    one.node.advance(60.0)
    assert peer_of(one, other).suspicion is None
    assert any(isinstance(each, Probe) for each in one.datagrams())
    assert times(happened(one, 70, 60), fx.ServiceSuspected)


@pytest.mark.usefixtures("large")
def test_who_leaves_a_suspect_to_others_to_ask_does_so_after_a_sleep(two):
    one, other = two
    third = prove(one, Bench(3))
    one.hear(other, word(Suspect, other, Bench(3), 99), 0.2)
    assert not third.suspicion.active
    one.node.advance(60.0)
    assert not third.suspicion.active


def test_who_is_alone_looks_after_nobody_until_somebody_comes(two):
    one, other = two
    me = other.node.identity
    one.hear(other, Leave("default", me.id, me.boot), 0.5)
    one.node.advance(5.0)
    assert ROUND_KEY not in one.node._schedule
    prove(one, Bench(3))
    assert ROUND_KEY in one.node._schedule


# --- members that come and go ---


def test_of_one_that_comes_and_goes_no_more_is_told_after_a_while(two):
    one, other = two
    told = []
    for n in range(1, 20):
        now = float(n)
        one.hear(other, word(Suspect, other, other, 99), now)
        told += one.take(fx.ServiceSuspected)
        other.node._discovery.beacon(now + 0.5)
        one.hear(other, other.datagrams()[-1], now + 0.5)
        told += one.take(fx.ServiceSuspected)
    suspected = [each for each in told if each.suspected]
    assert 1 <= len(suspected) <= FLAPS + 1
    assert len(told) == 2 * len(suspected)


# --- large meshes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "tries"), [(2, 3), (100, 3), (101, 4), (200, 4), (1000, 7), (10_000, 10)]
)
def test_the_larger_the_mesh_the_more_often_one_is_asked_before_it_is_suspected(
    two, monkeypatch, members, tries
):
    one, _ = two
    monkeypatch.setattr(type(one.node._views), "known", members)
    assert one.node._detector.tries == tries


@pytest.mark.usefixtures("large")
def test_in_a_large_mesh_who_should_expire_is_asked_first(two, monkeypatch):
    """Where nobody else asks it: of beacons that are rare several may be lost in a row."""
    one, other = two
    detector = one.node._detector
    monkeypatch.setattr(one.node._views, "asks", lambda known: False)
    monkeypatch.setattr(detector.ring, "next", lambda count: [])
    monkeypatch.setattr(detector.ring, "turn", lambda count: [])
    asked = []
    for tenth in range(1, 400):
        now = tenth / 10
        one.node.advance(now)
        for question in one.take(fx.SendDatagram):
            asked.append(now)
            other.node.datagram_received(question.data, one.address, now)
            for answer in other.take(fx.SendDatagram):
                one.node.datagram_received(answer.data, other.address, now)
    assert one.node.config.expire_seconds <= asked[0] < one.node.config.expire_seconds + 5
    assert one.known == ["n2"]
