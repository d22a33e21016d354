"""What a member says of itself in datagrams."""

import pytest

from meshcluster.testing import Bench
from meshcluster.wire import codec
from meshcluster.wire.frames import Leave, ProbeAck, ProbeReply

MUCH = {f"prop-{number}": "x" * 20 for number in range(100)}


def own(bench):
    return bench.node._own


def decoded(data):
    return codec.decode_datagram(data)


def test_all_of_them_say_who_it_is():
    one = Bench(1)
    me = one.node.identity
    made = [
        own(one).beacon(1), own(one).leave(), own(one).solicit(5), own(one).probe(5, want=True),
        decoded(own(one).reply(5, 6, wanted=True, to="10.0.0.2")[0]),
        decoded(own(one).shown(5, to="10.0.0.2")[0]),
        decoded(own(one).acknowledgement(6, to="10.0.0.2")),
    ]  # fmt: skip
    assert {(each.cluster, each.id, each.boot) for each in made} == {("default", me.id, me.boot)}
    assert own(one).leave() == Leave("default", me.id, me.boot)


def test_a_beacon_has_the_digest_of_the_details_of_that_moment():
    one = Bench(1)
    before = own(one).beacon(1)
    one.node.describe(1.0, tags=("web",))
    after = own(one).beacon(2)
    assert after.digest == codec.digest(one.node.details) != before.digest
    assert (before.number, after.number) == (1, 2)


def test_no_beacon_is_larger_than_what_was_measured():
    one = Bench(1)
    size = own(one).beacon_size(one.node.details)
    assert len(codec.encode_datagram(own(one).beacon(2**40))) <= size


def test_measuring_details_that_are_not_ours_yet_changes_no_beacon():
    one, other = Bench(1), Bench(2, props=MUCH)
    before = own(one).beacon(1)
    own(one).beacon_size(other.node.details)
    assert own(one).beacon(1) == before


@pytest.mark.parametrize("props", [{}, MUCH], ids=["fitting", "too large"])
def test_details_that_do_not_fit_are_left_to_a_link(props):
    one = Bench(1, props=props)
    reply = decoded(own(one).reply(5, 6, wanted=True, to="10.0.0.2")[0])
    shown = decoded(own(one).shown(5, to="10.0.0.2")[0])
    ack = decoded(own(one).acknowledgement(6, to="10.0.0.2"))
    assert isinstance(reply, ProbeReply)
    assert isinstance(ack, ProbeAck)
    if props:
        assert reply.large
        assert shown.large
        assert [reply.details, shown.details, ack.details] == [None] * 3
        assert ack.endpoints == one.node.details.endpoints
    else:
        assert reply.details == shown.details == ack.details == one.node.details
        assert not reply.large


def test_details_that_are_not_wanted_are_not_sent():
    reply = decoded(own(Bench(1)).reply(5, 6, wanted=False, to="10.0.0.2")[0])
    assert reply.details is None


def test_an_observer_says_that_it_is_one():
    one = Bench(1, observer=True)
    assert own(one).solicit(5).observer
    assert own(one).probe(5, want=True).observer
