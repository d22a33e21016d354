"""``jobs_of``: the jobs that a file of Python defines."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..jobs.jobs import Declared

USUAL = "jobs"
"""The name of the object that is meant where there are several."""
OURS = str(Path(__file__).parents[1])
FRAMES = 8
"""The last ones are shown."""


def jobs_of(path: Path) -> Declared:
    """The ``Jobs`` or ``AsyncJobs`` of a file, which is imported, not run as a program: its
    directory is first among those where modules are looked for.

    Raises:
        ClickException: it raised; the text is a short traceback.
        UsageError: it defines none, or several and none is called ``jobs``.
    """
    from ..jobs.jobs import Declared

    module = imported(path)
    found = {name: each for name, each in vars(module).items() if isinstance(each, Declared)}
    distinct = {id(each): each for each in found.values()}
    if not found:
        raise click.UsageError(f"{path} has no jobs: it defines no object like jobs = Jobs()")
    if USUAL in found:
        return found[USUAL]
    if len(distinct) > 1:
        names = ", ".join(found)
        raise click.UsageError(f"{path} has several: {names}; one must be called {USUAL!r}")
    return next(iter(found.values()))


def imported(path: Path) -> ModuleType:
    """The module that a file is.

    Raises:
        ClickException: it cannot be imported.
    """
    path = path.absolute()
    sys.path.insert(0, str(path.parent))
    name = path.stem if path.stem not in sys.modules else f"{path.stem} of {path.parent}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise click.UsageError(f"{path} is no file of Python: its name must end with .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit among them
        del sys.modules[name]
        raise click.ClickException(f"{path} cannot be imported:\n{told(error)}") from error
    return module


def told(error: BaseException) -> str:
    """A traceback of those frames that are not ours or the interpreter's."""
    frames = traceback.extract_tb(_theirs(error.__traceback__))
    shown = [each for each in frames if not each.filename.startswith((OURS, "<frozen "))]
    lines = traceback.format_list(shown[-FRAMES:]) + traceback.format_exception_only(error)
    return "".join(lines).rstrip("\n")


def _theirs(trace: TracebackType | None) -> TracebackType | None:
    """From where the file's own code begins."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith((OURS, "<frozen ")):
        trace = trace.tb_next
    return trace
