"""Everybody we heard of: candidates until proven, then members. Both tables have an end."""

import pytest

from meshcluster.config import Limits
from meshcluster.model import Endpoint, member_key
from meshcluster.node.membership import Membership, Peer
from meshcluster.node.snapshots import Snapshots
from meshcluster.wire.codec import digest
from meshcluster.wire.frames import Details

HERE, THERE = ("10.0.0.1", 4000), ("10.0.0.2", 4000)
ADA, BOB, CAT = b"a" * 16, b"b" * 16, b"c" * 16
TCP = Endpoint("tcp", {"port": 5000})


def details(name, host="h", *tags):
    return Details(1, name, host, tags, (TCP,), {"rack": 3}, 4000, 1.0)


def membership(**limits):
    return Membership(Limits(**limits))


def hear(peers, member_id, boot=1, source=HERE, now=0.0):
    return peers.hear(member_id, boot, source, now)


def admit(peers, member_id, name="ada", host="h", source=HERE):
    peer = hear(peers, member_id, source=source)
    peer.describe(details(name, host), b"digest..")
    assert peers.admit(peer)
    peer.service = Snapshots().service(peer, lan=False)
    return peer


# --- candidates and members ---


def test_who_is_heard_is_a_candidate_and_no_member():
    peers = membership()
    peer = hear(peers, ADA, now=7.0)
    assert (peer.address, peer.heard_at, peer.service) == (HERE, 7.0, None)
    assert peers.get(peer.key) is peer
    assert peers.member(peer.key) is None
    assert (list(peers), len(peers)) == ([], 0)


def test_who_is_heard_again_is_the_same_peer_with_what_is_known_of_it():
    peers = membership()
    peer = hear(peers, ADA, source=HERE, now=1.0)
    assert hear(peers, ADA, source=THERE, now=2.0) is peer
    assert (peer.address, peer.heard_at) == (HERE, 1.0)


def test_another_run_of_a_member_is_another_peer():
    peers = membership()
    first, second = hear(peers, ADA, boot=1), hear(peers, ADA, boot=2)
    assert first is not second
    assert first.key == member_key(ADA, 1)


def test_an_admitted_candidate_is_a_member():
    peers = membership()
    peer = admit(peers, ADA)
    assert peers.member(peer.key) is peers.get(peer.key) is hear(peers, ADA) is peer
    assert (list(peers), len(peers)) == ([peer], 1)


def test_members_come_in_the_order_in_which_they_were_admitted():
    peers = membership()
    for member_id in (ADA, BOB, CAT):
        hear(peers, member_id)
    admitted = [admit(peers, member_id) for member_id in (CAT, ADA, BOB)]
    assert list(peers) == admitted


@pytest.mark.parametrize("enter", [hear, admit])
def test_a_forgotten_peer_is_unknown(enter):
    peers = membership()
    peer = enter(peers, ADA)
    peers.forget(peer)
    peers.forget(peer)
    assert peers.get(peer.key) is None
    assert hear(peers, ADA) is not peer


# --- bounds ---


def test_of_strangers_beyond_the_limit_the_oldest_gives_way():
    peers = membership(candidates=2)
    ada, bob = hear(peers, ADA), hear(peers, BOB)
    assert hear(peers, CAT) is not None
    assert peers.get(ada.key) is None
    assert hear(peers, BOB) is bob
    assert peers.strangers == 2


def test_newcomers_are_as_many_as_strangers_while_these_prove_themselves():
    peers = membership()
    hear(peers, ADA), hear(peers, BOB)
    assert peers.newcomers == 2
    for _ in range(200):
        peers.was_forged()
    assert peers.newcomers == 0
    for number in range(200):
        admit(peers, number.to_bytes(16, "big"))
    assert peers.newcomers == 2


def test_a_forgotten_or_admitted_candidate_makes_room():
    peers = membership(candidates=1)
    admit(peers, ADA)
    peers.forget(hear(peers, BOB))
    assert hear(peers, CAT) is not None


def test_members_are_heard_however_many_strangers_there_are():
    peers = membership(candidates=1)
    ada = admit(peers, ADA)
    hear(peers, BOB)
    assert hear(peers, ADA) is ada


def test_members_beyond_the_limit_stay_candidates():
    peers = membership(members=1)
    admit(peers, ADA)
    bob = hear(peers, BOB)
    assert not peers.admit(bob)
    assert peers.member(bob.key) is None
    assert peers.get(bob.key) is bob


def test_a_member_has_one_session_a_lane_and_few_lanes():
    peer, limits = hear(membership(), ADA), Limits(lanes=2)
    common, by_tcp = peer.session("", limits), peer.session("tcp", limits)
    assert (common.lane, by_tcp.lane) == ("", "tcp")
    assert peer.session("unix", limits) is None
    assert peer.session("tcp", limits) is by_tcp
    assert (list(common.schemes), list(by_tcp.schemes)) == ([], ["tcp"])


# --- finding ---


def test_a_twin_is_another_member_of_the_same_name_on_the_same_host():
    peers = membership()
    ada = admit(peers, ADA, "web")
    admit(peers, CAT, "web", host="elsewhere")
    bob = hear(peers, BOB)
    assert peers.twin(bob, "web", "h") is ada
    assert peers.twin(ada, "web", "h") is None
    assert peers.twin(bob, "web2", "h") is None


def test_a_candidate_is_nobodys_twin():
    peers = membership()
    hear(peers, ADA).describe(details("web"), b"digest..")
    assert peers.twin(hear(peers, BOB), "web", "h") is None


def test_all_peers_of_an_address_are_found():
    peers = membership()
    candidate, member = hear(peers, ADA), admit(peers, BOB)
    hear(peers, CAT, source=THERE)
    assert set(peers.at(HERE)) == {member, candidate}
    assert list(peers.at(("10.0.0.1", 4001))) == []


# --- what a peer says of itself ---


def test_a_described_peer_is_a_service_with_what_it_says():
    peer = Peer(ADA, 7, HERE, 0.0)
    peer.local = True
    peer.describe(details("ada", "h", "web"), b"digest..")
    service = Snapshots().service(peer, lan=False)
    assert (service.id, service.boot, service.key) == (ADA.hex(), 7, peer.key)
    assert (service.name, service.host, service.tags) == ("ada", "h", ("web",))
    assert (service.address, service.local) == ("10.0.0.1", True)
    assert (service.endpoints, service.props) == ((TCP,), {"rack": 3})


def test_what_it_says_of_itself_is_known_by_its_digest():
    peer = Peer(ADA, 7, HERE, 0.0)
    peer.describe(details("ada"), Snapshots().digest(peer, details("ada")))
    assert peer.digest == digest(details("ada"))
    assert peer.endpoints == (TCP,)


def test_of_a_closed_mesh_all_that_is_known_is_authenticated():
    for closed in (True, False):
        peers = Membership(Limits(), closed=closed)
        assert peers.add(b"i" * 16, 1, ("10.0.0.1", 1), 0.0).authenticated is closed


def test_what_was_said_in_the_name_of_one_who_seals_is_in_doubt():
    peer = Membership(Limits()).add(b"i" * 16, 1, ("10.0.0.1", 1), 0.0)
    peer.number, peer.lag, peer.refused = 2**60, 30.0, b"digest"
    peer.proved_local(True)
    peer.heard_elsewhere(("10.0.0.2", 1), 1.0)
    peer.doubt()
    assert (peer.number, peer.lag, peer.refused, peer.others) == (0, 0.0, None, ())
    assert (peer.told, peer.proven, peer.local) == (True, False, False)


def test_one_who_seals_is_not_spoken_of_by_one_who_does_not():
    peers = Membership(Limits())
    sealing, other = (peers.add(bytes([n]) * 16, 1, ("10.0.0.1", n), 0.0) for n in (1, 2))
    sealing.key_id = b"key!"
    assert peers.outranks(sealing.key, other)
    assert not peers.outranks(other.key, other)
    assert not peers.outranks(sealing.key, sealing)
    assert not peers.outranks(bytes(24), other)
