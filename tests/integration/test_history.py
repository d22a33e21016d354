"""Links that are dialled at once and break at random: every message arrives once and in order."""

import asyncio
from contextlib import AsyncExitStack
from random import Random

import pytest

from meshcluster import AsyncCluster

pytestmark = pytest.mark.slow

MEMBERS, MESSAGES = 4, 800
LARGE = 100_000


class History:
    """What each member sent to the others and heard of them."""

    def __init__(self, names):
        self.heard = {(there, here): [] for here in names for there in names if here != there}
        self.lost = []

    def listen(self, cluster, name):
        @cluster.hook("event")
        def event(message):
            number, _ = message.data
            self.heard[message.service.name, name].append(number)

        cluster.hook("service.lost")(lambda service: self.lost.append((name, service.name)))

    @property
    def complete(self):
        return all(len(numbers) >= MESSAGES for numbers in self.heard.values())

    def faults(self):
        """Pairs whose messages are not all there, once and in their order."""
        return {
            f"{sender} to {receiver}": fault(numbers)
            for (sender, receiver), numbers in self.heard.items()
            if numbers != list(range(MESSAGES))
        }


def fault(numbers):
    missing = sorted(set(range(MESSAGES)) - set(numbers))
    doubled = sorted({n for n in numbers if numbers.count(n) > 1})
    return {"missing": missing, "doubled": doubled, "in order": numbers == sorted(numbers)}


async def tell_everybody(cluster, random):
    """Numbered messages, a few of them large, in bursts of chance."""
    for number in range(MESSAGES):
        padding = bytes(LARGE if random.random() < 0.01 else random.randrange(50))
        await cluster.broadcast([number, padding])
        if random.random() < 0.3:
            await asyncio.sleep(random.random() * 0.005)


async def break_links(clusters, random, broken):
    """Aborts a random link, open or opening, now and then."""
    while True:
        await asyncio.sleep(random.random() * 0.01)
        ends = list(random.choice(clusters).joined._ends.values())
        if ends:
            end = random.choice(ends)
            end.link.abort()
            broken.append(end)


async def until(condition, *arguments):
    """Looks until it is so, for at most twenty seconds or so; tells whether it is."""
    for _ in range(4000):
        if condition(*arguments):
            break
        await asyncio.sleep(0.005)
    return condition(*arguments)


def one_link_a_pair(clusters):
    return all(len(cluster.joined._ends) == len(clusters) - 1 for cluster in clusters)


@pytest.mark.parametrize("seed", [1, 7, 42, 1984])
@pytest.mark.parametrize(
    "protocols", [["unix"], ["tcp"], ["zeromq"], ["unix", "tcp"]], ids=" ".join
)
async def test_every_message_arrives_once_and_in_order(beacon_port, protocols, seed):
    random = Random(seed)
    names = [f"member-{number}" for number in range(MEMBERS)]
    history = History(names)
    async with AsyncExitStack() as stack:
        clusters = []
        for name in names:
            cluster = AsyncCluster()
            history.listen(cluster, name)
            joining = cluster.join(port=beacon_port, name=name, protocols=protocols)
            clusters.append(await stack.enter_async_context(joining))
        for cluster in clusters:
            await cluster.wait_for_services(MEMBERS - 1)
        broken = []
        breaking = asyncio.create_task(break_links(clusters, random, broken))
        await asyncio.gather(*(tell_everybody(c, Random(seed + n)) for n, c in enumerate(clusters)))
        breaking.cancel()
        await until(lambda: history.complete)
        dropped = [cluster.dropped for cluster in clusters]
        assert history.faults() == {}, f"seed {seed}, dropped {dropped}"
        assert history.lost == [], f"seed {seed}: a broken link is no death"
        assert len(broken) > 20


@pytest.mark.parametrize("protocols", [["unix"], ["tcp"], ["zeromq"]], ids=" ".join)
async def test_members_that_all_dial_each_other_at_once_end_with_one_link_a_pair(
    beacon_port, protocols
):
    for _ in range(15):
        async with AsyncExitStack() as stack:
            clusters, heard = [], asyncio.Queue()
            for _ in range(6):
                joining = AsyncCluster().join(port=beacon_port, protocols=protocols)
                clusters.append(await stack.enter_async_context(joining))
                clusters[-1].hook("event")(heard.put_nowait)
            for cluster in clusters:
                await cluster.wait_for_services(5)
            for cluster in clusters:
                await cluster.broadcast("all at once")
            async with asyncio.timeout(10):
                for _ in range(30):
                    await heard.get()
            assert await until(one_link_a_pair, clusters)
            assert heard.empty()
