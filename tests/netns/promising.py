"""A member in a process of its own that tells all others numbers, each to be acknowledged, and
handles theirs: ``promising.py NAME FOLDER OPTIONS SETTINGS``, as JSON ``join``'s options and ours.

What it calls and handles it writes into a file of its run before and after, as ``Ledger.read``
wants it, so that ``kill -9`` takes nothing away. It prints "joined"; then each line it reads is one
of "break" (all links) and "hush" (the reply comes when all calls have ended).
"""

import asyncio
import itertools
import json
import os
import sys
import threading
import time
from pathlib import Path

from meshcluster import AsyncCluster, Cluster, ClusterError, NoServices
from meshcluster.testing.ledger import UNSENT, outcome_of

RAISES, RAISED = 10, 7
"""One of so many numbers is answered with an exception."""
SLOW, SLOW_SECONDS = 100, 0.002
"""One of so many is handled while others come."""
VAIN_SECONDS = 0.05
"""Nobody is called again at once in vain."""


class Book:
    """What one run calls and handles, as it happens."""

    def __init__(self, name, folder):
        self._folder = Path(folder)
        self._path = self._folder / f"{name}.{os.getpid()}"
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._numbers = itertools.count(1)

    def is_of(self, driver):
        """Whose book it is is known when it has joined."""
        self._path.rename(self._folder / driver.node.identity.key.hex())

    def _write(self, *words):
        os.write(self._file, " ".join(map(str, words)).encode() + b"\n")

    def begin(self, service):
        number = next(self._numbers)
        self._write("b", number, service.key.hex())
        return number

    def end(self, number, error):
        outcome = outcome_of(error)
        self._write("e", number, outcome)
        return outcome

    def handle(self, event):
        """Notes it; whether it is one of the slow ones, and what it is answered with."""
        number = event.data
        raises = number % RAISES == RAISED
        self._write("h", event.service.key.hex(), number, int(raises))
        return number % SLOW == 0, ValueError(number) if raises else None


class Awaited:
    """On ``AsyncCluster``, with an ``async def`` hook. ``pause``: seconds between two calls to one
    member; ``window``: so many are open.
    """

    def __init__(self, cluster, book, *, pause, window, timeout):
        self._cluster = cluster
        self._book = book
        self._pause = pause
        self._window = window
        self._timeout = timeout
        self._calls = set()
        self._talks = {}
        self._talking = True
        cluster.hook("event")(self._handle)
        cluster.hook("service.discovered")(self._begin)

    async def _handle(self, event):
        slow, error = self._book.handle(event)
        if slow:
            await asyncio.sleep(SLOW_SECONDS)
        if error is not None:
            raise error

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
            self._calls.discard(call)

        while self._talking and there:
            await room.acquire()
            call = asyncio.create_task(self._call(service))
            self._calls.add(call)
            call.add_done_callback(ended)
            await asyncio.sleep(self._pause)
        del self._talks[service.key]

    async def _call(self, service):
        number, error = self._book.begin(service), None
        try:
            await service.send(number, ack=True, timeout=self._timeout)
        except ClusterError as raised:
            error = raised
        if self._book.end(number, error) == UNSENT:
            await asyncio.sleep(VAIN_SECONDS)
        return error

    def break_links(self):
        for end in list(self._cluster.joined._ends.values()):
            end.link.abort()

    async def hush(self):
        self._talking = False
        while waited := {*self._calls, *self._talks.values()}:
            await asyncio.wait(waited)


class Blocking:
    """On ``Cluster``, with a plain hook, and a thread that calls each member."""

    def __init__(self, cluster, book, *, pause, window, timeout):
        self._cluster = cluster
        self._book = book
        self._pause = pause
        self._timeout = timeout
        self._talks = {}
        self._hushed = threading.Event()
        cluster.hook("event")(self._handle)
        cluster.hook("service.discovered")(self._begin)

    def _handle(self, event):
        slow, error = self._book.handle(event)
        if slow:
            time.sleep(SLOW_SECONDS)
        if error is not None:
            raise error

    def _begin(self, service):
        talk = self._talks.get(service.key)
        if talk is None or not talk.is_alive():
            talk = self._talks[service.key] = threading.Thread(target=self._talk, args=[service])
            talk.start()

    def _talk(self, service):
        error = None
        while not self._hushed.wait(self._pause) and not isinstance(error, NoServices):
            number, error = self._book.begin(service), None
            try:
                service.send(number, ack=True, timeout=self._timeout)
            except ClusterError as raised:
                error = raised
            if self._book.end(number, error) == UNSENT:
                self._hushed.wait(VAIN_SECONDS)

    def break_links(self):
        loop, driver = self._cluster._loop, self._cluster._driver
        loop.run(lambda: [end.link.abort() for end in list(driver._ends.values())])

    def hush(self):
        self._hushed.set()
        for talk in list(self._talks.values()):
            talk.join()


def tell(what):
    print(json.dumps(what), flush=True)


async def awaited(book, settings, options):
    cluster = AsyncCluster()
    talker = Awaited(cluster, book, **settings)
    async with cluster.join(**options):
        book.is_of(cluster.joined)
        tell("joined")
        while line := await asyncio.to_thread(sys.stdin.readline):
            await talker.hush() if line == "hush\n" else talker.break_links()
            tell(line)


def blocking(book, settings, options):
    cluster = Cluster()
    talker = Blocking(cluster, book, **settings)
    with cluster.join(**options):
        book.is_of(cluster._driver)
        tell("joined")
        for line in sys.stdin:
            talker.hush() if line == "hush\n" else talker.break_links()
            tell(line)
        talker.hush()


def main(name, folder, options, settings):
    options, settings = {"name": name, **json.loads(options)}, json.loads(settings)
    book = Book(name, folder)
    if settings.pop("face") == "blocking":
        blocking(book, settings, options)
    else:
        asyncio.run(awaited(book, settings, options))


main(*sys.argv[1:])
