"""A worker that runs as a service does: it answers jobs, shows everybody how busy it is, and says
goodbye at SIGTERM (systemd, docker stop) and at Ctrl-C.

    shell 1: python examples/daemon.py
    shell 2: python examples/daemon.py
    shell 3: python examples/daemon_client.py 0.5 0.5 0.5 0.5
"""

import asyncio
import signal

import meshcluster

RUN_FOREVER = True

ROOM = 2
"""Jobs at a time; a worker with so many is tagged "busy" instead of "idle"."""

cluster = meshcluster.AsyncCluster()
running = 0
none_running = asyncio.Event()


def show() -> None:
    """Tells the mesh. Changes that come together are announced together."""
    cluster.props["running"] = running
    if running == 0:
        none_running.set()
    else:
        none_running.clear()
    if running >= ROOM:
        cluster.tags.map("idle", "busy")
    else:
        cluster.tags.map("busy", "idle")


@cluster.hook("query")
async def work(question: meshcluster.Message) -> str:
    global running
    if running >= ROOM:
        raise RuntimeError("no room, ask another one")
    seconds = question.read(float)  # a DecodeError, told to the asker, when it is no number
    running += 1
    show()
    try:
        await asyncio.sleep(seconds)
        return f"slept {seconds:g} s"
    finally:
        running -= 1
        show()


@cluster.hook("service.lost")
async def lost(service: meshcluster.Service) -> None:
    print("lost", service.name, flush=True)


async def main() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with cluster.join(tags=["worker", "idle"], props={"running": 0}):
        print("ready", flush=True)
        await stop.wait()
        print("leaving", flush=True)
        cluster.tags.remove("idle", "busy")  # no new jobs; those that run get their second
        if running:
            await none_running.wait()
    print("left", flush=True)


asyncio.run(main())
