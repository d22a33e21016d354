"""Networks to test on, of hosts in network namespaces: ``network`` makes hosts and LANs.

    def test_three_meet(network):
        one, two, three = network.lan(3)
        members = [host.join(f"m{n}", ttl=1) for n, host in enumerate((one, two, three))]
        assert members[0].ask("[name for name, _, _ in met(2)]") == ["m1", "m2"]

Root may do it, and so may others where unprivileged user namespaces are allowed; else such a test
is skipped, with the reason. Everything has names of its own and is removed at the end, or by the
next run.
"""

import contextlib
import subprocess

import pytest

from .ground import Ground, Impossible
from .network import Network


@pytest.fixture(scope="session")
def ground():
    """What namespaces stand on."""
    try:
        ground = Ground()
    except Impossible as error:
        pytest.skip(str(error))
    yield ground
    ground.close()


def ip(*words):
    """Runs ip, outside of all hosts."""
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def stack():
    """What is to be undone at the end, before the network goes."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def namespace(network):
    """For tests that lay their own cables: makes a host and returns its namespace's name."""
    return lambda *loopback: network.host(*loopback).name


@pytest.fixture
def start(network):
    """Starts a script on the host that has a name."""
    return lambda name, *words: network.named(name).script(*words)


@pytest.fixture
def network(ground, runtime_dir):
    """Makes hosts and LANs, removed at the end of the test."""
    network = Network(ground, runtime_dir)
    yield network
    network.close()


def pytest_collection_modifyitems(items):
    """All tests of this folder have the mark."""
    for item in items:
        if "/netns/" in item.nodeid:
            item.add_marker(pytest.mark.netns)
