"""Dispatchers with workers of this machine, for tests of the caller's side."""

from contextlib import AsyncExitStack, ExitStack

import pytest

from meshcluster import AsyncCluster, Cluster, Dispatcher, Serializer

from .errands import register
from .here import Gate, here


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path)


@pytest.fixture(scope="module")
def two():
    """A dispatcher with two workers that are there already, for tests that leave it as it was."""
    serializer = Serializer()
    register(serializer)
    with here(slots=2, serializer=serializer) as dispatcher:
        for future in [dispatcher.submit("time:sleep", 0.2) for _ in range(2)]:
            future.result(30)
        yield dispatcher


@pytest.fixture
def join(beacon_port):
    """Joins blocking members of a mesh of this test's own; all leave at its end."""
    with ExitStack() as stack:
        yield lambda *tags, **settings: stack.enter_context(
            Cluster().join(tags, port=beacon_port, **settings)
        )


@pytest.fixture
async def ajoin(beacon_port):
    """The same of members in the test's own loop."""
    async with AsyncExitStack() as stack:

        async def join(*tags, **settings):
            joining = AsyncCluster().join(tags, port=beacon_port, **settings)
            return await stack.enter_async_context(joining)

        yield join


@pytest.fixture
def dispatch():
    """Makes dispatchers; those that are still open at the end are closed without draining."""
    with ExitStack() as stack:

        def dispatch(servers, **settings):
            made = Dispatcher(servers, **settings)
            stack.callback(made.close, drain=False)
            return made

        yield dispatch
