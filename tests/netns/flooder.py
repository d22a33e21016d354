"""Floods members with junk from a thousand addresses: ``flooder.py JSON``, a list of [MAC, address,
UDP port] of members. With a second word, the address of a victim, all of it is questions that say
they come from there.

Each line it reads is [seconds, datagrams a second, decoy] as JSON; it sends for so long and prints
how many datagrams and bytes of data it sent. A ``decoy`` goes to a port where nobody listens: it
costs the machine the same, and the members nothing. Before that it hears
a member's datagrams and keeps some, to replay them.
"""

import itertools
import json
import os
import random
import socket
import struct
import sys
import time

from meshcluster.config import DEFAULT_ADDRESS, DEFAULT_PORT
from meshcluster.wire import codec
from meshcluster.wire.frames import Beacon, Dead, Probe, ProbeReply, Solicit, Suspect

SOURCES, FRAMES, TICK_SECONDS = 1000, 20_000, 0.005
DECOY_PORT = 9
ETHERTYPE_IPV4, UDP = 0x0800, 17
HEADERS_BYTES = 14 + 20 + 8
CAPTURED, CAPTURE_SECONDS = 20, 4.0


def checksum(header):
    """Of an IPv4 header."""
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    return ~(total + (total >> 16)) & 0xFFFF


def frame(mac, source, target, port, data):
    """An Ethernet frame with a datagram in it."""
    udp = struct.pack("!4H", 40000, port, 8 + len(data), 0) + data
    fields = (0x45, 0, 20 + len(udp), 0, 0, 64, UDP, 0)
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    header = struct.pack("!BBHHHBBH", *fields) + ends
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return mac + b"\2\0\0\0\0\1" + struct.pack("!H", ETHERTYPE_IPV4) + header + udp


def group_mac():
    group = socket.inet_aton(DEFAULT_ADDRESS)
    return b"\1\0\x5e" + bytes([group[1] & 0x7F]) + group[2:]


def asking(chance):
    """What somebody answers."""
    me = ("default", chance.randbytes(16), chance.getrandbits(40))
    nonce = chance.getrandbits(63)
    return codec.encode_datagram(
        chance.choice(
            [
                Beacon(*me, 1, chance.randbytes(8), (), 1, 0, 1),
                Probe(*me, nonce, True, 1, chance.randbytes(8), chance.random() < 0.3),
                Solicit(*me, nonce, 1, chance.randbytes(8), chance.random() < 0.3),
            ]
        )
    )


def forged(chance):
    """What looks like a stranger's words."""
    me = ("default", chance.randbytes(16), chance.getrandbits(40))
    nonce = chance.getrandbits(63)
    return codec.encode_datagram(
        chance.choice(
            [
                Beacon(*me, 1, chance.randbytes(8), (), 1, 0, 1),
                Probe(*me, nonce, True, 1, chance.randbytes(8)),
                Solicit(*me, nonce, 1, chance.randbytes(8), chance.random() < 0.5),
                ProbeReply(*me, nonce, nonce, None, True),
                Suspect(*me, chance.randbytes(24), 5),
                Dead(*me, chance.randbytes(24), 5, True),
            ]
        )
    )


def captured():
    """What members say on the group: replayed later."""
    heard = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ear.bind((DEFAULT_ADDRESS, DEFAULT_PORT))
        joining = socket.inet_aton(DEFAULT_ADDRESS) + socket.inet_aton("0.0.0.0")
        ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joining)
        end = time.monotonic() + CAPTURE_SECONDS
        while len(heard) < CAPTURED and (left := end - time.monotonic()) > 0:
            ear.settimeout(left)
            try:
                heard.append(ear.recv(2048))
            except TimeoutError:
                break
    return heard


def junk(chance, replays):
    """Random bytes, forgeries, and what was really said."""
    kind = chance.random()
    if kind < 0.3:
        return chance.randbytes(chance.randint(1, 400))
    if kind < 0.4 and replays:
        return chance.choice(replays)
    if kind < 0.5:
        return codec.DATAGRAM_MAGIC + chance.randbytes(chance.randint(1, 400))
    return forged(chance)


def frames(members, victim, *, decoy):
    """A pool of them. To the group mostly, and to the members' own ports."""
    chance, replays = random.Random(7), [] if victim else captured()
    sources = [f"10.77.{100 + n // 250}.{1 + n % 250}" for n in range(SOURCES)]
    if victim:
        sources = [victim] * SOURCES
    made = []
    for number in range(FRAMES):
        data = asking(chance) if victim else junk(chance, replays)
        target = (group_mac(), DEFAULT_ADDRESS, DECOY_PORT if decoy else DEFAULT_PORT)
        if number % 4 == 0 and not decoy:
            mac, address, port = members[number // 4 % len(members)]
            target = (bytes.fromhex(mac.replace(":", "")), address, port)
        mac, address, port = target
        made.append(frame(mac, sources[number % SOURCES], address, port, data))
    return made


def main():
    members = json.loads(sys.argv[1])
    victim = "".join(sys.argv[2:])
    pools = {d: itertools.cycle(frames(members, victim, decoy=d)) for d in (False, True)}
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind(("eth0", 0))
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        print(json.dumps("ready"), flush=True)
        for line in sys.stdin:
            seconds, rate, decoy = json.loads(line)
            pool, sent, size, began = pools[decoy], 0, 0, time.monotonic()
            while (passed := time.monotonic() - began) < seconds:
                for _ in range(int(passed * rate) - sent):
                    size += wire.send(next(pool)) - HEADERS_BYTES
                    sent += 1
                time.sleep(TICK_SECONDS)
            print(json.dumps([sent, size]), flush=True)
    os._exit(0)


main()
