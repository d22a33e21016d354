"""Speaks as a member does, with another key: ``impostor.py ADDRESS UDP_PORT CLUSTER KEY_ID``.

It tries each door with what it has, and with the right key's id (anybody can read that) above what
its own key sealed. It prints what came back, as JSON: so many bytes, frames or datagrams.
"""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

from meshcluster.config import DEFAULT_ADDRESS, DEFAULT_PORT
from meshcluster.model import Endpoint, Identity
from meshcluster.protocols.base import Context
from meshcluster.protocols.registry import load
from meshcluster.security.keys import Key
from meshcluster.security.noise import Handshake
from meshcluster.security.sealing import Seal
from meshcluster.wire import codec
from meshcluster.wire.frames import Beacon, Leave, Probe, Solicit
from meshcluster.wire.splitter import HEADER

PORTS = {"tcp": 5001, "zeromq": 5002}
SILENCE_SECONDS = 1.5
ADDRESS, UDP_PORT, CLUSTER, KEY_ID = sys.argv[1:]
KEY_ID = bytes.fromhex(KEY_ID)
KEY = Key.of_bytes(b"w" * 32, CLUSTER)
ME = Identity(os.urandom(16), 1, "impostor", "host")


def beginnings():
    """How one may begin a link: in the open, by our key, by ours under the right one's name."""
    for key_id in (None, KEY.id, KEY_ID):
        if key_id is None:
            yield [codec.preface()]
            continue
        preface = codec.preface(codec.SECURITY_NOISE)
        prologue = preface + key_id + CLUSTER.encode()
        handshake = Handshake(KEY.link, prologue, os.urandom(32), initiator=True)
        yield [preface, key_id + handshake.write(b"\0")]
    yield [codec.preface(codec.SECURITY_NOISE), KEY_ID + bytes(64)]
    yield [codec.preface(codec.SECURITY_NOISE), KEY_ID]
    yield [os.urandom(100)]


def by_tcp(frames):
    """The bytes that come back until it is closed."""
    with socket.create_connection((ADDRESS, PORTS["tcp"])) as link:
        link.settimeout(SILENCE_SECONDS)
        link.sendall(b"".join(HEADER.pack(len(frame)) + frame for frame in frames))
        came = b""
        try:
            while data := link.recv(4096):
                came += data
        except OSError:
            pass
        return len(came)


class Receiver:
    """Counts what comes over a link."""

    limit_bytes = 4096

    def __init__(self):
        self.count = 0
        self.ended = asyncio.Event()

    def frames_received(self, frames):
        self.count += len(frames)

    def pause_sending(self):
        """We send little."""

    def resume_sending(self):
        """We send little."""

    def link_lost(self, reason, *, fault=False):
        self.ended.set()


async def by_zeromq(frames):
    """The frames that come back."""
    context = Context(
        cluster=CLUSTER, member_id=bytes(16), host_only=False, runtime_dir=Path("/nowhere")
    )
    handler, receiver, links = load("zeromq", context), Receiver(), []
    try:
        endpoint = Endpoint("zeromq", {"port": PORTS["zeromq"]})
        await handler.dial(ADDRESS, endpoint, lambda link: links.append(link) or receiver)
        links[0].send(frames)
        async with asyncio.timeout(SILENCE_SECONDS):
            await receiver.ended.wait()
    except TimeoutError:
        pass
    finally:
        for each in links:
            each.abort()
        await handler.close()
    return receiver.count


def datagrams():
    """All that a member says first, in the open, sealed, and sealed under the right key's name."""
    who = CLUSTER, ME.id, ME.boot
    seal = Seal(ME)
    for said in (
        Beacon(*who, 1, bytes(8), ()), Probe(*who, 5, True, 1, bytes(8)),
        Probe(*who, 5, True, 1, bytes(8), True), Solicit(*who, 5, 1, bytes(8), True), Leave(*who),
    ):  # fmt: skip
        data = codec.encode_datagram(said)
        sealed = seal.seal(KEY, data)
        yield from (data, sealed, sealed[:3] + KEY_ID + sealed[7:])


def by_udp():
    """How many datagrams come back."""
    count = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(SILENCE_SECONDS)
        for data in datagrams():
            for target in ((ADDRESS, int(UDP_PORT)), (ADDRESS, DEFAULT_PORT),
                           (DEFAULT_ADDRESS, DEFAULT_PORT)):  # fmt: skip
                asking.sendto(data, target)
        try:
            while asking.recv(4096):
                count += 1
        except TimeoutError:
            return count


async def main():
    begun = list(beginnings())
    tcp = [asyncio.to_thread(by_tcp, frames) for frames in begun]
    zeromq = [by_zeromq(frames) for frames in begun]
    udp = asyncio.to_thread(by_udp)
    print(json.dumps({
        "tcp": await asyncio.gather(*tcp), "zeromq": await asyncio.gather(*zeromq),
        "udp": await udp,
    }))  # fmt: skip


asyncio.run(main())
