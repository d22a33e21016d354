"""Junk from a thousand addresses: members keep their view, their memory and most of their speed,
and who joins meanwhile is met.
"""

import json
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.netns, pytest.mark.process]

FLOODER = Path(__file__).with_name("flooder.py")
RATE, REACHED = 23_000, 7 / 8  # of the datagrams each member gets so many
ROUND_SECONDS = 1.5
MEMORY_MIB = 20
SPEED = 0.8


def flood(network, seconds):
    """Floods two members; measures them before, meanwhile, and beside a flood for nobody."""
    one, two, three, attacker = network.lan(4)
    members = [one.join("one", ttl=1), two.join("two", ttl=1)]
    assert all(len(member.ask("met(1)")) == 1 for member in members)
    asking = members[0]
    ends = [
        (host.mac, host.address, member.ask("udp_port()"))
        for host, member in zip((one, two), members, strict=True)
    ]
    flooder = attacker.start(sys.executable, "-P", str(FLOODER), json.dumps(ends))
    flooder.ready()
    asking.ask(f"round_trips({ROUND_SECONDS / 2})")
    before = [member.ask("memory()") for member in members]
    flooded, alone, sent = 0.0, 0.0, 0
    for number in range(max(1, round(seconds / ROUND_SECONDS / 2))):
        for decoy in (True, False):
            flooder.begin(json.dumps([ROUND_SECONDS + 0.4, RATE, decoy]))
            rate = asking.ask(f"round_trips({ROUND_SECONDS})") / ROUND_SECONDS
            came, _ = flooder.reply()
            if decoy:
                alone += rate
            else:
                flooded, sent = flooded + rate, sent + came
            print(f"{number}: {came} sent to {'nobody' if decoy else 'them'}, {rate:.0f} asked/s")
    flooder.begin(json.dumps([2 * ROUND_SECONDS, RATE, False]))
    load = asking.ask(f"load({2 * ROUND_SECONDS})")
    sent += flooder.reply()[0]
    flooder.begin(json.dumps([seconds / 2, RATE, False]))
    late = three.join("late", ttl=1)
    met = len(late.ask("met(2)"))
    sent += flooder.reply()[0]
    memory = [m.ask("memory()") - was for m, was in zip(members, before, strict=True)]
    print(
        f"{sent} junk datagrams at up to {RATE * REACHED:.0f}/s: {flooded / alone:.0%} of the "
        f"round trips beside a flood for nobody, load {load:.1%}, "
        f"memory {[f'{m:+.1f}' for m in memory]} MiB"
    )
    for member in members:
        print(json.dumps(member.ask("cluster.dropped"), indent=1))
    assert met == 2, "who joined meanwhile knows both"
    assert [len(member.ask("met(2)")) for member in members] == [2, 2]
    assert [member.ask("losses_so_far()") for member in members] == [[], []]
    assert [member.ask("cluster._driver.node.peers.strangers < 3000") for member in members]
    assert max(memory) < MEMORY_MIB
    assert load < 1 - SPEED, "so much of a core junk alone takes"
    return flooded / alone


@pytest.mark.slow
def test_a_flood_of_seconds(network):
    assert flood(network, 3) > 0  # how fast, the long one says: this one runs beside other tests


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_flood_of_a_minute(network):
    assert flood(network, 60) >= SPEED


VICTIM = """
import json, select, socket, sys

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    ear.bind(("", 40000))
    print('"ready"', flush=True)
    size = count = 0
    while True:
        ready, _, _ = select.select([ear, sys.stdin], [], [])
        if ear in ready:
            size, count = size + len(ear.recv(2048)), count + 1
        elif sys.stdin.readline():
            print(json.dumps([count, size]), flush=True)
        else:
            break
"""


@pytest.mark.slow
def test_questions_in_a_victims_name_bring_it_no_more_than_they_were(network):
    """Reflected forgeries: KS-04 of the audit that ``tests/integration/test_sieges.py`` names."""
    one, two, three, attacker = network.lan(4)
    options = {"ttl": 1, "props": {"text": "x" * 700}}
    members = [one.join("one", **options), two.join("two", **options)]
    assert all(len(member.ask("met(1)")) == 1 for member in members)
    ends = [
        (host.mac, host.address, member.ask("udp_port()"))
        for host, member in zip((one, two), members, strict=True)
    ]
    victim = three.script(VICTIM)
    words = [json.dumps(ends), three.address]
    flooder = attacker.start(sys.executable, "-P", str(FLOODER), *words)
    count, size = flooder.ask(json.dumps([5, 400, False]))
    came, bytes_came = victim.ask()
    print(f"{count} questions of {size} bytes in its name: {came} answers of {bytes_came} bytes")
    assert 0 < bytes_came <= size
    assert [len(member.ask("met(1)")) for member in members] == [1, 1]
