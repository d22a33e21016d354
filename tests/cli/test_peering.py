"""What is between us and a host that is named."""

import socket
import sys
import threading
import time

import pytest

import meshcluster
from meshcluster.announcers.groups import LOOPBACK_WAY
from meshcluster.cli.checks import BROKEN, GOOD, NOTE, Check
from meshcluster.cli.hearing import Listening, Question, understood
from meshcluster.cli.peering import Knocking, Peer, knock, looked_up, peer_checks
from meshcluster.config import DEFAULT_ADDRESS
from meshcluster.protocols.base import Context
from meshcluster.wire.codec import encode_datagram
from meshcluster.wire.frames import ProbeReply

linux = pytest.mark.skipif(sys.platform != "linux", reason="multicast on loopback is Linux's")


@pytest.fixture
def context(runtime_dir):
    return Context(cluster="default", member_id=bytes(16), host_only=True, runtime_dir=runtime_dir)


def test_a_host_may_have_a_port():
    assert looked_up("127.0.0.1", 5) == Peer("127.0.0.1", 5, ("127.0.0.1",))
    assert looked_up("127.0.0.1:6", 5) == Peer("127.0.0.1", 6, ("127.0.0.1",))
    assert looked_up("::1", 5) == Peer("::1", 5, ("::1",))


def test_a_host_that_is_unknown():
    unknown = looked_up("no-such-host.invalid", 5)
    assert isinstance(unknown, Check)
    assert unknown.state == BROKEN
    assert "unknown host" in unknown.text


def test_nobody_listens_there(beacon_port):
    assert knock("127.0.0.1", beacon_port, Question("default")).trouble == "refused"


def test_nobody_answers_there(beacon_port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", beacon_port))
        assert knock("127.0.0.1", beacon_port, Question("default")) == Knocking(b"", "silent")


@linux
@pytest.mark.parametrize("protocols", [["tcp"], ["unix", "tcp"]])
def test_a_member_is_found_and_its_protocols_dialled(beacon_port, context, protocols):
    question = Question("default")
    with meshcluster.join(port=beacon_port, name="there", protocols=protocols):
        listening = Listening([LOOPBACK_WAY], DEFAULT_ADDRESS, beacon_port, 0)
        heard = listening.run(question.to_group(), 1.0).heard
        peer = looked_up("127.0.0.1", beacon_port)
        checks = peer_checks(peer, heard, question, context, {"127.0.0.1"})
    assert {each.state for each in checks} == {GOOD}
    said = [each.subject for each in checks[2:]]
    assert said == [*(f"there {name}" for name in protocols), "127.0.0.1 clock"]


@pytest.fixture
def ahead():
    """Seconds by which the other clock is ahead of ours."""
    return 0


@pytest.fixture
def answering(beacon_port, ahead):
    """A member, as far as probes are concerned: it answers from a port of its own."""

    def answer(listener):
        while not (found := listener.recvfrom(2048))[0]:
            pass
        probe, source = found
        nonce = understood(probe).nonce
        clock = round(1000 * (time.time() + ahead))
        reply = ProbeReply("default", bytes(16), 1, nonce, 0, None, True, clock=clock)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.sendto(encode_datagram(reply), source)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.settimeout(20)
        listener.bind(("127.0.0.1", beacon_port))
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        yield looked_up("127.0.0.1", beacon_port)
        thread.join()


def test_a_member_that_is_not_heard_by_multicast_names_the_network(answering, context):
    multicast, unicast, clock = peer_checks(answering, [], Question("default"), context, set())
    assert (multicast.state, unicast.state, clock.state) == (BROKEN, GOOD, GOOD)
    assert "multicast does not get through" in multicast.text
    assert "seed" in multicast.next


@pytest.mark.parametrize(("ahead", "said"), [(60, "60 s ahead of ours"), (-60, "60 s behind ours")])
def test_a_clock_that_differs_is_a_note(answering, context, said):
    *_, clock = peer_checks(answering, [], Question("default"), context, set())
    assert (clock.state, clock.text) == (NOTE, said)
    assert "NTP" in clock.next
