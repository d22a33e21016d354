"""``meshcluster queue``: shows queues, puts items into one, takes items from it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from math import inf
from typing import TYPE_CHECKING, Any

import click

from ..lettering import harmless
from .ending import Ended, told_to_end
from .options import Command, Example, Settings, label, number, text
from .screen import Screen
from .values import dumped, parsed, plain, text_of

if TYPE_CHECKING:
    from ..model import Service
    from ..sync.cluster import Cluster
    from ..sync.queue import Queue

FAILED, INCOMPLETE, NOBODY, INTERRUPTED = 1, 3, 4, 130

MODES = ("one", "all", "key")

HEADER = ("QUEUE", "MODE", "TYPE", "PRODUCERS")

ANYTHING = "any"
"""The type of a queue that has none."""

LOOK_SECONDS = 1.0
"""After which it is said that a queue is waited for."""


class Family(Command, click.Group):
    """A command that has commands of its own, in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(self.commands)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands, then the options."""
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)


@click.group(
    cls=Family,
    examples=(
        Example("meshcluster queue ls", "who puts into what"),
        Example("meshcluster queue tail work", "take its items, and show them"),
        Example("meshcluster queue put work 1 '{\"page\": 2}' three", "until they are done"),
    ),
)  # fmt: skip
@click.pass_context
def command(ctx: click.Context, settings: Settings) -> None:
    """Show queues, put items into one, take items from it.

    'meshcluster queue COMMAND --help' says more of each.
    """
    ctx.obj = settings


@contextmanager
def member(settings: Settings, name: str) -> Iterator[Cluster]:
    """A member, which an observer is not enough for: whoever has items of ours must hear when we
    are lost.

    Raises:
        ClusterError: see ``join``.
    """
    import logging

    from ..sync.cluster import Cluster

    logging.basicConfig(format="meshcluster: %(message)s")
    with Cluster().join(name=f"{name}-{os.getpid()}", **settings.joining) as cluster:
        yield cluster


# --- ls ----------------------------------------------------------------------------------------


@command.command(
    "ls", cls=Command,
    examples=(
        Example("meshcluster queue ls", "on this host"),
        Example("meshcluster queue ls --json | jq -r .[].queue", "their names"),
    ),
)  # fmt: skip
def ls(settings: Settings) -> int:
    """Show the queues that members put items into.

    In a pipe: queue, mode, type, producers, separated by tabs. JSON: a list of objects with queue,
    mode, type (null: any), producers (name, id).
    """
    from ..errors import NoServices
    from ..queues.queues import queues_of
    from .observing import found, observing

    screen = Screen()
    told: dict[tuple[str, str, str], list[Service]] = {}
    with observing(settings, "queue") as cluster:
        for service in found(cluster, settings, ()):
            for name, (mode, kind, *ended) in sorted(queues_of(service).items()):
                if not ended:
                    told.setdefault((name, mode, kind), []).append(service)
    if not told:
        raise NoServices(
            f"nobody puts into a queue {settings.reach}; 'meshcluster queue put NAME ITEM' would"
        )
    if settings.json:
        screen.document([
            {"queue": name, "mode": mode, "type": kind or None,
             "producers": [who(service) for service in told[name, mode, kind]]}
            for name, mode, kind in sorted(told)
        ])  # fmt: skip
    else:
        rows = [
            (name, mode, kind or ANYTHING, " ".join(sorted(s.name for s in told[name, mode, kind])))
            for name, mode, kind in sorted(told)
        ]
        screen.table(HEADER, rows, wrapped="PRODUCERS")
    return 0


def who(service: Service) -> dict[str, str]:
    """A member as JSON names it."""
    return {"name": service.name, "id": service.id}


# --- put ---------------------------------------------------------------------------------------


def values(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> list[Any]:
    """Items: JSON, or else text."""
    return [parsed(text(ctx, param, each)) for each in given]


def lines() -> Iterator[Any]:
    """An item a line of stdin: JSON, or else text, or bytes where it is no UTF-8."""
    for line in sys.stdin.buffer:
        line = line.removesuffix(b"\n")
        try:
            yield parsed(line.decode())
        except UnicodeDecodeError:
            yield line


@command.command(
    "put", cls=Command,
    examples=(
        Example("meshcluster queue put work 1 '{\"page\": 2}' three", "a number, a dict, a text"),
        Example("meshcluster queue put work -- -1", "a number below 0, after all options"),
        Example("find . -name '*.png' | meshcluster queue put thumbs", "an item a line"),
        Example("meshcluster queue put work --drain 60 <items >rest", "what is not done in a "
                "minute is kept, to be put again"),
        Example("meshcluster queue put orders --key anna '{\"tea\": 1}'",
                "to the consumer that has all of anna's"),
    ),
)  # fmt: skip
@click.argument("name", metavar="NAME", callback=label)
@click.argument("items", metavar="[ITEM]...", nargs=-1, callback=values)
@click.option("--mode", type=click.Choice(MODES), help="Each item to one consumer, to all, or to "
              "that of its key [one; key with --key].")  # fmt: skip
@click.option("--key", metavar="K", callback=lambda ctx, param, value: value and
              text(ctx, param, value), help="The key of these items.")  # fmt: skip
@click.option("--consumers", metavar="N", default="1", callback=number(1, 1_000_000),
              help="Begin when so many are there [1].")  # fmt: skip
@click.option("--drain", metavar="SECONDS", callback=number(0.0, 1e6),
              help="How long to wait until all are done [until they are].")  # fmt: skip
def put(
    settings: Settings, name: str, items: list[Any], mode: str | None, key: str | None,
    consumers: int, drain: float | None,
) -> int:  # fmt: skip
    """Put items into a queue, and wait until they are done.

    Each ITEM is JSON, or text where it is none; without any, so is each line of stdin. It waits for
    consumers, for --timeout, then puts, and goes when all is done.

    What is not done when --drain is over, or at Ctrl-C, is written to stdout, an item a line, as
    JSON: put it again. JSON: an object with queue, put (how many), done (how many), undone and dead
    (lists of items).

    Exit code 1 when consumers failed with an item too often, 3 when not all is done, 4 when nobody
    takes from it.
    """
    mode = mode or ("one" if key is None else "key")
    if key is not None and mode != "key":
        raise click.UsageError(f"--key is for --mode key, not {mode}")
    screen = Screen()
    with told_to_end():
        try:
            with member(settings, "put") as cluster:
                queue = cluster.queue(name, mode=mode)
                try:
                    queue.wait_ready(consumers, timeout=settings.timeout)
                except TimeoutError as error:
                    return nobody(settings, screen, queue, error)
                putting = Putting(queue, screen)
                putting.run(items or lines(), key, inf if drain is None else drain)
                return putting.tell(settings)
        except Ended:  # nothing was put yet
            return 0


class Putting:
    """What came of the items that we put."""

    def __init__(self, queue: Queue, screen: Screen) -> None:
        self._queue = queue
        self._screen = screen
        self._count = 0
        self._undone: tuple[Any, ...] = ()
        self._code = 0

    def run(self, items: Iterable[Any], key: str | None, drain: float) -> None:
        """Puts them all, and waits until they are done."""
        from ..errors import ClusterError

        try:
            for item in items:
                self._queue.put(item, key=key, timeout=inf)
                self._count += 1
            self._drain(drain)
        except ClusterError as error:  # an item that cannot be sent
            self._screen.note(f"meshcluster: {error}")
            self._give_up(FAILED)
        except KeyboardInterrupt:
            self._give_up(INTERRUPTED)
        except Ended:
            self._give_up(0)

    def _give_up(self, code: int) -> None:
        """Waits no longer; what is not done is kept."""
        self._drain(0.0)
        self._code = code or self._code

    def _drain(self, seconds: float) -> None:
        from ..errors import Undelivered

        try:
            self._queue.close(seconds)
        except Undelivered as error:
            self._undone, self._code = error.items, INCOMPLETE

    def tell(self, settings: Settings) -> int:
        """Says what is done and what is not; returns the exit code."""
        screen, undone, dead = self._screen, self._undone, self._queue.dead_letters
        done = self._count - len(undone) - len(dead)
        if settings.json:
            screen.document({
                "queue": self._queue.name, "put": self._count, "done": done,
                "undone": plain(undone), "dead": plain(dead),
            })  # fmt: skip
        else:
            for item in undone:
                screen.say(dumped(item))
        for item in dead:
            screen.note(f"consumers failed with {dumped(item)}")
        if undone:
            screen.note(f"meshcluster: {len(undone)} of {self._count} items are not done")
            if not settings.json:
                screen.note("  -> they are on stdout: 'meshcluster queue put' reads them on stdin")
        elif screen.terminal and not settings.json:
            screen.note(f"{done} of {self._count} items are done")
        return self._code or (FAILED if dead else 0)


def nobody(settings: Settings, screen: Screen, queue: Queue, error: TimeoutError) -> int:
    """Says why nothing was put; returns the exit code."""
    screen.note(f"meshcluster: nothing was put: {error}")
    if queue.refused:
        screen.note("  -> theirs is another queue of this name: --mode says which is meant")
    else:
        screen.note(f"  -> looked {settings.reach}; 'meshcluster queue tail {queue.name}' would "
                    "take from it")  # fmt: skip
    return NOBODY


# --- tail --------------------------------------------------------------------------------------


@command.command(
    "tail", cls=Command,
    examples=(
        Example("meshcluster queue tail work", "until the queue ends"),
        Example("meshcluster queue tail work --count 1", "one item; others get the rest"),
        Example("meshcluster queue tail work --json | jq .item", "items as JSON"),
    ),
)  # fmt: skip
@click.argument("name", metavar="NAME", callback=label)
@click.option("--count", metavar="N", callback=number(1, 1_000_000_000),
              help="So many items, and no more.")  # fmt: skip
def tail(settings: Settings, name: str, count: int | None) -> int:
    """Take items from a queue and show them, until it ends.

    It is a consumer as others are: of a queue of mode 'one' or 'key' nobody else gets what is shown
    here. Each item is done when it is written. Waits until somebody puts into it. A text is written
    as it is, anything else as JSON.

    JSON: an object a line with queue, item, name and id of who put it, and deliveries: how many
    consumers failed with it before.

    Exit code 1 when items cannot be read, 3 when a producer was lost before it closed.
    """
    from ..errors import DecodeError, QueueError

    screen = Screen()
    with told_to_end():
        try:
            with member(settings, "tail") as cluster:
                queue = cluster.queue(name, mode=mode_of(cluster, settings, screen, name))
                show(settings, screen, queue, count)
                return INCOMPLETE if queue.lost_producers else 0
        except Ended:
            return 0
        except DecodeError as error:
            screen.note(f"meshcluster: {error}")
            screen.note("  -> others get it; this command knows no codecs and no types of yours")
        except QueueError as error:
            screen.note(f"meshcluster: {error}")
            screen.note("  -> 'meshcluster queue ls' shows the queues, and who puts into each")
    return FAILED


def mode_of(cluster: Cluster, settings: Settings, screen: Screen, name: str) -> str:
    """The mode of a queue, as soon as somebody puts into it."""
    from queue import Empty, SimpleQueue

    from ..queues.queues import queues_of

    news: SimpleQueue[Service] = SimpleQueue()
    for point in ("service.discovered", "service.changed"):
        cluster.hook(point)(lambda service, *_: news.put(service))
    wait: float | None = LOOK_SECONDS
    while True:
        for service in cluster.services:  # all of them: news may have come between the two hooks
            told = queues_of(service).get(name)
            if told and told[0] in MODES:
                return told[0]
        try:
            news.get(timeout=wait)
        except Empty:
            screen.note(f"waiting: nobody puts into {name!r} {settings.reach} yet")
            wait = None


def show(settings: Settings, screen: Screen, queue: Queue, count: int | None) -> None:
    """Writes items, each done when it is written."""
    with closing(queue.deliveries()) as deliveries:
        for shown, taken in enumerate(deliveries, 1):
            if settings.json:
                screen.say(dumped({
                    "queue": queue.name, "item": plain(taken.item), **who(taken.service),
                    "deliveries": taken.deliveries,
                }))  # fmt: skip
            else:
                screen.say(harmless(text_of(taken.item)))
            taken.done()
            if shown == count:
                return
