"""Two shells discover each other, and one hears how the other ends."""

import signal

import pytest

pytestmark = pytest.mark.process


def test_two_shells_discover_each_other(shell):
    one = shell("examples/discovery.py", "service_one")
    two = shell("examples/discovery.py", "service_two", "blue")
    one.wait_for("discovered discovery-..., tagged service_two, blue")
    two.wait_for("discovered discovery-..., tagged service_one")
    two.signal(signal.SIGINT)
    two.wait()
    one.wait_for("lost discovery-...")


def test_a_killed_shell_is_lost(shell):
    one = shell("examples/discovery.py")
    two = shell("examples/discovery.py")
    one.wait_for("discovered discovery-..., tagged service_one")
    two.wait_for("discovered discovery-..., tagged service_one")
    two.signal(signal.SIGKILL)
    one.wait_for("lost discovery-...")
