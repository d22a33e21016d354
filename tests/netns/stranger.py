"""Tries every door of a member, from wherever it runs: ``stranger.py ADDRESS UDP_PORT``.

It prints what came of each, as JSON: an answer, "refused" (no connection), "cut off" or "silence".
"""

import asyncio
import json
import socket
import sys
from pathlib import Path

import zmq
from zeroconf import DNSOutgoing
from zeroconf.asyncio import AsyncServiceInfo

from meshcluster.announcers.mdns import SERVICE_TYPE
from meshcluster.cli.hearing import Question
from meshcluster.config import DEFAULT_ADDRESS, DEFAULT_PORT
from meshcluster.model import Endpoint
from meshcluster.protocols.base import Context
from meshcluster.protocols.registry import load
from meshcluster.wire import codec
from meshcluster.wire.frames import Beacon
from meshcluster.wire.txt import encode_txt, record_of

PORTS = {"tcp": 5001, "zeromq": 5002}
GUESTS_PORT = 5003
SILENCE_SECONDS = 3.0
RESPONSE = 0x8400


class Receiver:
    """What comes over a link."""

    limit_bytes = 4096

    def __init__(self):
        self.came = asyncio.get_running_loop().create_future()

    def frames_received(self, frames):
        self._set("an answer")

    def pause_sending(self):
        """We send one frame."""

    def resume_sending(self):
        """We send one frame."""

    def link_lost(self, reason, *, fault=False):
        self._set("cut off")

    def _set(self, what):
        if not self.came.done():
            self.came.set_result(what)


async def link(scheme, address):
    """Dials, and begins as a member does."""
    context = Context(
        cluster="default", member_id=bytes(16), host_only=False, runtime_dir=Path("/nowhere")
    )
    handler, receiver, links = load(scheme, context), Receiver(), []
    try:
        endpoint = Endpoint(scheme, {"port": PORTS[scheme]})
        await handler.dial(address, endpoint, lambda link: links.append(link) or receiver)
        links[0].send([codec.preface()])
        return await asyncio.wait_for(receiver.came, SILENCE_SECONDS)
    except TimeoutError:
        return "silence"
    except OSError:
        return "refused"
    finally:
        for each in links:
            each.abort()
        await handler.close()


def guest(address):
    """Asks as a plain ZeroMQ program."""
    with zmq.Context() as context, context.socket(zmq.REQ) as asking:
        asking.setsockopt(zmq.LINGER, 0)
        asking.setsockopt(zmq.RCVTIMEO, int(SILENCE_SECONDS * 1000))
        asking.connect(f"tcp://{address}:{GUESTS_PORT}")
        try:
            asking.send(b"hello")
            return asking.recv_multipart()[0].decode()
        except zmq.Again:
            return "silence"


def datagram(address, port):
    """Probes, as members and observers do."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.5)
        for _ in range(3):
            asking.sendto(Question("default").to_one(), (address, port))
        try:
            return "an answer" if asking.recv(2048) else "silence"
        except TimeoutError:
            return "silence"


def record(address):
    """Sends an mDNS response that names a member here."""
    endpoints = (Endpoint("tcp", {"port": 4000}),)
    said = record_of(
        Beacon("default", b"s" * 16, 1, 1, bytes(8), endpoints),
        f"{DEFAULT_ADDRESS}:{DEFAULT_PORT}", port=5005, ttl=32,
    )  # fmt: skip
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as telling:
        telling.connect((address, 5353))
        info = AsyncServiceInfo(
            SERVICE_TYPE, f"stranger.{SERVICE_TYPE}", port=5005, properties=encode_txt(said),
            server="stranger.local.", parsed_addresses=[telling.getsockname()[0]],
        )  # fmt: skip
        out = DNSOutgoing(RESPONSE)
        for each in (
            info.dns_pointer(), info.dns_service(), info.dns_text(), *info.dns_addresses()
        ):  # fmt: skip
            out.add_answer_at_time(each, 0)
        for packet in out.packets():
            telling.send(packet)


async def main():
    address, udp_port = sys.argv[1], int(sys.argv[2])
    record(address)
    tried = {
        **{scheme: link(scheme, address) for scheme in PORTS},
        "guest": asyncio.to_thread(guest, address),
        "beacon port": asyncio.to_thread(datagram, address, DEFAULT_PORT),
        "udp": asyncio.to_thread(datagram, address, udp_port),
    }
    print(json.dumps(dict(zip(tried, await asyncio.gather(*tried.values()), strict=True))))


asyncio.run(main())
