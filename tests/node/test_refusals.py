"""A host that says nobody listens there is believed of whom we ask, and of our own machine."""

from meshcluster.model import CRASHED, unix_address
from meshcluster.node import effects as fx
from meshcluster.node.refusals import LAST_WORDS_SECONDS
from meshcluster.testing import Bench, introduce


def acquainted():
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    (peer,) = one.node.peers
    one.node.take_effects()
    return one, other, peer


def reasons(bench, now=0.0):
    """Who was lost and why, after its last words had their time."""
    for step in range(1, 4):
        bench.node.advance(now + step * LAST_WORDS_SECONDS)
    return [gone.reason for gone in bench.take(fx.ServiceGone)]


def test_who_is_asked_and_refused_is_gone():
    one, other, peer = acquainted()
    one.node._discovery.probe(peer, 0.0, want=False)
    one.node.datagram_refused(other.address, 0.0)
    assert reasons(one) == [CRASHED]


def test_a_refusal_that_nobody_asked_for_may_be_forged():
    one, other, _ = acquainted()
    one.node.datagram_refused(other.address, 0.0)
    assert reasons(one) == []


def test_our_own_kernel_is_believed_always():
    one, _, peer = acquainted()
    peer.address = unix_address(peer.id)
    one.node.datagram_refused(peer.address, 0.0)
    assert reasons(one) == [CRASHED]


def test_who_was_asked_elsewhere_is_asked_where_it_is_now():
    one, other, peer = acquainted()
    one.node._discovery.probe(peer, 0.0, want=False, address=("10.0.0.77", 9))
    one.node.datagram_refused(("10.0.0.77", 9), 0.0)
    assert peer.probing.address == other.address
    assert reasons(one) == []
