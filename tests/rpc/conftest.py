"""Members of a mesh of each test's own, and two that are about to call each other."""

from contextlib import AsyncExitStack
from functools import partial

import pytest

from meshcluster import AsyncCluster
from meshcluster.config import ClusterConfig, Limits


@pytest.fixture
async def join(beacon_port, monkeypatch):
    """Joins members; all leave at the end."""
    async with AsyncExitStack() as stack:

        async def join(*tags, cluster=None, limits=None, **settings):
            with monkeypatch.context() as patch:
                config = partial(ClusterConfig, limits=limits or Limits())
                patch.setattr("meshcluster.cluster.ClusterConfig", config)
                joining = (cluster or AsyncCluster()).join(tags, port=beacon_port, **settings)
            return await stack.enter_async_context(joining)

        yield join


class Two:
    """``server`` exposes, ``caller`` calls."""

    def __init__(self, server, caller):
        self.server = server
        self.caller = caller

    async def expose(self, function, name=None, **options):
        """Exposes it, and waits until the caller knows."""
        self.server.expose(function, name=name, **options)
        await self.caller.wait_for_exposed(name or function.__name__)

    @property
    def load(self):
        """How many calls of the caller each member has not answered, as the caller counts them."""
        places = self.caller._functions.calls.choice._loads.values()
        return sorted(len(load.open) for load in places)


@pytest.fixture
async def two(join):
    server, caller = await join("server", name="server"), await join("caller", name="caller")
    await server.wait_for_services()
    await caller.wait_for_services()
    return Two(server, caller)


@pytest.fixture
def settled(monkeypatch):
    """Nobody may still be appearing: a call of what nobody exposes fails at once."""
    monkeypatch.setattr("meshcluster.rpc.calls.APPEAR_SECONDS", 0.0)
