"""Acknowledged sends between processes that are killed and stopped, over a network that loses,
parts and breaks: each call tells the truth about what the hooks of its receiver had.
"""

import json
import sys
import time
from pathlib import Path
from random import Random

import pytest

from meshcluster.testing.ledger import OK, RAISED, UNKNOWN, Ledger

PROMISING = Path(__file__).with_name("promising.py")
FACES = ("async", "blocking", "async", "blocking")
MEMBERS = len(FACES)
QUICK = {"ttl": 1, "heartbeat_seconds": 0.2, "expire_seconds": 3}


class Storm:
    """Members on a host each, that call each other, and what happens to them. ``lossy``: so many of
    the hosts lose a third of what comes.
    """

    def __init__(self, network, folder, *, lossy, **settings):
        self._lan = network.lan(MEMBERS)
        self._hosts = self._lan.hosts
        self._folder = folder
        self._settings = {"timeout": 5, **settings}
        self._random = Random(12)
        self.faults = dict.fromkeys(("kill", "stop", "part", "break"), 0)
        self.members = [self._start(number) for number in range(MEMBERS)]
        for host in self._hosts[-lossy:]:
            host.lose(30)

    def _start(self, number):
        settings = {"face": FACES[number], **self._settings}
        words = [f"m{number}", str(self._folder), json.dumps(QUICK), json.dumps(settings)]
        return self._hosts[number].start(sys.executable, "-P", str(PROMISING), *words)

    def harm(self, seconds):
        """One thing happens to one of them, or to the network, for so long."""
        fault = self._random.choice(sorted(self.faults))
        self.faults[fault] += 1
        number = self._random.randrange(MEMBERS)
        member = self.members[number]
        member.ready()
        if fault == "kill":
            member.kill()
            self.members[number] = self._start(number)
        elif fault == "stop":
            member.pause()
        elif fault == "part":
            self._lan.partition(self._hosts[:2], self._hosts[2:])
        else:
            member.ask("break")
        time.sleep(seconds)  # the fault itself
        self._lan.heal()
        if fault == "stop":
            member.resume()

    def judge(self):
        """Ends all, and what is found in the files."""
        for host in self._hosts:
            host.heal()
        for member in self.members:
            member.begin("hush")
        for member in self.members:
            member.reply()
        ledger = Ledger()
        for path in books(self._folder):
            with path.open(encoding="ascii") as lines:
                ledger.read(path.name, lines)
        return ledger


def stormed(network, folder, calls, seconds, harms, **settings):
    """Harm of so many seconds each, until so many calls have ended and so much time has passed."""
    began = time.monotonic()
    storm = Storm(network, folder, **settings)
    random, done = Random(34), 0
    while done < calls or time.monotonic() - began < seconds:
        storm.harm(random.choice(harms))
        done = ended(folder)
    ledger = storm.judge()
    print(f"{time.monotonic() - began:.0f} s, {storm.faults}: {ledger}")
    assert not ledger.faults(), ledger
    outcomes = ledger.outcomes
    assert sum(outcomes.values()) >= calls
    assert min(outcomes[OK], outcomes[RAISED], outcomes[UNKNOWN]) > 0
    assert outcomes[OK] > calls / 2


def books(folder):
    """What those wrote who have joined, and have names of hex digits since."""
    return [path for path in folder.iterdir() if not path.name.startswith("m")]


def ended(folder):
    """How many calls have ended, as the files say, which outlive their writers."""
    return sum(path.read_bytes().count(b"\ne ") for path in books(folder))


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_ten_thousand_are_each_handled_once_or_told_of(network, tmp_path):
    stormed(network, tmp_path, 10_000, 12, (0.1, 0.5, 2.0), lossy=1, pause=0.004, window=32)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_million_are_each_handled_once_or_told_of(network, tmp_path):
    stormed(network, tmp_path, 1_000_000, 60, (0.1, 0.3, 1.0, 6.0), lossy=2, pause=0, window=64)
