"""Which endpoints to dial, and in which order: the dialled member's list decides."""

import pytest

from meshcluster.model import Endpoint
from meshcluster.node import negotiation
from meshcluster.node.negotiation import Experience, order

UNIX, TCP, ZEROMQ = (Endpoint(scheme, {}) for scheme in ("unix", "tcp", "zeromq"))
SPOKEN = {"tcp": False, "unix": True, "memory": True}


def schemes(endpoints, **how):
    return [endpoint.scheme for endpoint in order(endpoints, **{"spoken": SPOKEN, **how})]


@pytest.mark.parametrize("offered", [(UNIX, TCP), (TCP, UNIX)])
def test_the_members_own_preference_is_kept(offered):
    assert schemes(offered, local=True) == [endpoint.scheme for endpoint in offered]


def test_what_we_do_not_speak_is_skipped():
    assert schemes([ZEROMQ, TCP], local=True) == ["tcp"]


def test_what_cannot_leave_this_machine_is_skipped_for_a_member_elsewhere():
    assert schemes([UNIX, TCP], local=False) == ["tcp"]


@pytest.mark.parametrize(
    ("only", "left"), [((), ["unix", "tcp"]), (["tcp"], ["tcp"]), (["zeromq"], [])]
)
def test_only_the_schemes_asked_for_are_left(only, left):
    assert schemes([UNIX, TCP, ZEROMQ], local=True, only=only) == left


def test_what_is_asked_for_does_not_change_the_order():
    assert schemes([UNIX, TCP], local=True, only=["tcp", "unix"]) == ["unix", "tcp"]


def test_several_endpoints_of_one_scheme_are_all_tried():
    first, second = Endpoint("tcp", {"port": 1}), Endpoint("tcp", {"port": 2})
    assert list(order([first, second], spoken=SPOKEN, local=False)) == [first, second]


def test_nothing_in_common_is_an_empty_list():
    assert schemes([ZEROMQ], local=True) == []
    assert schemes([], local=True) == []


def test_with_several_addresses_they_are_told_where_others_may_dial() -> None:
    told = negotiation.advertised(
        [Endpoint("unix", {}), Endpoint("tcp", {"port": 4})],
        hosts=("10.0.0.1", "10.1.0.1"), spoken={"unix": True, "tcp": False},
    )  # fmt: skip
    assert told == (
        Endpoint("unix", {}),
        Endpoint("tcp", {"port": 4, "hosts": "10.0.0.1,10.1.0.1"}),
    )


def test_one_address_is_told_by_the_beacon_that_comes_from_it() -> None:
    had = [Endpoint("tcp", {"port": 4, "hosts": "10.0.0.1,10.1.0.1"})]
    told = negotiation.advertised(had, hosts=("10.0.0.1",), spoken={"tcp": False})
    assert told == (Endpoint("tcp", {"port": 4}),)


def test_what_is_told_of_addresses_is_read_with_care() -> None:
    told = "10.0.0.1,127.0.0.1,224.0.0.1,x,10.0.0.2"
    assert negotiation.hosts(Endpoint("tcp", {"hosts": told})) == ["10.0.0.1"]
    assert negotiation.hosts(Endpoint("tcp", {"hosts": 5})) == []
    assert negotiation.hosts(Endpoint("tcp", {})) == []


def test_what_failed_comes_last_until_its_time_and_longer_each_time() -> None:
    known, route = Experience(), [UNIX, TCP]
    for now, pause in [(0.0, 1.0), (10.0, 2.0), (20.0, 4.0), (30.0, 8.0)]:
        known.failed(UNIX, "10.0.0.1", now)
        assert known.sort(route, "10.0.0.1", now + pause - 0.01) == [TCP, UNIX]
        assert known.sort(route, "10.0.0.1", now + pause) == route
    known.worked(UNIX)
    known.failed(UNIX, "10.0.0.1", 40.0)
    assert known.until(UNIX, "10.0.0.1") == 41.0


def test_at_another_address_or_advertised_anew_it_did_not_fail() -> None:
    known = Experience()
    known.failed(TCP, "10.0.0.1", 0.0)
    assert known.sort([TCP, UNIX], "10.0.0.2", 0.5) == [TCP, UNIX]
    known.keep([Endpoint("tcp", {"port": 2}), UNIX])
    assert known.sort([TCP, UNIX], "10.0.0.1", 0.5) == [TCP, UNIX]
