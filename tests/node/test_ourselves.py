"""What a node says of itself: told when it changes, and never more than others can be told."""

import pytest

from meshcluster.errors import MessageTooLarge
from meshcluster.model import Endpoint
from meshcluster.testing import Bench

FIRST, SECOND = Endpoint("first", {"port": 1}), Endpoint("second", {"port": 2})
SPOKEN = {"first": False, "second": True}
TWO = ["10.0.0.1/24", "10.1.0.1/24"]


@pytest.fixture
def bench():
    return Bench(1, endpoints=[FIRST, SECOND], spoken=SPOKEN)


def test_what_is_the_same_is_no_change(bench):
    bench.node.describe(0.0, tags=bench.node.details.tags)
    assert bench.node.details.version == 1


def test_each_change_has_a_higher_version_and_changes_our_fingerprint(bench):
    before = bench.node._ourselves.fingerprint
    bench.node.describe(0.0, tags=("new",))
    assert bench.node.details.version == 2
    assert bench.node._ourselves.fingerprint != before
    assert "new" in bench.node.own_words


def test_what_nobody_could_be_told_is_refused_and_nothing_changes(bench):
    before = bench.node.details
    with pytest.raises(MessageTooLarge, match="tags, props and endpoints"):
        bench.node.describe(0.0, props={"large": "x" * bench.node.config.limits.hello_bytes})
    with pytest.raises(MessageTooLarge, match="a beacon with these endpoints"):
        bench.node.describe(0.0, endpoints=(Endpoint("first", {"long": "x" * 2000}),))
    assert bench.node.details is before


def test_with_several_addresses_the_endpoints_tell_them(bench):
    bench.node.networks_changed(TWO, 0.0)
    first, second = bench.node.details.endpoints
    assert first.props == {"port": 1, "hosts": "10.0.0.1,10.1.0.1"}
    assert second == SECOND


def test_an_endpoint_that_was_opened_anew_tells_the_addresses_of_now(bench):
    bench.node.networks_changed(TWO, 0.0)
    bench.node.renewed(FIRST, Endpoint("first", {"port": 7}), 1.0)
    first, second = bench.node.details.endpoints
    assert first.props == {"port": 7, "hosts": "10.0.0.1,10.1.0.1"}
    assert second == SECOND


def test_an_endpoint_that_was_opened_anew_at_the_same_place_is_seen_to_be_new(bench):
    seen = [FIRST]
    for _ in range(3):
        bench.node.renewed(seen[-1], FIRST, 0.0)
        assert bench.node.details.endpoints[0] not in seen
        seen.append(bench.node.details.endpoints[0])
