"""``Working``: the lines of the input on their way to workers, and the results on their way out."""

from __future__ import annotations

import os
import queue
import re
import stat
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ..lettering import harmless
from .options import Settings
from .progress import Progress
from .screen import Screen
from .values import dumped, parsed, plain, text_of

if TYPE_CHECKING:
    from ..ssh.dispatcher import Dispatcher
    from ..ssh.launching import LogLine

FAILED, INCOMPLETE = 1, 3

AHEAD = 1024
"""So many lines are read before their results are written, or more where there are more workers."""
AHEAD_BYTES = 64 << 20
"""And so much of them; a longer line goes by itself."""
NOTES = 10_000
"""So many lines that tasks have printed wait to be written; beyond, the oldest are dropped."""
COUNTED_BYTES = 1 << 28
"""A larger file is not read twice only to say how many lines it has."""
LOOK_SECONDS = 0.1

IMPORTING = re.compile(r"\b(?!Attribute|Type)[A-Z]\w*Error\b")
"""A worker could not import a module. What is left out is of the function in it: clear as it is."""

Begin = Callable[[Any], "Future[Any]"]


class Line(NamedTuple):
    """A line under way."""

    number: int
    item: Any
    size_bytes: int
    future: Future[Any]


class Ahead:
    """How far reading may be ahead of writing."""

    def __init__(self, lines: int, size_bytes: int) -> None:
        self._most = lines, size_bytes
        self._lines = self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def enter(self, size_bytes: int) -> bool:
        """Waits until there is room for a line of that size. False: nobody wants it any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._has_room(size_bytes))
            self._lines += 1
            self._bytes += size_bytes
            return not self._closed

    def _has_room(self, size_bytes: int) -> bool:
        lines, most_bytes = self._most
        fits = self._lines < lines and self._bytes + size_bytes <= most_bytes
        return fits or not self._lines

    def leave(self, size_bytes: int) -> None:
        """A line is written."""
        with self._changed:
            self._lines -= 1
            self._bytes -= size_bytes
            self._changed.notify()

    def close(self) -> None:
        """Nobody waits any longer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Working:
    """Reads in a thread, for a line that does not come yet must not keep results waiting."""

    def __init__(
        self, settings: Settings, *, texts: bool = False, unordered: bool = False, ahead: int = 0
    ) -> None:
        self._json = settings.json
        self._texts = texts
        self._unordered = unordered
        self._screen = Screen()
        self._progress = Progress()
        self._ahead = Ahead(max(AHEAD, ahead), AHEAD_BYTES)
        self._coming: queue.SimpleQueue[Line | Exception | None] = queue.SimpleQueue()
        self._notes: deque[str] = deque(maxlen=NOTES)
        self._dropped = 0
        self._missed: dict[str, str] = {}
        """Why each host that was missed was, the last time that was said."""
        self._total = lines_of_input() if self._progress.shown else None
        self._looked_at = self._progress.began
        self._read = 0
        self._done = 0
        self._failed = 0
        self._again = 0
        """Lines that were lost with a worker and begun again: perhaps they were done twice."""
        self._code = 0

    def run(self, dispatcher: Dispatcher, begin: Begin) -> int:
        """Until there are no more lines; returns the exit code. ``begin`` hands over an item.

        Raises:
            NoWorkers, NotExposed: nobody can do it. What was done before is written.
        """
        from ..errors import NotExposed, NoWorkers

        threading.Thread(target=self._read_lines, args=(begin,), daemon=True).start()
        ended = False
        try:
            while not (ended and self._done == self._read):
                self._look(dispatcher)
                with suppress(queue.Empty):
                    came = self._coming.get(timeout=LOOK_SECONDS)
                    if isinstance(came, Exception):
                        raise came
                    if came is None:
                        ended = True
                    else:
                        self._await(came, dispatcher)
        except (NoWorkers, NotExposed):
            self._tell_missed(dispatcher)
            self._write_done()
            raise
        finally:
            self._ahead.close()
            self._progress.clear()
        return self._code

    # --- in ---------------------------------------------------------------------------------------

    def _read_lines(self, begin: Begin) -> None:
        from ..errors import DispatcherClosed

        try:
            # Not sys.stdin: the interpreter closes that at its end, and may find it in use here.
            with open(os.dup(0), "rb") as lines:
                for number, line in enumerate(lines, 1):
                    if not self._ahead.enter(len(line)):
                        return
                    item = item_of(line, self._texts)
                    each = Line(number, item, len(line), begun(begin, item))
                    self._read = number
                    if self._unordered:
                        each.future.add_done_callback(partial(self._come, each))
                    else:
                        self._come(each)
            self._coming.put(None)
        except DispatcherClosed:
            pass  # we end
        except Exception as error:
            self._coming.put(error)

    def _come(self, line: Line, _: object = None) -> None:
        self._coming.put(line)

    # --- out --------------------------------------------------------------------------------------

    def _await(self, line: Line, dispatcher: Dispatcher) -> None:
        """Writes the result of a line when it is there."""
        from ..errors import NotExposed, NoWorkers

        while not line.future.done():
            with suppress(TimeoutError):
                line.future.exception(timeout=LOOK_SECONDS)
            self._look(dispatcher)
        error = line.future.exception()
        if isinstance(error, NoWorkers | NotExposed):
            raise error
        self._say_notes()
        self._write(line, error)

    def _write_done(self) -> None:
        """The results that are there although there are no workers any more."""
        from ..errors import NotExposed, NoWorkers

        while not self._coming.empty():
            line = self._coming.get()
            if isinstance(line, Line) and line.future.done():
                error = line.future.exception()
                if not isinstance(error, NoWorkers | NotExposed):
                    self._write(line, error)

    def _write(self, line: Line, error: BaseException | None) -> None:
        written = ""
        if error is None:
            try:
                written = self._written(line)
            except RecursionError:
                error = ValueError("the result holds itself, or is too deep to be written")
        self._ahead.leave(line.size_bytes)
        self._done += 1
        self._again += len(getattr(line.future, "attempts", ())) > 1
        if error is None:
            self._say(written)
            return
        self._failed += 1
        self._code = max(self._code, code_of(error))
        if self._json:
            self._say(dumped(self._told(line, {"error": reason(error)})))
        else:
            self._note(f"line {line.number}: {': '.join(reason(error).values())}")

    def _written(self, line: Line) -> str:
        value = line.future.result()
        if self._json:
            return dumped(self._told(line, {"result": plain(value)}))
        return harmless(text_of(value))

    def _told(self, line: Line, outcome: dict[str, Any]) -> dict[str, Any]:
        attempts = getattr(line.future, "attempts", ())
        server = attempts[-1].server if attempts else None
        return {"line": line.number, "item": plain(line.item), **outcome,
                "server": server, "attempts": len(attempts)}  # fmt: skip

    def _say(self, text: str) -> None:
        if self._screen.terminal:
            self._progress.clear()
        self._screen.say(text)

    def _note(self, text: str) -> None:
        self._progress.clear()
        self._screen.note(text)

    # --- beside it --------------------------------------------------------------------------------

    def log(self, line: LogLine) -> None:
        """What a task prints; from another thread, which must not wait for who reads stderr."""
        self._dropped += len(self._notes) == NOTES
        self._notes.append(f"{line.server}: {line.text}")

    def _say_notes(self) -> None:
        while self._notes:
            self._note(self._notes.popleft())
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            self._note(f"meshcluster: {dropped} lines that were printed are not shown: too many")

    def _look(self, dispatcher: Dispatcher) -> None:
        """What there is to tell while no result is there."""
        self._say_notes()
        now = time.monotonic()
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        if not self._screen.is_read:
            raise BrokenPipeError
        self._tell_missed(dispatcher)
        if self._progress.shown:
            count = sum(server.workers for server in dispatcher.servers)
            self._progress.draw(self._done, self._total, self._failed, count)

    def _tell_missed(self, dispatcher: Dispatcher) -> None:
        """Says once of each host why it has no worker: others may have."""
        for server in dispatcher.servers:
            if server.why and self._missed.get(server.name) != server.why:
                self._missed[server.name] = server.why
                self._note(f"{server.name} has no worker: {server.why}")

    def tell(self, how: str) -> None:
        """What has come of it all, where a person has seen it go, or it did not go well."""
        self._say_notes()
        if self._progress.shown or self._failed or self._again or how != "done":
            lines = f"{self._done} line{'s' * (self._done != 1)}"
            seconds = time.monotonic() - self._progress.began
            failed = f", {self._failed} failed" if self._failed else ""
            again = f", {self._again} lost with a worker and begun again" if self._again else ""
            self._note(f"{how}: {lines} in {seconds:.1f} s{failed}{again}")

    def tell_nobody(self, error: Exception, hint: str) -> None:
        """Why it could not go on; of each host that was said. ``hint`` is for a module that
        could not be imported.
        """
        self._note(f"meshcluster: {'no worker can be had' if self._missed else error}")
        if hint and any(IMPORTING.search(why) for why in self._missed.values()):
            self._note(f"  -> {hint}")
        if self._done:
            self.tell("ended")


def item_of(line: bytes, texts: bool) -> Any:
    """What a line means: JSON, or text where it is none; bytes where it is not UTF-8."""
    line = line.removesuffix(b"\n").removesuffix(b"\r")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return line
    return text if texts else parsed(text)


def begun(begin: Begin, item: Any) -> Future[Any]:
    """The future of an item, also of one that cannot be sent: the others can."""
    from ..errors import EncodeError, MessageTooLarge

    try:
        return begin(item)
    except (EncodeError, MessageTooLarge) as error:
        future: Future[Any] = Future()
        future.set_exception(error)
        return future


def code_of(error: BaseException) -> int:
    """The exit code that one line's error makes."""
    from ..errors import DispatchError, TaskRaised

    lost = isinstance(error, DispatchError) and not isinstance(error, TaskRaised)
    return INCOMPLETE if lost else FAILED


def reason(error: BaseException) -> dict[str, str]:
    """An error as JSON shows it: as it was raised, where that was elsewhere."""
    kind, text = getattr(error, "kind", type(error).__name__), getattr(error, "text", str(error))
    return {"kind": str(kind), "text": str(text)}


def lines_of_input(descriptor: int = 0) -> int | None:
    """How many lines there are still, where the input is a file that is not too large."""
    with suppress(OSError):
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_size <= COUNTED_BYTES:
            with open(os.dup(descriptor), "rb") as file:
                start, count, last = file.tell(), 0, b"\n"
                for block in iter(lambda: file.read(1 << 20), b""):
                    count, last = count + block.count(b"\n"), block
                file.seek(start)
                return count + (not last.endswith(b"\n"))
    return None
