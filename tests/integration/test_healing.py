"""Each protocol's listener dies in turn under traffic, on real sockets: the next takes over, the
member that lost it is told and opens it anew, and the preferred protocol returns.
"""

import asyncio
from contextlib import AsyncExitStack

import pytest

from meshcluster import AsyncCluster

STEPS = 300


class Traffic:
    """Two members, one telling the other numbers without a pause; what it heard, by protocol."""

    def __init__(self, one, other):
        self.clusters = (one, other)
        self.sent = 0
        self.heard = []
        self.protocols = []
        other.hook("event")(self._hear)

    def _hear(self, event):
        self.heard.append(event.data)
        if self.protocols[-1:] != [event.protocol]:
            self.protocols.append(event.protocol)

    async def run(self):
        while True:
            await self.clusters[0].send(self.sent, resolve="other")
            self.sent += 1
            await asyncio.sleep(0.002)

    async def until(self, condition):
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - what it looks at tells nobody
                await asyncio.sleep(0.01)

    def break_links(self):
        for cluster in self.clusters:
            for end in list(cluster.joined._ends.values()):
                end.link.abort()


async def no_listener(cluster, scheme):
    """What a cleaner of /tmp does to a UNIX socket; a port that is closed under us."""
    handler = cluster.joined._handlers[scheme]
    if scheme == "unix":
        handler._claim.path.unlink()
    else:
        for server in handler._servers:
            server.close()
        await asyncio.sleep(0)


@pytest.fixture
async def traffic(beacon_port):
    async def begin(protocols):
        clusters = []
        for name in ("one", "other"):
            cluster = AsyncCluster()
            joining = cluster.join([name], port=beacon_port, protocols=protocols)
            clusters.append(await stack.enter_async_context(joining))
        made = Traffic(*clusters)
        await clusters[0].wait_for_services()
        await clusters[1].wait_for_services()
        running.append(asyncio.create_task(made.run()))
        await made.until(lambda: len(made.heard) > STEPS // 10)
        return made

    running = []
    async with AsyncExitStack() as stack:
        yield begin
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@pytest.mark.parametrize(("first", "second"), [("unix", "tcp"), ("tcp", "unix"), ("tcp", "zeromq")])
async def test_the_next_takes_over_and_the_preferred_one_returns(traffic, first, second):
    made = await traffic([first, second])
    assert made.protocols == [first]
    before = [cluster.joined.node.details.endpoints[0] for cluster in made.clusters]
    for cluster in made.clusters:
        await no_listener(cluster, first)
    made.break_links()
    await made.until(lambda: made.protocols[-2:] == [second, first])
    count = len(made.heard)
    await made.until(lambda: len(made.heard) > count + 20)
    assert made.heard == list(range(len(made.heard)))
    assert made.protocols == [first, second, first]
    after = [cluster.joined.node.details.endpoints[0] for cluster in made.clusters]
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1, "the one that was told"
    told = f"reports that {first} could not be opened"
    assert sum(cluster.dropped.get(told, 0) for cluster in made.clusters) >= 1


async def test_a_protocol_that_stays_blocked_leaves_the_other_alone(traffic):
    made = await traffic(["unix", "tcp"])
    for cluster in made.clusters:
        handler = cluster.joined._handlers["unix"]
        handler._claim.path.unlink()
        handler._claim.path.mkdir()  # it cannot be opened anew either
    made.break_links()
    count = made.sent + STEPS
    await made.until(lambda: len(made.heard) > count)
    assert made.protocols == ["unix", "tcp"]
    assert made.heard == list(range(len(made.heard)))
    for cluster in made.clusters:
        cluster.joined._handlers["unix"]._claim.path.rmdir()
    made.break_links()
    await made.until(lambda: made.protocols[-1] == "unix")
    assert made.heard == list(range(len(made.heard)))


async def test_what_a_member_had_not_acknowledged_when_it_was_lost_is_told(beacon_port):
    async with AsyncExitStack() as stack:
        clusters = []
        for name in ("one", "other"):
            joining = AsyncCluster().join([name], port=beacon_port)
            clusters.append(await stack.enter_async_context(joining))
        one, other = clusters
        lost = asyncio.Queue()
        one.hook("send.lost")(lost.put_nowait)
        (service,) = await one.wait_for_services(resolve="other")
        await other.wait_for_services()
        await one.send("heard", resolve="other")
        while one.undelivered:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.005)
        await one.send("never sent", services=[service])  # it waits for the loop's next turn
        one.joined.node._admission.lose(
            one.joined.node.peers.member(service.key), "is gone for the test", one.joined.time()
        )
        one.joined.step()
        told = await asyncio.wait_for(lost.get(), 10)
        assert (told.service, told.reason) == (service, "is gone for the test")
        assert [message.data for message in told.messages] == ["never sent"]
