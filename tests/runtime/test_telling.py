"""What goes the short way of sending arrives as by the long one, and what it must not take it
leaves to that.
"""

import threading

import pytest

import meshcluster
from meshcluster.node.session import LARGE_BODY_BYTES


@pytest.fixture
def told(beacon_port):
    """One who tells, with whom it tells, and what that has heard."""
    heard, all_came = [], threading.Event()
    with meshcluster.join(["hears"], port=beacon_port) as hearer:

        @hearer.hook("event")
        def hear(event):
            heard.append(event.data)
            if event.data == b"end":
                all_came.set()

        with meshcluster.join(["tells"], port=beacon_port) as teller:
            yield teller, teller.wait_for_services(resolve="hears"), heard, all_came


def test_bodies_of_any_size_keep_their_order(told):
    teller, services, heard, all_came = told
    sizes = [1, LARGE_BODY_BYTES, LARGE_BODY_BYTES + 1, 40_000, 2_000_000, 3, 70_000, 0, 1]
    sent = [bytes([number]) * size for number, size in enumerate(sizes)] + [b"end"]
    for data in sent:
        teller.send(data, services=services)
    assert all_came.wait(20)
    assert heard == sent


def test_what_it_leaves_to_the_long_way(told):
    teller, services, _, _ = told
    tell, limits = teller._driver.tell, teller._driver.config.limits
    assert tell("t" * LARGE_BODY_BYTES, None, services, 0) is None  # to be encoded with care
    assert tell(bytes(limits.message_bytes + 1), None, services, 0) is None
    assert tell(b"", None, services, 7) is None
    assert tell(b"", "hears", services, 0) is None
    assert tell(b"", "nobody", None, 0) is None
