"""A secret is changed while everybody stays and talks: nobody is lost, and no message is."""

import asyncio
import logging
import time
from collections import Counter, defaultdict

import pytest

from meshcluster import AsyncCluster
from meshcluster.runtime import following
from meshcluster.runtime.realm import key_of
from meshcluster.security.text import text_of
from tests.waiting import eventually

pytestmark = [pytest.mark.process, pytest.mark.slow]

MEMBERS = 20
OLD, NEW = (text_of(bytes([number]) * 32) for number in (1, 2))
PATIENCE_SECONDS = 30


class Talker:
    """A member that tells the others numbers, asks them, and notes what becomes of it."""

    def __init__(self, number):
        self.name = f"m{number}"
        self.cluster = AsyncCluster()
        self.came = defaultdict(list)
        self.sent, self.answered = Counter(), 0
        self.troubles = []
        self.cluster.hook("event")(self._told)
        self.cluster.hook("query")(lambda question: self.name)
        for hook in ("service.lost", "service.suspect", "send.lost"):
            self.cluster.hook(hook)(lambda *what, hook=hook: self.troubles.append((hook, *what)))

    def _told(self, event):
        self.came[event.service.name].append(event.data)

    async def talk(self, neighbours, until):
        """Tells each of some the next number, and asks everybody now and then."""
        count = 0
        while not until.is_set():
            count += 1
            for service in self.cluster.services:
                if service.name in neighbours:
                    await self.cluster.send(self.sent[service.name], services=[service])
                    self.sent[service.name] += 1
            if count % 10 == 0:
                answers = await self.cluster.query("who", timeout=PATIENCE_SECONDS)
                self.answered += len(answers) == MEMBERS - 1
                if len(answers) != MEMBERS - 1:
                    self.troubles.append(("answers", len(answers)))
            await asyncio.sleep(0.02)


async def flows(talkers):
    """Waits until hundreds of messages more were sent, and everybody has asked everybody."""
    sent, answered = sum(t.sent.total() for t in talkers), [t.answered for t in talkers]
    await eventually(lambda: sum(t.sent.total() for t in talkers) > sent + 300)
    await eventually(lambda: all(t.answered > n for t, n in zip(talkers, answered, strict=True)))


async def joined(port, secret, count=MEMBERS, **options):
    talkers = [Talker(number) for number in range(count)]
    for talker in talkers:
        await talker.cluster.join(
            name=talker.name, secret=secret, port=port, heartbeat_seconds=0.5,
            protocols=["tcp"], **options,
        )  # fmt: skip
    await eventually(lambda: all(len(t.cluster.services) == count - 1 for t in talkers))
    return talkers


def users(talker):
    return {key: len(services) for key, services in talker.cluster.keyring.users.items()}


async def rotated_by_calls(talkers):
    """Each step with everybody before the next; each sees when the others have done it."""
    for talker in talkers:
        new = talker.cluster.keyring.add(NEW)
    old = talkers[0].cluster.keyring[0]
    half = MEMBERS // 2
    for talker in talkers[:half]:
        talker.cluster.keyring.use(new)
    await eventually(lambda: users(talkers[-1]) == {new: half, old: half - 1})
    await flows(talkers)
    for talker in talkers[half:]:
        talker.cluster.keyring.use(new)
    await eventually(lambda: all(users(t) == {new: MEMBERS - 1, old: 0} for t in talkers))
    await flows(talkers)
    for talker in talkers:
        talker.cluster.keyring.remove(old)
    assert all(list(t.cluster.keyring) == [new] for t in talkers)


async def rotated_by_file(talkers, path):
    """One file that all follow, edited in three steps."""
    for lines in ([OLD, NEW], [NEW, OLD], [NEW]):
        path.write_text("\n".join(lines) + "\n")
        size = len(lines)
        await eventually(lambda n=size: all(len(t.cluster.keyring) == n for t in talkers))
        first = key_of(lines[0].encode(), "default").id.hex()
        await eventually(lambda k=first: all(t.cluster.keyring[0] == k for t in talkers))
        await flows(talkers)
        await eventually(lambda k=first: all(users(t)[k] == MEMBERS - 1 for t in talkers))


def unsealed_or_old(talkers, key):
    """Links of any of them that were not opened by this key."""
    return [
        session.link
        for talker in talkers
        for peer in talker.cluster.joined.node.peers
        for session in peer.sessions.values()
        if session.link is not None and session.link.entrance.key_id != bytes.fromhex(key)
    ]


@pytest.mark.parametrize("how", ["calls", "file"])
async def test_twenty_members_change_their_secret_under_load(
    beacon_port, tmp_path, monkeypatch, how
):
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.3)
    path = tmp_path / "secret"
    path.write_text(OLD + "\n")
    path.chmod(0o600)
    talkers = await joined(beacon_port, OLD if how == "calls" else path)
    done, began = asyncio.Event(), time.monotonic()
    names = [talker.name for talker in talkers]
    talks = [
        asyncio.create_task(t.talk({*names[n + 1 : n + 4], *names[: max(0, n - 16)]}, done))
        for n, t in enumerate(talkers)
    ]
    if how == "calls":
        await rotated_by_calls(talkers)
    else:
        await rotated_by_file(talkers, path)
    await flows(talkers)
    took = time.monotonic() - began
    done.set()
    await asyncio.gather(*talks)
    (new,) = talkers[0].cluster.keyring
    await eventually(lambda: not any(t.cluster.undelivered for t in talkers))
    total = 0
    for sender in talkers:
        for receiver in talkers:
            count = sender.sent[receiver.name]
            await eventually(lambda r=receiver, s=sender, c=count: len(r.came[s.name]) >= c)
            assert receiver.came[sender.name] == list(range(count))  # none lost, moved or doubled
            total += count
    print(f"{MEMBERS} members, by {how}: {took:.1f} s, {total} messages,"
          f" {sum(t.answered for t in talkers)} queries")  # fmt: skip
    assert [t.troubles for t in talkers if t.troubles] == []
    assert total > 1000
    assert sum(t.answered for t in talkers) > MEMBERS
    assert unsealed_or_old(talkers, new) == []
    for talker in talkers:
        await talker.cluster.leave()


async def test_who_missed_the_change_is_told_of_by_itself_and_by_others(beacon_port, caplog):
    one, other, late = await joined(beacon_port, OLD, count=3)
    for step in ("add", "use"):
        for talker in (one, other):
            getattr(talker.cluster.keyring, step)(NEW)
    old = late.cluster.keyring[0]
    assert users(one)[old] >= 1  # so one sees whom to wait for
    with caplog.at_level(logging.WARNING, "meshcluster"):
        for talker in (one, other):
            talker.cluster.keyring.remove(old)
        said = "cannot be understood, for want of our secret"
        await eventually(lambda: sum(said in record.message for record in caplog.records) >= 3)
    assert sum(said in record.message for record in caplog.records) == 3  # once a minute
    for talker in (one, other, late):
        await talker.cluster.leave()
