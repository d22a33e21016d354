"""Whole members in virtual time: the asynchronous shell, tens of them, hours in a moment."""

import asyncio
from collections import Counter, defaultdict

import pytest

from meshcluster import ConfigError
from meshcluster.testing.jumping import VirtualMesh, run

MEMBERS = 30


async def joined(mesh, count, **settings):
    clusters = [await mesh.join(f"m{n}", **settings) for n in range(count)]
    for cluster in clusters:
        await cluster.wait_for_services(count - 1)
    return clusters


def test_time_jumps_to_the_next_timer():
    async def main(mesh):
        loop = asyncio.get_running_loop()
        await asyncio.sleep(86400)
        return loop.time()

    assert run(main, seed=1) == pytest.approx(86400)


def test_waiting_for_what_never_happens_is_an_error_and_no_hang():
    async def main(mesh):
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="nothing will ever happen"):
        run(main, seed=1)


def test_tens_of_members_meet_talk_and_ask():
    async def main(mesh):
        clusters = await joined(mesh, MEMBERS)
        heard = []
        for number, cluster in enumerate(clusters):
            cluster.hook("event")(lambda event, n=number: heard.append((n, event.data)))
            cluster.hook("query")(lambda question, n=number: n)
        await clusters[0].broadcast("hello")
        answers = await clusters[0].query("who?", timeout=5)
        await asyncio.sleep(1)
        return sorted(heard), sorted(answers.values())

    heard, answers = run(main, seed=2)
    assert heard == [(n, "hello") for n in range(1, MEMBERS)]
    assert answers == list(range(1, MEMBERS))


@pytest.mark.parametrize("seed", range(3))
def test_the_same_seed_gives_the_same_run(seed):
    def history():
        async def main(mesh):
            loop, happened = asyncio.get_running_loop(), []
            for n in range(10):
                name = f"m{n}"
                hooks = {
                    point: lambda service, n=name, p=point: happened.append(
                        (loop.time(), n, p, service.name)
                    )
                    for point in ("service.discovered", "service.lost")
                }
                await mesh.join(name, hooks=hooks)
            await asyncio.sleep(20)
            await mesh.clusters[3].leave()
            await asyncio.sleep(20)
            return happened

        return run(main, seed=seed, loss=0.2)

    first = history()
    assert first == history()
    assert {(p, who) for _, _, p, who in first if p == "service.lost"} >= {("service.lost", "m3")}


@pytest.mark.parametrize("seed", range(3))
def test_links_that_break_at_random_lose_double_and_reorder_nothing(seed):
    async def main(mesh):
        clusters = await joined(mesh, 10)
        heard = {}
        for number, cluster in enumerate(clusters):
            cluster.hook("event")(
                lambda event, n=number: heard.setdefault((event.service.name, n), []).append(
                    event.data
                )
            )
        for number in range(100):
            for cluster in clusters:
                await cluster.broadcast(number)
            await asyncio.sleep(mesh.network.delay() * 10)
            ends = list(clusters[number % 10].joined._ends.values())
            for end in ends[number % 3 :: 3]:
                end.link.abort()
        await asyncio.sleep(30)
        return heard, [cluster.dropped for cluster in clusters]

    heard, dropped = run(main, seed=seed)
    assert len(heard) == 90
    faults = {pair: numbers for pair, numbers in heard.items() if numbers != list(range(100))}
    assert not faults, f"seed={seed}, dropped {dropped}"


async def test_a_mesh_in_real_time_is_refused():
    with pytest.raises(ConfigError, match="run"):
        await VirtualMesh(1).join("m")


class Talk:
    """Members that tell each other numbers; what came of them, and what was reported."""

    def __init__(self):
        self.clusters = {}
        self.sent = Counter()
        self.came, self.lost = defaultdict(list), defaultdict(list)

    async def join(self, mesh, name):
        def lost(given_up):
            numbers = [message.data for message in given_up.messages]
            self.lost[name, given_up.service.name] += numbers

        hooks = {
            "event": lambda e: self.came[e.service.name, name].append(e.data),
            "send.lost": lost,
        }
        self.clusters[name] = await mesh.join(name, hooks=hooks)

    async def tell_all(self):
        for name, cluster in self.clusters.items():
            for service in cluster.services:
                pair = name, service.name
                await cluster.send(self.sent[pair], services=[service])
                self.sent[pair] += 1

    async def until_all_know_all(self):
        for cluster in self.clusters.values():
            await cluster.wait_for_services(len(self.clusters) - 1)

    async def until_all_is_acknowledged(self):
        clusters = self.clusters.values()
        while any(each.undelivered for each in clusters):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.1)

    def assert_once_in_order_or_reported(self):
        for pair, sent in self.sent.items():
            assert self.came[pair] == sorted(set(self.came[pair])), pair
            assert {*self.came[pair], *self.lost[pair]} == set(range(sent)), pair


@pytest.mark.parametrize(
    ("cables", "seconds"), [(50, 3), (10, 60), pytest.param(50, 60, marks=pytest.mark.long)]
)
def test_cables_that_come_out_and_addresses_that_are_swapped(cables, seconds):
    """Who was cut off is back at once; nobody is there twice; no message is lost silently."""

    async def main(mesh):
        talk, slowest = Talk(), 0.0
        for number in range(4):
            await talk.join(mesh, f"m{number}")
        await talk.until_all_know_all()
        clusters = list(talk.clusters.values())
        for number in range(cables):
            out = clusters[number % 4]
            mesh.unplug(out)
            if number % 3:
                mesh.swap(out, clusters[(number + 1) % 4])
            for _ in range(5):
                await talk.tell_all()
                await asyncio.sleep(seconds / 5)
            mesh.plug(out)
            plugged_at = asyncio.get_running_loop().time()
            await talk.until_all_know_all()
            slowest = max(slowest, asyncio.get_running_loop().time() - plugged_at)
            await talk.tell_all()
            await asyncio.sleep(3)
            assert [len(cluster.services) for cluster in clusters] == [3] * 4
        await talk.until_all_is_acknowledged()
        return talk, slowest

    talk, slowest = run(main, seed=5)
    talk.assert_once_in_order_or_reported()
    assert slowest < 6, "a beacon, and perhaps a probe before to where it was, with patience"
    assert sum(map(len, talk.came.values())) > sum(talk.sent.values()) / 2
