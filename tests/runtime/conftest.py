"""Members of a mesh of each test's own."""

from contextlib import AsyncExitStack
from functools import partial

import pytest

from meshcluster import AsyncCluster
from meshcluster.config import ClusterConfig, Limits


@pytest.fixture
async def join(beacon_port, monkeypatch):
    """Joins members, with limits of their own if need be; all leave at the end."""
    async with AsyncExitStack() as stack:

        async def join(*tags, limits=(), **settings):
            with monkeypatch.context() as patch:
                config = partial(ClusterConfig, limits=Limits(**dict(limits)))
                patch.setattr("meshcluster.cluster.ClusterConfig", config)
                joining = AsyncCluster().join(tags, port=beacon_port, **settings)
            return await stack.enter_async_context(joining)

        yield join


@pytest.fixture
async def pair(join):
    one, other = await join("one"), await join("other")
    await one.wait_for_services()
    return one, other
