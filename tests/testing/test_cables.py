"""Links over cables that come out: what is held, and what ends."""

import asyncio

import pytest

from meshcluster.protocols.stream import CUT_SECONDS
from meshcluster.testing.jumping import run
from meshcluster.timing import Timing

PATIENT = {
    "heartbeat_seconds": 60, "expire_seconds": 300,
    "timing": Timing(probe_seconds=60, answer_seconds=5, suspect_seconds=60, late_seconds=1),
}  # fmt: skip
"""Nobody misses anybody while a cable is out."""


async def two(mesh, heard):
    one = await mesh.join("one", **PATIENT)
    hooks = {"event": lambda event: heard.append(event.data)}
    other = await mesh.join("other", hooks=hooks, **PATIENT)
    await one.wait_for_services()
    await other.wait_for_services()
    await one.broadcast("before")
    await asyncio.sleep(0.1)
    return one, other


def links(cluster):
    return set(cluster.joined._ends)


@pytest.mark.parametrize("out", [0, 1])
def test_what_is_sent_while_a_cable_is_out_arrives_when_it_is_in_again(out):
    async def main(mesh):
        heard = []
        clusters = await two(mesh, heard)
        before = links(clusters[0])
        mesh.unplug(clusters[out])
        await clusters[0].broadcast("meanwhile")
        await asyncio.sleep(CUT_SECONDS - 1)
        assert heard == ["before"]
        mesh.plug(clusters[out])
        await asyncio.sleep(0.1)
        return heard, links(clusters[0]) == before

    assert run(main, seed=1) == (["before", "meanwhile"], True)


def test_a_link_that_holds_something_for_long_ends():
    async def main(mesh):
        heard = []
        one, other = await two(mesh, heard)
        before = links(one)
        mesh.unplug(other)
        await one.broadcast("meanwhile")
        await asyncio.sleep(CUT_SECONDS + 0.1)
        assert not links(one) & before
        mesh.plug(other)
        await asyncio.sleep(2)
        return heard

    assert run(main, seed=1) == ["before", "meanwhile"]


def test_a_link_on_which_nothing_is_said_does_not_notice():
    async def main(mesh):
        one, other = await two(mesh, [])
        before = links(one)
        mesh.unplug(other)
        await asyncio.sleep(3 * CUT_SECONDS)
        return links(one) == before

    assert run(main, seed=1)


def test_members_that_swap_their_addresses_are_themselves():
    async def main(mesh):
        heard = []
        one, other = await two(mesh, heard)
        mesh.swap(one, other)
        await one.send("after", resolve="other")
        await asyncio.sleep(100)
        return heard, [service.name for service in one.services]

    assert run(main, seed=1) == (["before", "after"], ["other"])
