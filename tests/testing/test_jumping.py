"""Whole members in virtual time: the asynchronous shell, tens of them, hours in a moment."""

import asyncio

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
