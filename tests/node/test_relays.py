"""Who is asked to look for a member asks it, or knows; and tells who wanted to know, once."""

from random import Random

import pytest

from meshcluster.node.membership import Peer
from meshcluster.node.relays import RELAYED, Relays
from meshcluster.wire.frames import ProbeRequest


class Told:
    """What relays ask and tell."""

    def __init__(self):
        self.asked, self.sighted = [], []
        self.relays = Relays(
            Random(1),
            lambda peer, nonce: self.asked.append((peer, nonce)),
            lambda *sighting: self.sighted.append(sighting),
        )

    def want(self, by, peer, number=0, nonce=77):
        """A member wants to know of another one."""
        request = ProbeRequest("default", by.id, by.boot, peer.key, number, nonce)
        self.relays.asked(request, peer, by)


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def asker():
    return Peer(b"a" * 16, 1, ("10.0.0.1", 1), 0.0)


@pytest.fixture
def missed():
    return Peer(b"m" * 16, 1, ("10.0.0.2", 1), 0.0)


def test_who_is_asked_to_look_asks_and_tells_once(told, asker, missed):
    told.want(asker, missed)
    ((peer, nonce),) = told.asked
    assert peer is missed
    assert told.relays.answered(nonce, missed)
    assert told.sighted == [(missed, 77, asker.address)]
    assert not told.relays.answered(nonce, missed), "a copy of the answer"
    assert len(told.sighted) == 1


def test_who_has_heard_it_since_says_so_without_asking(told, asker, missed):
    missed.number = 5
    told.want(asker, missed, number=4)
    assert told.sighted == [(missed, 0, asker.address)]
    assert told.asked == []


def test_an_answer_of_another_one_is_none(told, asker, missed):
    told.want(asker, missed)
    ((_, nonce),) = told.asked
    assert not told.relays.answered(nonce, asker)
    assert told.sighted == []


def test_of_a_flood_of_requests_the_latest_are_kept(told, asker, missed):
    for nonce in range(RELAYED + 10):
        told.want(asker, missed, nonce=nonce)
    assert len(told.relays) == RELAYED
    assert not told.relays.answered(told.asked[0][1], missed)
    assert told.relays.answered(told.asked[-1][1], missed)
