"""A refused datagram is heard of, and deafens nobody, whichever event loop watches the socket."""

import asyncio
import socket

import pytest

from meshcluster.announcers import MulticastAnnouncer
from meshcluster.config import DEFAULT_ADDRESS

uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")


class Heard:
    def __init__(self):
        self.all = asyncio.Queue()

    def datagram_received(self, data, source):
        self.all.put_nowait(data)

    def datagram_refused(self, address):
        self.all.put_nowait(address)


@pytest.mark.parametrize("make", [asyncio.SelectorEventLoop, uvloop.new_event_loop])
def test_a_refusal_does_not_deafen_the_socket(make, beacon_port):
    async def refused_then_told():
        announcer, heard = MulticastAnnouncer(DEFAULT_ADDRESS, beacon_port, 0), Heard()
        await announcer.open()
        announcer.start(heard)
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.bind(("127.0.0.1", 0))
                nobody = other.getsockname()
            for round_number in range(3):
                announcer.send(b"anybody?", nobody)
                assert await asyncio.wait_for(heard.all.get(), 5) == nobody
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                    other.sendto(b"%d" % round_number, ("127.0.0.1", announcer.port))
                assert await asyncio.wait_for(heard.all.get(), 5) == b"%d" % round_number
        finally:
            announcer.close()

    loop = make()
    try:
        loop.run_until_complete(refused_then_told())
    finally:
        loop.close()
