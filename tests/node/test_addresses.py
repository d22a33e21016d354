"""Who is where: whatever peers do, the index says what a look at each would say."""

from random import Random

from meshcluster.config import Limits
from meshcluster.node.addresses import Addresses
from meshcluster.node.membership import Membership, Peer, Probing

PLACES = [("10.0.0.1", 1), ("10.0.0.1", 2), ("10.0.0.2", 1), ("unix:abc", 0)]


def peer(number, address=PLACES[0]):
    return Peer(number.to_bytes(16), 1, address, 0.0)


def test_one_or_several_at_an_address():
    index, one, other = Addresses(), peer(1), peer(2)
    index.add(one, PLACES[0])
    index.add(one, PLACES[0])
    assert index.at(PLACES[0]) == (one,)
    for _ in range(2):
        index.add(other, PLACES[0])
    assert index.at(PLACES[0]) == (one, other)
    assert index.at(PLACES[1]) == ()
    index.remove(one, PLACES[0])
    index.remove(one, PLACES[0])
    index.remove(one, PLACES[1])
    assert index.at(PLACES[0]) == (other,)
    index.remove(other, PLACES[0])
    assert len(index) == 0


def test_a_peer_is_found_where_it_answers_and_where_it_is_asked():
    peers = Membership(Limits())
    one = peers.add(bytes(16), 1, PLACES[0], 0.0)
    assert one is not None
    one.probing = Probing(1, PLACES[2], want=False, since=0.0)
    assert [peers.at(place) for place in PLACES] == [(one,), (), (one,), ()]
    one.address = PLACES[2]
    assert [peers.at(place) for place in PLACES] == [(), (), (one,), ()]
    one.probing = None
    assert peers.at(PLACES[2]) == (one,)
    peers.forget(one)
    one.address = PLACES[1]
    assert not any(peers.at(place) for place in PLACES)
    assert len(peers._places) == 0


def test_whatever_happens_it_says_what_a_look_at_each_would_say():
    random, peers, known = Random(1), Membership(Limits()), set()
    everybody = [peer(number) for number in range(6)]
    for _ in range(3000):
        each, place = random.choice(everybody), random.choice(PLACES)
        what = random.randrange(5)
        if what == 0 and each not in known:
            assert peers.admit(each)
            known.add(each)
        elif what == 1:
            peers.forget(each)
            known.discard(each)
        elif what == 2:
            each.address = place
        elif what == 3:
            each.probing = Probing(1, place, want=False, since=0.0)
        else:
            each.probing = None
        for at in PLACES:
            there = {
                p for p in known
                if p.address == at or (p.probing is not None and p.probing.address == at)
            }  # fmt: skip
            assert set(peers.at(at)) == there
