"""What becomes of a send to a receiver that has too much waiting: each policy, on one loop."""

import asyncio
from functools import partial

import pytest

from meshcluster import AsyncCluster, ConfigError, Congested
from meshcluster.config import CONGESTION, ClusterConfig, Limits

KIB = 1024
SIZE = 20 * KIB
LIMITS = Limits(
    waiting_bytes=1000 * KIB, event_window_bytes=100 * KIB, send_seconds=0.2, leave_seconds=0.1
)


class Told:
    """A member that hears events when it is let, and one that sends it numbers."""

    def __init__(self, sender, receiver):
        self.sender, self.receiver = sender, receiver
        self.go, self.handled, self.lost = asyncio.Event(), [], []
        receiver.hook("event")(self._hear)
        self.news = asyncio.Event()
        sender.hook("send.lost")(self._missed)

    async def _hear(self, message):
        await self.go.wait()
        self.handled.append(message.data[0])
        self.news.set()

    def _missed(self, lost):
        self.lost += [message.data[0] for message in lost.messages]
        self.news.set()

    async def send(self, *numbers, size=SIZE):
        for number in numbers:
            await self.sender.send([number, bytes(size)], resolve="slow")

    async def settled(self, count):
        """Until so many were handled or told as lost."""
        async with asyncio.timeout(20):
            while len({*self.handled, *self.lost}) < count:
                self.news.clear()
                await self.news.wait()

    @property
    def session(self):
        (peer,) = self.sender.joined.node.peers
        return peer.sessions[""]


@pytest.fixture
async def meet(beacon_port, monkeypatch):
    """`meet("drop_old")`: a sender with that policy, and a receiver that takes nothing yet."""
    joined = []

    async def meet(policy, limits=LIMITS):
        monkeypatch.setattr(
            "meshcluster.cluster.ClusterConfig", partial(ClusterConfig, limits=limits)
        )
        for tag in ("sender", "slow"):
            joined.append(AsyncCluster())
            await joined[-1].join([tag], port=beacon_port, congestion=policy)
        await joined[0].wait_for_services()
        return Told(*joined)

    yield meet
    for each in joined:
        await each.leave()


async def test_block_waits_and_then_says_who_is_slow(meet):
    told = await meet("block")
    with pytest.raises(Congested, match=r"did not take .* for 0\.2 s; nothing was sent") as raised:
        await told.send(*range(1000))
    assert [each.tags for each in raised.value.services] == [("slow",)]
    held = told.session.held_bytes
    assert LIMITS.waiting_bytes <= held < LIMITS.waiting_bytes + 2 * SIZE
    told.go.set()
    await told.settled(held // (2 * SIZE))
    assert told.lost == []


async def test_error_says_so_at_once(meet):
    told = await meet("error", Limits(waiting_bytes=1000 * KIB, send_seconds=10_000.0))
    with pytest.raises(Congested, match="did not take what waits for it; nothing was sent"):
        await told.send(*range(1000))
    assert told.lost == []
    told.go.set()


async def test_drop_old_gives_the_oldest_up_and_loses_none_untold(meet):
    told = await meet("drop_old")
    for number in range(300):
        await told.send(number)
        assert told.session.held_bytes < LIMITS.waiting_bytes + 2 * SIZE
    told.go.set()
    await told.settled(300)
    assert sorted([*told.handled, *told.lost]) == list(range(300)), "each once"
    assert told.handled == sorted(told.handled)
    assert told.lost == sorted(told.lost)
    assert told.handled[-1] == 299
    assert told.sender.dropped["messages given up: their receiver is too slow"] == len(told.lost)


async def test_drop_old_drops_nothing_but_events(meet):
    told = await meet("drop_old")
    box, got = told.sender.mailbox("box"), []
    told.receiver.mailbox("box", lambda letter: got.append(letter.data))
    (service,) = told.sender.services
    answers = [asyncio.ensure_future(box.request(service, [n, bytes(SIZE)])) for n in range(100)]
    await told.send(*range(100))
    await asyncio.gather(*answers)
    assert [each[0] for each in got] == list(range(100))
    told.go.set()
    await told.settled(100)


async def test_disconnect_gives_all_up_and_the_receiver_may_come_back(meet):
    told = await meet("disconnect")
    await told.send(*range(120))
    assert told.sender.dropped["receivers disconnected: too slow"] >= 1
    assert told.lost
    told.go.set()
    await told.settled(120)
    assert told.handled == sorted(set(told.handled)), "none twice, in order"
    assert 119 in told.handled
    await told.send(120)
    await told.settled(121)
    assert told.handled[-1] == 120


async def test_who_was_asked_something_and_is_disconnected_fails_the_question(meet):
    told = await meet("disconnect")
    asked = told.sender.query("?", resolve="slow", timeout=1000)
    told.receiver.hook("query")(lambda question: asyncio.Event().wait())
    await told.send(*range(200))
    await asked.wait()
    (error,) = asked.errors.values()
    assert "was too slow and disconnected" in str(error)


@pytest.mark.parametrize("policy", ["drop_old", "disconnect", "error"])
async def test_all_receivers_together_have_a_bound(meet, policy):
    limits = Limits(all_waiting_bytes=500 * KIB, event_window_bytes=100 * KIB, leave_seconds=0.1)
    told = await meet(policy, limits)
    if policy == "error":
        with pytest.raises(Congested, match="bytes wait for all receivers together"):
            await told.send(*range(1000))
    else:
        await told.send(*range(100))
        assert told.lost
    ledger = told.sender.joined.node.peers.ledger
    assert ledger.held_bytes < 500 * KIB + 2 * SIZE
    told.go.set()


async def test_the_short_way_is_closed_while_all_receivers_together_have_too_much(meet):
    told = await meet("error")
    driver = told.sender.joined
    await told.send(0, size=0)
    services = told.sender.services
    assert driver.tell(b"", None, services, 0) == services
    ledger = driver.node.peers.ledger
    ledger.frames += LIMITS.all_waiting_bytes
    driver.tell_room(told.session)
    assert driver.tell(b"", None, services, 0) is None
    with pytest.raises(Congested):
        await told.send(1, size=0)
    ledger.frames -= LIMITS.all_waiting_bytes
    await told.send(2, size=0)
    told.go.set()
    await told.settled(2)


@pytest.mark.parametrize("policy", ["", "drop_new", None, 7])
def test_a_policy_that_does_not_exist_is_refused(policy):
    with pytest.raises(ConfigError, match="one of block, drop_old, error, disconnect"):
        ClusterConfig(congestion=policy)


def test_all_policies_are_known():
    assert [ClusterConfig(congestion=each).congestion for each in CONGESTION] == list(CONGESTION)
