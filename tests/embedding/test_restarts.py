"""A daemon that joins and leaves all day keeps nothing of it."""

import pytest

from meshcluster.security.sealing import KEPT_CIPHERS

pytestmark = [pytest.mark.process, pytest.mark.slow]

each_count = pytest.mark.parametrize("restarts", [150, pytest.param(500, marks=pytest.mark.long)])


def most_bytes(restarts):
    """Tables of what was lately heard fill up: ciphers of senders, and sources, of which each
    restart is one and 4,096 are kept.
    """
    return restarts * (200 + 500) + min(restarts, KEPT_CIPHERS) * 400


COUNTING = """
import atexit, tracemalloc
hooks_at_fork = []
register = os.register_at_fork

def counted(**functions):
    hooks_at_fork.append(functions)
    register(**functions)

os.register_at_fork = counted

def files():
    folder = os.environ["MESHCLUSTER_RUNTIME_DIR"]
    return [name for _, _, names in os.walk(folder) for name in names]

def held():
    return {
        "descriptors": open_files(),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "files": sorted(files()),
        "hooks at fork": len(hooks_at_fork),
        "atexit": atexit._ncallbacks(),
    }

def measure():
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
"""


@pytest.mark.timeout(120)
@each_count
def test_starts_and_stops_of_a_blocking_cluster_leave_nothing(start, restarts):
    process = start(
        f"RESTARTS = {restarts}"
        + COUNTING
        + """
peer = join("peer", answer=lambda question: question.data)
made = Cluster()

def alone():
    while peer.services:
        time.sleep(0.01)

def restart(number):
    cluster = made if number % 2 else Cluster()
    with cluster.join(port=PORT):
        cluster.wait_for_services(resolve="peer")
        cluster.query("x", resolve="peer").wait()

for number in range(30):
    restart(number)
tracemalloc.start()
for number in range(20):
    restart(number)
alone()
before, used = held(), measure()
for number in range(RESTARTS):
    restart(number)
alone()
now = held()
tell({key: (before[key], now[key]) for key in now if before[key] != now[key]}, measure() - used)
"""
    )
    differences, grown_bytes = process.hear(100)
    assert differences == {}
    assert grown_bytes < most_bytes(restarts)


@pytest.mark.timeout(120)
@each_count
def test_starts_and_stops_of_an_async_cluster_leave_nothing(start, restarts):
    process = start(
        f"RESTARTS = {restarts}"
        + COUNTING
        + """
made = AsyncCluster()

async def restart(number):
    cluster = made if number % 2 else AsyncCluster()
    async with cluster.join(port=PORT):
        await cluster.wait_for_services(resolve="peer")
        await cluster.query("x", resolve="peer")

async def main():
    async with AsyncCluster().join(["peer"], port=PORT) as peer:
        peer.hook("query")(lambda question: question.data)
        for number in range(30):
            await restart(number)
        tracemalloc.start()
        for number in range(20):
            await restart(number)
        before, tasks, used = held(), len(asyncio.all_tasks()), measure()
        for number in range(RESTARTS):
            await restart(number)
        await asyncio.sleep(0)
        now = held()
        tell({key: (before[key], now[key]) for key in now if before[key] != now[key]},
             len(asyncio.all_tasks()) - tasks, measure() - used)

run(main())
"""
    )
    differences, tasks, grown_bytes = process.hear(100)
    assert (differences, tasks) == ({}, 0)
    assert grown_bytes < most_bytes(restarts)
