"""``meshcluster work``: has workers elsewhere call a function for each line of the input."""

from __future__ import annotations

import importlib.util
import os
import queue
import shlex
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from .ending import Ended, told_to_end
from .options import Command, Example, Settings, number, text
from .progress import Progress
from .screen import Screen
from .values import dumped, escaped, parsed, plain, text_of

if TYPE_CHECKING:
    from ..ssh.dispatcher import Dispatcher
    from ..ssh.future import TaskFuture
    from ..ssh.launching import LogLine

FAILED, INCOMPLETE, NOBODY, INTERRUPTED = 1, 3, 4, 130

AHEAD = 1024
"""So many lines are read before their results are written."""


def hosts(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> list[str]:
    """The hosts of ``--ssh``, which may be separated by commas."""
    from ..errors import ConfigError
    from ..ssh.server import parse

    found = [word for each in given for word in text(ctx, param, each).split(",") if word]
    for word in found:
        try:
            parse(word)
        except ConfigError as error:
            raise click.BadParameter(str(error), ctx, param) from None
    return found


def function(ctx: click.Context, param: click.Parameter, given: str) -> str:
    """The function's name."""
    module, colon, path = text(ctx, param, given).partition(":")
    if colon and not (module and path):
        raise click.BadParameter(f"{given!r} is not MODULE:FUNC, such as math:sqrt", ctx, param)
    return given


class Wanted(NamedTuple):
    """What is to be done, and how."""

    function: str
    texts: bool
    unordered: bool


@click.command(
    cls=Command,
    examples=(
        Example("meshcluster work --ssh w1,w2 math:sqrt <numbers >roots", "on two hosts, by ssh"),
        Example("ls *.png | meshcluster work --ssh big --slots 8 thumbs:make", "thumbs.py is here: "
                "it is sent along, nothing is installed there"),
        Example("meshcluster work --local 4 shop:price <orders", "four processes of this machine"),
        Example("meshcluster work --resolve compute square <numbers", "members that expose it"),
        Example("meshcluster work --ssh w1 --client 'ssh -F config' a:b", "another ssh client"),
    ),
)  # fmt: skip
@click.argument("name", metavar="MODULE:FUNC", callback=function)
@click.option("--ssh", "hosts", metavar="HOST,...", multiple=True, callback=hosts,
              help="Where: [USER@]HOST[:PORT], or a name of ~/.ssh/config.")  # fmt: skip
@click.option("--local", metavar="N", callback=number(1, 1024),
              help="Where: so many processes of this machine.")  # fmt: skip
@click.option("--resolve", "-r", "words", metavar="WORD", multiple=True,
              help="Where: members that have this tag, name, id, host or address, and expose FUNC. "
              "Given twice: that have both.")  # fmt: skip
@click.option("--slots", metavar="N", default="1", callback=number(1, 1024),
              help="Workers of each host at once [1].")  # fmt: skip
@click.option("--module", "modules", metavar="MODULE", multiple=True,
              help="Of yours, sent beside that of FUNC. May be given many times.")  # fmt: skip
@click.option("--attempts", metavar="N", default="3", callback=number(1, 1000),
              help="Workers that may be lost with a line before it has failed [3].")  # fmt: skip
@click.option("--limit", metavar="SECONDS", callback=number(0.001, 1e6),
              help="How long a line may take; then it has failed.")  # fmt: skip
@click.option("--text", "texts", is_flag=True, help="Each line is a text, also where it is JSON.")
@click.option("--unordered", is_flag=True, help="Results as they come, not in the order of lines.")
@click.option("--python", metavar="PYTHON", default="python3", callback=text,
              help="What runs the workers there [python3].")  # fmt: skip
@click.option("--client", metavar="COMMAND", default="ssh", callback=text,
              help="The ssh client, with options of its own [ssh].")  # fmt: skip
def command(
    settings: Settings, name: str, hosts: list[str], local: int | None, words: tuple[str, ...],
    slots: int, modules: tuple[str, ...], attempts: int, limit: float | None, texts: bool,
    unordered: bool, python: str, client: str,
) -> int:  # fmt: skip
    """Have workers elsewhere call a function with each line of the input, and write its results.

    A line is JSON, or text where it is none; so is a result. MODULE is looked for in this directory
    first, and if it is found there it is sent along, packages whole: at the hosts nothing need be
    installed but Python 3.8 or later. What the function prints comes on stderr, behind its host.

    What fails is said on stderr with the number of its line, and the others go on. JSON: an object
    a line with line (its number), item, result, server, attempts; of one that failed error (kind,
    text) instead of result.

    Exit code 1 when the function raised for a line, 3 when a line was lost with its workers or took
    longer than --limit, 4 when no worker can be reached.
    """
    places = bool(hosts) + (local is not None) + bool(words)
    if places != 1:
        raise click.UsageError("where? --ssh HOST,... or --local N or --resolve WORD")
    if not words and ":" not in name:
        raise click.UsageError(f"{name!r} is not MODULE:FUNC, such as math:sqrt")
    if sys.stdin.isatty():
        Screen().note("lines from the terminal; Ctrl-D ends them")
    terms: dict[str, Any] = {"attempts": attempts, "timeout": limit}
    wanted = Wanted(name, texts, unordered)
    working = Working(settings, wanted)
    with told_to_end():
        try:
            if words:
                with members(settings, words, slots, terms) as dispatcher:
                    return working.run(dispatcher)
            terms |= {"modules": (*sent(name), *modules), "on_log": working.log, "python": python}
            where: Any = hosts or [{"name": "local", "slots": local}]
            with workers(where, shlex.split(client), slots, terms) as dispatcher:
                return working.run(dispatcher)
        except KeyboardInterrupt:
            working.tell("interrupted")
            return INTERRUPTED
        except Ended:
            working.tell("ended")
            return FAILED


@contextmanager
def closing(dispatcher: Dispatcher) -> Iterator[Dispatcher]:
    """Closes it; whoever has seen enough does not wait for what is open."""
    drain = False
    try:
        yield dispatcher
        drain = True
    finally:
        dispatcher.close(drain=drain)


@contextmanager
def workers(
    where: Any, client: list[str], slots: int, terms: dict[str, Any]
) -> Iterator[Dispatcher]:
    """Workers behind ssh, or here."""
    from ..ssh.dispatcher import Dispatcher

    if not client:
        raise click.UsageError("--client: which program?")
    with closing(Dispatcher(where, slots=slots, ssh=client, **terms)) as dispatcher:
        yield dispatcher


@contextmanager
def members(
    settings: Settings, words: tuple[str, ...], slots: int, terms: dict[str, Any]
) -> Iterator[Dispatcher]:
    """Members that have all these words."""
    from ..ssh.dispatcher import Dispatcher
    from .observing import observer

    with observer(settings, "work") as cluster:
        live, patience = cluster.live(*words), settings.timeout
        with closing(Dispatcher(live, slots=slots, patience=patience, **terms)) as dispatcher:
            yield dispatcher


def sent(name: str) -> list[str]:
    """The module of a function, where it is a file of this directory.

    Raises:
        UsageError: it is there, and cannot be sent.
    """
    top = name.partition(":")[0].partition(".")[0]
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)  # as `python -m` does
    with suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(top)
        if spec is not None and spec.origin and spec.origin.startswith(here + os.sep):
            return [top]
    return []


class Working:
    """The lines on their way, and what has come of them."""

    def __init__(self, settings: Settings, wanted: Wanted) -> None:
        self._settings = settings
        self._wanted = wanted
        self._screen = Screen()
        self._progress = Progress()
        self._room = threading.Semaphore(AHEAD)
        self._coming: queue.SimpleQueue[tuple[int, Any, TaskFuture] | Exception | None] = (
            queue.SimpleQueue()
        )
        self._notes: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._total = lines_of_input()
        self._read = 0
        self._done = 0
        self._failed = 0
        self._code = 0

    def run(self, dispatcher: Dispatcher) -> int:
        """Until there are no more lines; returns the exit code."""
        threading.Thread(target=self._read_lines, args=(dispatcher,), daemon=True).start()
        ended = False
        while not (ended and self._done == self._read):
            self._draw(dispatcher)
            try:
                came = self._coming.get(timeout=0.1)
            except queue.Empty:
                continue
            if came is None:
                ended = True
            elif isinstance(came, Exception):
                raise came
            elif not self._write(dispatcher, *came):
                return NOBODY
            self._say_notes()
        self._say_notes()
        self.tell("done")
        return self._code

    def _draw(self, dispatcher: Dispatcher) -> None:
        self._say_notes()
        if self._progress.shown:
            count = sum(server.workers for server in dispatcher.servers)
            self._progress.draw(self._done, self._total, self._failed, count)

    def _read_lines(self, dispatcher: Dispatcher) -> None:
        """In a thread: a line that does not come yet must not keep results waiting."""
        from ..errors import DispatcherClosed

        # Not sys.stdin: the interpreter closes that at its end, and may find it in use here.
        lines = open(os.dup(0), "rb")
        try:
            for line in lines:
                self._room.acquire()
                told = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
                item = told if self._wanted.texts else parsed(told)
                future = dispatcher.submit(self._wanted.function, item)
                self._read += 1
                each = (self._read, item, future)
                if self._wanted.unordered:
                    future.add_done_callback(lambda _, each=each: self._coming.put(each))  # type: ignore[misc]
                else:
                    self._coming.put(each)
            self._coming.put(None)
        except DispatcherClosed:
            pass  # we end
        except Exception as error:
            self._coming.put(error)

    def _write(self, dispatcher: Dispatcher, line: int, item: Any, future: TaskFuture) -> bool:
        """The result of a line, when it is there. False: there never will be any."""
        from ..errors import NoWorkers

        while not future.done():
            with suppress(TimeoutError):
                future.exception(timeout=0.1)
            self._draw(dispatcher)
        self._room.release()
        self._done += 1
        error = future.exception()
        if isinstance(error, NoWorkers):
            self._note(f"meshcluster: {error}")
            return False
        if error is not None:
            self._failed += 1
            self._code = max(self._code, code_of(error))
        self._show(line, item, future, error)
        return True

    def _show(self, line: int, item: Any, future: TaskFuture, error: BaseException | None) -> None:
        if self._settings.json:
            attempts = future.attempts
            told: dict[str, Any] = {"line": line, "item": plain(item)}
            if error is None:
                told["result"] = plain(future.result())
            else:
                told["error"] = {"kind": kind_of(error), "text": str(error)}
            told |= {
                "server": attempts[-1].server if attempts else None, "attempts": len(attempts)
            }  # fmt: skip
            self._say(dumped(told))
        elif error is None:
            self._say(escaped(text_of(future.result())))
        else:
            self._note(f"line {line}: {kind_of(error)}: {error}")

    def _say(self, line: str) -> None:
        if self._screen.terminal:
            self._progress.clear()
        self._screen.say(line)

    def _note(self, line: str) -> None:
        self._progress.clear()
        self._screen.note(line)

    def _say_notes(self) -> None:
        while not self._notes.empty():
            self._note(self._notes.get())

    def log(self, line: LogLine) -> None:
        """What a task prints; from another thread."""
        self._notes.put(f"{line.server}: {line.text}")

    def tell(self, how: str) -> None:
        """What has come of it all, where a person has seen it go."""
        if self._progress.shown or self._failed or how != "done":
            seconds = time.monotonic() - self._progress.began
            failed = f", {self._failed} failed" if self._failed else ""
            self._note(f"{how}: {self._done} lines in {seconds:.1f} s{failed}")


def code_of(error: BaseException) -> int:
    """The exit code that one line's error makes."""
    from ..errors import DispatchError, TaskRaised

    lost = isinstance(error, DispatchError) and not isinstance(error, TaskRaised)
    return INCOMPLETE if lost else FAILED


def kind_of(error: BaseException) -> str:
    """The name of an error as it was raised."""
    return str(getattr(error, "kind", type(error).__name__))


def lines_of_input() -> int | None:
    """How many lines there are, where the input is a file; reading it twice costs little."""
    with suppress(OSError, ValueError):
        if stat.S_ISREG(os.fstat(0).st_mode) and sys.stderr.isatty():
            with open(os.dup(0), "rb") as file:
                start = file.tell()
                blocks = iter(lambda: file.read(1 << 20), b"")
                last = b"\n"
                count = 0
                for block in blocks:
                    count += block.count(b"\n")
                    last = block
                file.seek(start)
                return count + (not last.endswith(b"\n"))
    return None
