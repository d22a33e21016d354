"""``conducted``: runs jobs to their end with somebody watching, who may have enough of it; and what
is left behind: the recap, the reports, the exit code.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import colored
from .panel import size
from .progress import REDRAW_SECONDS
from .screen import Screen
from .telling import Teller
from .values import dumped

if TYPE_CHECKING:
    from ..jobs.jobs import AsyncBatch, Declared
    from ..jobs.outcomes import RunResult

OK, FAILED, INCOMPLETE, NOBODY, INTERRUPTED = 0, 1, 3, 4, 130


@dataclass(frozen=True, slots=True)
class Leaving:
    """What is to be left behind of a run.

    Attributes:
        json: events and the result, as JSON.
        verbose: commands and all endings too.
        recap: who has done what, at the end.
        junit, gantt: files of these, if any.
    """

    json: bool = False
    verbose: bool = False
    recap: bool = True
    junit: Path | None = None
    gantt: Path | None = None


def conducted(
    declared: Declared, names: Any, leaving: Leaving, *, options: dict[str, Any],
    shared: Any = None, retry: RunResult | None = None,
) -> tuple[int, RunResult | None]:  # fmt: skip
    """Runs jobs; Ctrl-C and SIGTERM end what runs, and what became of all is said then as well.
    Returns the exit code, and the result if it came so far.

    Raises:
        UsageError: there is no such job, or it cannot be run like that; nothing was begun.
        OSError: our output cannot be written any more; what ran was ended.
    """
    from ..errors import ConfigError, MissingJob, NoSites
    from ..jobs.alone import run_alone
    from ..jobs.jobs import AsyncBatch

    teller = Teller(json=leaving.json, verbose=leaving.verbose)
    batch = AsyncBatch(declared, shared, teller.take, {})
    stopped = 0
    try:
        run_alone(_attended(batch, teller, names, retry, options))
    except KeyboardInterrupt:
        stopped = INTERRUPTED
    except asyncio.CancelledError:  # SIGTERM
        stopped = INCOMPLETE
    except NoSites as error:
        Screen().note(f"meshcluster: {error}")
        return NOBODY, None
    except (ConfigError, MissingJob) as error:
        raise click.UsageError(str(error)) from None
    if teller.broken is not None:
        raise teller.broken
    if not batch.results:
        return stopped or INTERRUPTED, None
    result = batch.results[-1]
    code = stopped or code_of(result)
    return code if left_behind(result, leaving) else code or FAILED, result


async def _attended(
    batch: AsyncBatch, teller: Teller, names: Any, retry: RunResult | None, options: dict[str, Any]
) -> None:
    """Runs it, and looks now and then at what is not told by events."""
    task = asyncio.current_task()
    assert task is not None
    screen = Screen()  # of our output as it is before the teller takes what is printed
    with _told_to_end(task), teller:
        looking = asyncio.create_task(_look(task, teller, screen))
        try:
            await batch.run(names, retry=retry, **options)
        finally:
            looking.cancel()


async def _look(task: asyncio.Task[Any], teller: Teller, screen: Screen) -> None:
    while True:
        await asyncio.sleep(REDRAW_SECONDS)
        teller.tick(is_ending=task.cancelling() > 0)
        if teller.broken is None and not screen.is_read:
            teller.broken = BrokenPipeError()
        if teller.broken is not None and not task.cancelling():
            task.cancel()


@contextmanager
def _told_to_end(task: asyncio.Task[Any]) -> Iterator[None]:
    """SIGTERM, and the end of the terminal, end what runs."""
    loop = asyncio.get_running_loop()
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    heeded = []
    for number in (signal.Signals[name] for name in names):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, task.cancel)
                heeded.append(number)
    try:
        yield
    finally:
        for number in heeded:
            loop.remove_signal_handler(number)


def code_of(result: RunResult) -> int:
    """The exit code that says what became of it."""
    if result.interrupted:
        return INTERRUPTED
    if not result.outcomes:
        return NOBODY
    if result.having("failed"):
        return FAILED
    return OK if result.ok else INCOMPLETE


def left_behind(result: RunResult, leaving: Leaving) -> bool:
    """Writes result, recap and reports; says whether all of them could be."""
    if leaving.json:
        from ..jobs.reports import as_dict

        click.echo(dumped({"what": "result", **as_dict(result)}))
    if leaving.recap:
        from ..jobs.recap import recap

        on_terminal = sys.stderr.isatty()
        colors = on_terminal and colored()
        text = recap(result, size(sys.stderr)[0] if on_terminal else 0, colors)
        click.echo(text, err=True, color=colors)
    written = True
    for path, made in ((leaving.junit, result.to_junit), (leaving.gantt, result.gantt)):
        if path is None:
            continue
        try:
            path.write_text(made(), encoding="utf-8")
        except OSError as error:
            Screen().note(f"meshcluster: {path}: {error.strerror or error}")
            written = False
    return written
