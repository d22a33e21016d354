"""What both faces can be asked and told at any time."""

import pytest

import meshcluster
from meshcluster.errors import ConfigError, NotJoined


@pytest.fixture
def pair(beacon_port):
    with (
        meshcluster.join(["web", "old"], name="one", port=beacon_port) as one,
        meshcluster.join(["db"], name="other", port=beacon_port, props={"rack": 1}) as other,
    ):
        one.wait_for_services()
        other.wait_for_services()
        yield one, other


def test_others_are_found_by_words_and_by_tests(pair):
    one, _other = pair
    assert one.known_services == len(one.services) == 1
    assert [s.name for s in one.resolve("db", "localhost")] == ["other"]
    assert [s.name for s in one.resolver("-not", ["web"], "-some", ["db", "x"])] == ["other"]
    assert one.resolver("-has", "nothing") == ()
    with pytest.raises(ConfigError):
        one.resolver("-match", "x")


def test_the_same_can_be_asked_of_ourselves(pair):
    one, other = pair
    (seen,) = other.services
    assert one.resolve_self("web", "localhost", "one", "127.0.0.1")
    assert not one.resolve_self("db")
    assert one.resolver_self("-exact", ["old", "web"])
    assert one.uuid == seen.uuid


def test_what_we_say_of_ourselves_reaches_the_others(pair):
    one, other = pair
    one.tags.map("old", "new")
    one.props["load"] = 3
    with other.query("x", resolve="one") as query:  # its answer comes after the news
        query.wait()
    (seen,) = other.services
    assert (seen.tags, dict(seen.props)) == (("web", "new"), {"load": 3})


def test_discover_is_rate_limited_and_heartbeat_is_not(pair):
    one, _other = pair
    assert one.discover() is True
    assert one.discover() is False
    one.heartbeat()


def test_outside_a_mesh_there_is_nobody_to_ask():
    cluster = meshcluster.Cluster()
    for ask in (
        lambda: cluster.services, lambda: cluster.known_services, lambda: cluster.uuid,
        lambda: cluster.config, lambda: cluster.resolve_self("x"), cluster.discover,
        cluster.heartbeat, lambda: cluster.tags.append("x"), lambda: cluster.props.clear(),
    ):  # fmt: skip
        with pytest.raises(NotJoined):
            ask()


def test_a_snapshot_outlives_its_cluster(pair):
    one, _other = pair
    (seen,) = one.services
    assert seen.state == "alive"
    one.leave()
    assert (seen.state, seen.last_seen, seen.protocol) == ("gone", None, "")
