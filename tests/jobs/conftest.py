"""Members for tests of jobs."""

from contextlib import ExitStack

import pytest

from meshcluster import Cluster
from tests.ssh.ways import way

__all__ = ("way",)


@pytest.fixture
def join(beacon_port):
    """Joins blocking members of a mesh of this test's own; all leave at its end."""
    with ExitStack() as stack:
        yield lambda *tags, **settings: stack.enter_context(
            Cluster().join(tags, port=beacon_port, **settings)
        )
