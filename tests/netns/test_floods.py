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
            came = flooder.reply()
            if decoy:
                alone += rate
            else:
                flooded, sent = flooded + rate, sent + came
            print(f"{number}: {came} sent to {'nobody' if decoy else 'them'}, {rate:.0f} asked/s")
    flooder.begin(json.dumps([seconds / 2, RATE, False]))
    late = three.join("late", ttl=1)
    met = len(late.ask("met(2)"))
    sent += flooder.reply()
    memory = [m.ask("memory()") - was for m, was in zip(members, before, strict=True)]
    print(
        f"{sent} junk datagrams at up to {RATE * REACHED:.0f}/s: {flooded / alone:.0%} of the "
        f"round trips beside a flood for nobody, memory {[f'{m:+.1f}' for m in memory]} MiB"
    )
    for member in members:
        print(json.dumps(member.ask("cluster.dropped"), indent=1))
    assert met == 2, "who joined meanwhile knows both"
    assert [len(member.ask("met(2)")) for member in members] == [2, 2]
    assert [member.ask("losses_so_far()") for member in members] == [[], []]
    assert [member.ask("cluster._driver.node.peers.strangers < 3000") for member in members]
    assert max(memory) < MEMORY_MIB
    return flooded / alone


@pytest.mark.slow
def test_a_flood_of_seconds(network):
    assert flood(network, 6) > 0  # how fast, the long one says: this one runs beside other tests


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_flood_of_a_minute(network):
    assert flood(network, 60) >= SPEED
