"""One probe at a time, repeated a few times; a challenge is good for one answer."""

from random import Random

import pytest

from meshcluster.node.membership import Peer
from meshcluster.node.proof import (
    CANDIDATE_RETRY_SECONDS,
    CHALLENGE_SECONDS,
    HURRIED_SECONDS,
    PATIENCE_SECONDS,
    Prober,
)
from meshcluster.node.schedule import Schedule
from meshcluster.node.snapshots import Snapshots
from meshcluster.node.suspicion import Suspicion
from meshcluster.wire.frames import Details

HERE = ("10.0.0.1", 4000)
MEMBER_TRIES = 3


class Patience:
    answer_seconds, tries = 0.5, MEMBER_TRIES


@pytest.fixture
def schedule():
    return Schedule()


@pytest.fixture
def prober(schedule):
    return Prober(schedule, Random(7), Patience)


def test_a_candidate_is_asked_where_a_newer_beacon_came_from_when_nobody_answers(prober):
    peer, elsewhere = candidate(), ("10.0.0.9", 4000)
    assert prober.may_ask(peer, HERE, 5)
    prober.start(peer, HERE, want=True, now=0.0)
    assert not prober.may_ask(peer, elsewhere, 6)  # it may answer yet
    prober.again(peer, CANDIDATE_RETRY_SECONDS[0])
    assert not prober.may_ask(peer, elsewhere, 5)  # no newer than the first
    assert not prober.may_ask(peer, HERE, 6)
    assert prober.may_ask(peer, elsewhere, 6)
    assert peer.probing is None


def candidate(name=b"a"):
    return Peer(name * 16, 1, HERE, 0.0)


def member(heartbeat_seconds=0.5):
    peer = candidate()
    peer.describe(Details(1, "ada", "h", (), (), {}, 4000, heartbeat_seconds), b"digest..")
    peer.service = Snapshots().service(peer, lan=False)
    return peer


def probe(prober, peer, now=0.0, want=True):
    return prober.start(peer, HERE, want=want, now=now)


def times_until_given_up(prober, schedule, peer):
    """When the probe is sent again, and, last, when it is given up."""
    times = []
    while True:
        times.append(round(schedule.next(), 6))
        assert list(schedule.pop_due(times[-1])) == [("probe", peer.key)]
        if not prober.again(peer, times[-1]):
            return times


# --- probing ---


def test_whose_link_broke_is_probed_a_few_times_at_once_and_then_as_usual(prober, schedule):
    peer = member()
    prober.hurry(peer, HERE, 0.0)
    first, second = HURRIED_SECONDS
    soon = [first, first + second]
    usual = [soon[-1] + 0.5 * (number + 1) for number in range(MEMBER_TRIES)]
    assert times_until_given_up(prober, schedule, peer) == pytest.approx(soon + usual)


def test_what_was_heard_before_the_link_broke_is_no_answer(prober):
    peer = member()
    probe(prober, peer, want=False)
    peer.heard_at = 0.3
    prober.hurry(peer, HERE, 0.4)
    assert peer.probing.since == 0.4


def test_a_probe_under_way_is_hurried_with_its_number(prober, schedule):
    peer = member()
    probe(prober, peer)
    nonce = peer.probing.nonce
    prober.hurry(peer, HERE, 0.4)
    assert peer.probing.nonce == nonce
    assert schedule.next() == pytest.approx(0.4 + HURRIED_SECONDS[0])


def test_one_probe_at_a_time(prober):
    peer = candidate()
    assert probe(prober, peer)
    nonce = peer.probing.nonce
    assert not probe(prober, peer)
    assert peer.probing.nonce == nonce


def test_a_probe_knows_to_whom_it_went_since_when_and_what_it_wants(prober):
    peer = candidate()
    prober.start(peer, ("10.0.0.9", 1), want=True, now=5.0)
    probing = peer.probing
    assert (probing.address, probing.want, probing.since) == (("10.0.0.9", 1), True, 5.0)


def test_a_candidate_is_probed_three_times_then_given_up(prober, schedule):
    peer = candidate()
    probe(prober, peer)
    first, second, third = CANDIDATE_RETRY_SECONDS
    assert times_until_given_up(prober, schedule, peer) == pytest.approx(
        [first, first + second, first + second + third]
    )
    assert peer.probing is None
    assert schedule.next() is None


@pytest.mark.parametrize("lag", [0.0, 2.0])
def test_a_member_has_the_time_of_the_detector_and_its_own_lag_to_answer(prober, schedule, lag):
    peer = member()
    peer.lag = lag
    probe(prober, peer, want=False)
    times = times_until_given_up(prober, schedule, peer)
    assert times == pytest.approx([(0.5 + lag) * n for n in range(1, MEMBER_TRIES + 1)])


def test_a_suspect_is_asked_one_question_after_the_other(prober, schedule):
    peer = member()
    peer.suspicion = Suspicion(0.0, active=True)
    probe(prober, peer, want=False)
    assert times_until_given_up(prober, schedule, peer) == [0.5]


def test_the_reply_with_the_nonce_ends_the_probe(prober, schedule):
    peer = candidate()
    probe(prober, peer)
    probing = peer.probing
    assert prober.answered(peer, probing.nonce) is probing
    assert peer.probing is None
    assert schedule.next() is None


def test_a_reply_nobody_asked_for_changes_nothing(prober, schedule):
    peer = candidate()
    assert prober.answered(peer, 0) is None
    probe(prober, peer)
    assert prober.answered(peer, peer.probing.nonce + 1) is None
    assert peer.probing is not None
    assert ("probe", peer.key) in schedule


def test_a_reply_counts_once(prober):
    peer = candidate()
    probe(prober, peer)
    nonce = peer.probing.nonce
    prober.answered(peer, nonce)
    assert prober.answered(peer, nonce) is None


def test_a_stopped_probe_is_not_sent_again(prober, schedule):
    peer = candidate()
    probe(prober, peer)
    prober.stop(peer)
    prober.stop(peer)
    assert schedule.next() is None
    assert not prober.again(peer, 1.0)


def test_every_probe_has_a_nonce_of_its_own_and_none_is_zero(prober):
    nonces = set()
    for _ in range(100):
        peer = candidate()
        probe(prober, peer)
        nonces.add(peer.probing.nonce)
    assert len(nonces) == 100
    assert all(0 < nonce < 2**63 for nonce in nonces)


# --- challenging ---


def test_a_challenge_that_comes_back_is_met_once(prober, schedule):
    peer = candidate()
    challenge = prober.challenge(peer, 0.0)
    assert challenge != 0
    assert prober.met(peer, challenge)
    assert not prober.met(peer, challenge)
    assert schedule.next() is None


@pytest.mark.parametrize("answer", [0, 1])
def test_another_number_meets_no_challenge(prober, answer):
    peer = candidate()
    assert not prober.met(peer, answer)
    prober.challenge(peer, 0.0)
    assert not prober.met(peer, answer)


def test_a_prober_that_asks_again_gets_the_same_challenge(prober):
    peer = candidate()
    assert prober.challenge(peer, 0.0) == prober.challenge(peer, 1.0)


def test_who_is_being_probed_is_not_challenged_too(prober):
    peer = candidate()
    probe(prober, peer)
    assert prober.challenge(peer, 0.0) == 0


def test_a_challenged_candidate_is_forgotten_when_it_does_not_answer(prober, schedule):
    peer = candidate()
    prober.challenge(peer, 10.0)
    assert schedule.next() == 10.0 + CHALLENGE_SECONDS
    assert list(schedule.pop_due(schedule.next())) == [("forget", peer.key)]


def test_a_challenged_member_is_not_forgotten(prober, schedule):
    prober.challenge(member(), 10.0)
    assert schedule.next() is None


def test_a_challenge_just_sent_is_given_a_moment(prober):
    peer = candidate()
    assert not prober.expects_proof(peer, 10.0)
    challenge = prober.challenge(peer, 10.0)
    assert prober.expects_proof(peer, 10.0 + PATIENCE_SECONDS / 2)
    assert not prober.expects_proof(peer, 10.0 + PATIENCE_SECONDS * 2)
    prober.met(peer, challenge)
    assert not prober.expects_proof(peer, 10.0)
