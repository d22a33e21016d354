"""Gives jobs to idle workers (daemon.py), each to the one with the fewest; waits when all are busy.

python examples/daemon_client.py SECONDS...
"""

import asyncio
import sys

import meshcluster

RUN_FOREVER = True  # when there is no worker


async def run(cluster: meshcluster.AsyncCluster, seconds: float) -> None:
    while True:
        idle = await cluster.wait_for_services(resolve=["worker", "idle"], timeout=3600)
        worker = min(idle, key=lambda service: service.props["running"])
        query = worker.query(seconds)
        for service, answer in (await query).items():
            print(service.name, answer, flush=True)
            return
        for service, error in query.errors.items():  # it became busy, or died, meanwhile
            print(service.name, "could not:", error, flush=True)
        await asyncio.sleep(0.1)


async def main() -> None:
    jobs = [float(word) for word in sys.argv[1:]] or [0.1]
    async with meshcluster.AsyncCluster().join() as cluster:
        await asyncio.gather(*(run(cluster, seconds) for seconds in jobs))


asyncio.run(main())
