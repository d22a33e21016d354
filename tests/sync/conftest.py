"""Blocking members of a mesh of each test's own."""

from contextlib import ExitStack
from functools import partial

import pytest

from meshcluster import Cluster
from meshcluster.config import ClusterConfig, Limits


@pytest.fixture
def join(beacon_port, monkeypatch):
    """Joins members of a mesh of this test's own; all leave at its end."""
    with ExitStack() as stack:

        def join(*tags, cluster=None, limits=None, **settings):
            with monkeypatch.context() as patch:
                config = partial(ClusterConfig, limits=limits or Limits())
                patch.setattr("meshcluster.cluster.ClusterConfig", config)
                joined = (cluster or Cluster()).join(tags, port=beacon_port, **settings)
            return stack.enter_context(joined)

        yield join


@pytest.fixture
def pair(join):
    one, other = join("one"), join("other")
    one.wait_for_services()
    other.wait_for_services()
    return one, other
