"""What `AsyncCluster.join` returns: to be awaited or entered, and saying so when it is neither."""

import pytest

from meshcluster import AsyncCluster, NotJoined


async def test_join_can_be_awaited_or_entered(beacon_port):
    cluster = await AsyncCluster().join(["a"], port=beacon_port)
    assert cluster.services == ()
    await cluster.leave()
    async with AsyncCluster().join(port=beacon_port) as entered:
        assert entered.services == ()
    with pytest.raises(NotJoined):
        _ = entered.services


async def test_a_cluster_is_a_context_manager_that_leaves(beacon_port):
    async with AsyncCluster() as cluster:
        await cluster.join(port=beacon_port)
    with pytest.raises(NotJoined):
        _ = cluster.services


def test_a_blocking_with_says_what_to_write(beacon_port):
    with pytest.raises(TypeError, match="async with"), AsyncCluster():
        pass
    with (
        pytest.warns(RuntimeWarning, match="never awaited"),
        pytest.raises(TypeError, match="async with"),
        AsyncCluster().join(port=beacon_port),
    ):
        pass


def test_what_is_not_joined_yet_says_that_it_is_to_be_awaited(beacon_port):
    joining = AsyncCluster().join(port=beacon_port)
    with pytest.raises(AttributeError, match=r"'services': .*await cluster\.join"):
        _ = joining.services
    with pytest.warns(RuntimeWarning, match=r"never awaited: .*await cluster\.join"):
        del joining
