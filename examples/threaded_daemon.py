"""A blocking program with a loop of its own: a sensor that tells everybody what it measures.

Nothing in it knows of asyncio. Hooks run on threads of the cluster, so what they share with the
main thread is locked or, as here, an Event. SIGTERM ends the program as sys.exit() does, so that
`with` leaves the mesh; without a handler Python dies at once and the others hear it from a broken
link instead.
"""

import os
import signal
import sys
import threading

import meshcluster

RUN_FOREVER = True

paused = threading.Event()
cluster = meshcluster.Cluster()


@cluster.hook("event", channel=7)
def command(event: meshcluster.Message) -> None:
    if event.data == "pause":
        paused.set()
    elif event.data == "resume":
        paused.clear()
    print(event.service.name, "says", event.data, flush=True)


@cluster.hook("query")
def status(question: meshcluster.Message) -> dict[str, object]:
    return {"paused": paused.is_set(), "load": os.getloadavg()[0]}


signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
stop = threading.Event()  # nobody sets it: a wait that a signal ends
try:
    with cluster.join(tags=["sensor"], channels=[7]):
        print("ready", flush=True)
        while not stop.wait(0.2):
            if not paused.is_set():
                cluster.broadcast(os.getloadavg()[0], channel=8)
except KeyboardInterrupt:
    pass
finally:
    print("left", flush=True)
