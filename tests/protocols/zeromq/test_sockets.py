"""The context of a handler: bounds on every socket, and threads only as long as there is one."""

from pathlib import Path

import pytest
import zmq

from meshcluster.protocols.zeromq.link import MESSAGE_BYTES
from meshcluster.protocols.zeromq.sockets import Sockets
from tests.waiting import until


def threads():
    return {task.name for task in Path("/proc/self/task").iterdir()}


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no /proc")
def test_the_last_socket_ends_the_threads():
    before = threads()
    sockets = Sockets(1000)
    assert threads() <= before, "none without a socket"
    made = [sockets.open(zmq.DEALER) for _ in range(3)]
    for each in made[:2]:
        sockets.shut(each)
    assert threads() - before
    sockets.shut(made[2])
    until(lambda: threads() <= before)  # the system's list may have them a moment longer
    sockets.shut(sockets.open(zmq.DEALER))  # it begins again when it is needed again
    until(lambda: threads() <= before)


@pytest.mark.parametrize("frame_bytes", [1234, 10 * MESSAGE_BYTES])
def test_every_socket_has_its_bounds(frame_bytes):
    sockets = Sockets(frame_bytes)
    made = sockets.open(zmq.ROUTER)
    assert made.getsockopt(zmq.LINGER) == 0
    assert made.getsockopt(zmq.MAXMSGSIZE) == max(frame_bytes, MESSAGE_BYTES) + 5
    assert made.getsockopt(zmq.SNDHWM) == made.getsockopt(zmq.RCVHWM) == 8
    assert made.getsockopt(zmq.HANDSHAKE_IVL) == 5000
    sockets.shut(made)
