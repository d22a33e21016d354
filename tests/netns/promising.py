"""A member in a process of its own that tells all others numbers, each to be acknowledged, and
handles theirs: ``promising.py NAME FOLDER OPTIONS SETTINGS``, as JSON ``join``'s options and ours.

What it calls and handles it writes into a file of its run before and after, as ``Ledger.read``
wants it, so that ``kill -9`` takes nothing away. It prints "joined"; then each line it reads is one
of "count" (how many calls have ended), "break" (all links), "hush" (the same when all have ended).
"""

import asyncio
import itertools
import json
import os
import sys
from pathlib import Path

from meshcluster import AsyncCluster, ClusterError, NoServices
from meshcluster.testing.ledger import UNSENT, outcome_of

RAISES, RAISED = 10, 7
"""One of so many numbers is answered with an exception."""
SLOW = 100
"""One of so many is handled while others come."""


class Promiser:
    """``pause``: seconds between two calls to one member; ``window``: so many are open."""

    def __init__(self, cluster, log, *, pause, window, timeout):
        self.ended = 0
        self.calls = set()
        self._talks = {}
        self._cluster = cluster
        self._log = log
        self._pause = pause
        self._window = window
        self._timeout = timeout
        self._talking = True
        self._numbers = itertools.count(1)
        cluster.hook("event")(self._handle)
        cluster.hook("service.discovered")(self._begin)

    def _write(self, line):
        os.write(self._log, line.encode() + b"\n")

    async def _handle(self, event):
        number = event.data
        raises = number % RAISES == RAISED
        self._write(f"h {event.service.key.hex()} {number} {int(raises)}")
        if number % SLOW == 0:
            await asyncio.sleep(0.002)
        if raises:
            raise ValueError(number)

    def _begin(self, service):
        if service.key not in self._talks:
            self._talks[service.key] = asyncio.create_task(self._talk(service))

    async def _talk(self, service):
        room = asyncio.Semaphore(self._window)
        there = True

        def ended(call):
            nonlocal there
            there = there and not isinstance(call.result(), NoServices)
            room.release()
            self.calls.discard(call)

        while self._talking and there:
            await room.acquire()
            call = asyncio.create_task(self._call(service))
            self.calls.add(call)
            call.add_done_callback(ended)
            await asyncio.sleep(self._pause)
        del self._talks[service.key]

    async def _call(self, service):
        number, error = next(self._numbers), None
        self._write(f"b {number} {service.key.hex()}")
        try:
            await service.send(number, ack=True, timeout=self._timeout)
        except ClusterError as raised:
            error = raised
        outcome = outcome_of(error)
        self._write(f"e {number} {outcome}")
        self.ended += 1
        if outcome == UNSENT:
            await asyncio.sleep(0.05)  # nobody is called again at once in vain
        return error

    def break_links(self):
        for end in list(self._cluster.joined._ends.values()):
            end.link.abort()

    async def hush(self):
        self._talking = False
        while waited := {*self.calls, *self._talks.values()}:
            await asyncio.wait(waited)
        return self.ended


async def lines():
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.decode().strip()


async def main(name, folder, options, settings):
    path = Path(folder) / f"{name}.{os.getpid()}"
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    cluster = AsyncCluster()
    promiser = Promiser(cluster, log, **json.loads(settings))
    async with cluster.join(name=name, **json.loads(options)):
        path.rename(Path(folder) / cluster.joined.node.identity.key.hex())
        print(json.dumps("joined"), flush=True)
        async for line in lines():
            if line == "break":
                promiser.break_links()
            reply = await promiser.hush() if line == "hush" else promiser.ended
            print(json.dumps(reply), flush=True)


asyncio.run(main(*sys.argv[1:]))
