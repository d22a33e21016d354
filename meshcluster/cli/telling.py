"""``Teller``: shows the events of a run: lines behind their sites' names, JSON, or a panel that
says what runs.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
import time
from collections import deque
from contextlib import ExitStack, redirect_stderr, redirect_stdout, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click

from .jobview import DIM, RED, RESET, YELLOW, JobView
from .options import colored
from .panel import Panel, is_possible
from .screen import width
from .values import dumped

if TYPE_CHECKING:
    from ..jobs.events import Event, LineWritten
    from ..jobs.outcomes import Outcome, Pair
    from ..jobs.plan import Plan

MARKS = {"stdout": "|", "stderr": "!", "report": ">", "log": "#"}
"""Between a name and a line: who says it. Endings have ``ENDED``."""
ENDED = "="
BESIDE = ("stderr", "log")
"""Streams that come on our stderr."""
PAINTS = {"stderr": YELLOW, "log": DIM}


class Teller:
    """Takes the events of one run; within ``with`` what else is printed goes above the panel.

    ``verbose``: commands and all endings are shown too.
    """

    def __init__(self, *, json: bool, verbose: bool) -> None:
        self._json = json
        self._out = sys.stdout
        self._verbose = verbose
        self._names: dict[Pair, str] = {}
        self._cells = 0
        self._jobs = 1
        self.broken: OSError | None = None
        """Our output cannot be written any more, and why."""
        self._view: JobView | None = None
        self._panel: Panel | None = None
        if not json and is_possible():
            from ..jobs.console import is_asking

            self._view = view = JobView(time.monotonic(), color=colored())
            self._panel = Panel(
                lambda cells, rows: view.lines(cells, rows, time.monotonic()), is_taken=is_asking
            )
        self._on_panel = {"stdout": _is_one_terminal(), "stderr": True}
        self._colors = {
            name: getattr(sys, name).isatty() and colored() for name in ("stdout", "stderr")
        }
        self._printed: deque[str] = deque()
        """Lines that functions of the jobs print themselves."""
        self._asides: list[_Aside] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if self._json:
            self._stack.enter_context(redirect_stdout(sys.stderr))  # what others print is no JSON
        if self._panel is not None:
            for name, redirect in (("stdout", redirect_stdout), ("stderr", redirect_stderr)):
                if self._on_panel[name]:
                    before = getattr(sys, name)
                    self._asides.append(aside := _Aside(self._printed))
                    self._stack.enter_context(redirect(aside))
                    self._log_into(aside, before)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        for aside in self._asides:
            aside.end()
        self._stack.close()
        if self._panel is not None:
            with suppress(OSError):
                self._say_printed()
                self._panel.clear()

    def _log_into(self, aside: _Aside, before: object) -> None:
        """What would be logged to the terminal."""
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is before:
                self._stack.callback(handler.setStream, before)
                handler.setStream(aside)

    def take(self, event: Event) -> None:
        """Shows an event. That it cannot be written is kept in ``broken``."""
        if self.broken is not None:
            return
        try:
            self._take(event)
        except OSError as error:
            self.broken = error

    def tick(self, *, is_ending: bool) -> None:
        """Now and then: what takes time is seen to."""
        if self._panel is None or self._view is None:
            return
        self._view.is_ending = is_ending
        try:
            self._say_printed()
            self._panel.draw()
        except OSError as error:
            self.broken = self.broken or error

    # --- events -------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        from ..jobs.events import LineWritten, PairEnded, RunBegan

        if self._view is not None:
            self._view.take(event, time.monotonic())
        if isinstance(event, RunBegan):
            self._begin(event.plan)
        elif isinstance(event, LineWritten):
            self._line(event)
        elif isinstance(event, PairEnded):
            self._ended(event.outcome)

    def _begin(self, plan: Plan) -> None:
        self._jobs = len(plan.jobs)
        self._cells = max(map(width, map(self._name, plan.pairs)), default=0)

    def _name(self, pair: Pair) -> str:
        """Who speaks: the site; with its job where there are several."""
        return pair.site if self._jobs == 1 else f"{pair.site} {pair.job}"

    def _line(self, line: LineWritten) -> None:
        if line.stream == "log" and not self._verbose:
            return
        if self._json:
            self._object("line", line.pair, stream=line.stream, text=line.text)
            return
        stream = "stderr" if line.stream in BESIDE else "stdout"
        self._put(stream, self._shown(line.pair, MARKS[line.stream], line.text, line.stream))

    def _ended(self, outcome: Outcome) -> None:
        if self._json:
            self._object(
                "ended", outcome.pair, status=outcome.status, reason=outcome.reason,
                seconds=round(outcome.seconds, 3),
            )  # fmt: skip
        elif self._verbose or (self._panel is None and outcome.status not in ("ok", "skipped")):
            took = "" if outcome.began is None else f", {outcome.seconds:.1f} s"
            why = f": {outcome.why}" if outcome.why else took
            paint = DIM if outcome.status in ("ok", "skipped") else RED
            self._put(
                "stderr", self._shown(outcome.pair, ENDED, f"{outcome.status}{why}", "", paint)
            )

    def _object(self, what: str, pair: Pair, **facts: Any) -> None:
        moment = round(time.time(), 3)
        told = {"what": what, "time": moment, "site": pair.site, "job": pair.job, **facts}
        click.echo(dumped(told), file=self._out)

    # --- lines --------------------------------------------------------------------------------

    def _shown(self, pair: Pair, mark: str, text: str, stream: str, paint: str = "") -> str:
        from ..jobs.lettering import harmless

        name = self._names.get(pair)
        if name is None:
            name = self._names[pair] = self._name(pair)
            self._cells = max(self._cells, width(name))
        paint = paint or PAINTS.get(stream, "")
        where = "stderr" if stream in BESIDE or not stream else "stdout"
        if self._colors[where]:
            text = text.expandtabs(8)
        told = harmless(text, keep="\t")
        padded = name + " " * (self._cells - width(name))
        if not self._colors[where]:
            return f"{padded} {mark} {told}".rstrip()
        body = f"{paint}{mark} {told}{RESET}" if paint else f"{mark} {told}"
        return f"{padded} {body}".rstrip()

    def _put(self, stream: str, line: str) -> None:
        if self._panel is not None and self._on_panel[stream]:
            self._panel.say(line)
        else:
            click.echo(line, err=stream == "stderr", color=self._colors[stream])

    def _say_printed(self) -> None:
        assert self._panel is not None
        while self._printed:
            self._panel.say(self._printed.popleft())


class _Aside(io.TextIOBase):
    """Takes what is printed while the panel is there, by the line; from any thread."""

    def __init__(self, lines: deque[str]) -> None:
        self._lines = lines
        self._rest: dict[int, str] = {}
        """The line that each thread has begun."""

    def write(self, text: str) -> int:
        me = threading.get_ident()
        *whole, rest = (self._rest.pop(me, "") + text).split("\n")
        if rest:
            self._rest[me] = rest
        self._lines.extend(whole)
        return len(text)

    def writable(self) -> bool:
        return True

    def end(self) -> None:
        """Nothing more comes."""
        self._lines.extend(self._rest.values())
        self._rest.clear()


def _is_one_terminal() -> bool:
    """Whether stdout is the terminal that stderr is."""
    try:
        if not (sys.stdout.isatty() and sys.stderr.isatty()):
            return False
        return os.fstat(sys.stdout.fileno()).st_rdev == os.fstat(sys.stderr.fileno()).st_rdev
    except (OSError, ValueError):
        return False
