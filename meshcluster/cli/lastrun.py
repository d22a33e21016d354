"""The last run of a file of jobs that was not all ok, kept for ``--retry-failed``."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .keygen import write
from .screen import Screen

if TYPE_CHECKING:
    from ..jobs.outcomes import RunResult

VERSION = 1
DIGITS = 32


class LastRun(NamedTuple):
    """A run, and the options that it was given on the command line."""

    result: RunResult
    options: dict[str, Any]


def path_of(file: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Where the last run of a file is kept.

    Raises:
        RuntimeError: there is no home directory.
    """
    named = environment.get("XDG_STATE_HOME", "")
    state = Path(named) if os.path.isabs(named) else Path.home() / ".local" / "state"
    name = os.fsencode(os.path.realpath(file))
    digest = hashlib.sha256(name).hexdigest()[:DIGITS]
    return state / "meshcluster" / "jobs" / f"{digest}.json"


def kept(file: Path) -> LastRun | None:
    """The last run that was not all ok; None: there is none.

    Raises:
        ConfigError: what was kept cannot be read; the text says which file that is.
    """
    from ..errors import ConfigError
    from ..jobs.reports import from_dict

    try:
        path = path_of(file)
        document = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, RuntimeError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: {error}") from error
    try:
        if not isinstance(document, dict) or document.get("version") != VERSION:
            raise ConfigError("it was written by another version of this program")
        options = document.get("options")
        if not isinstance(options, dict):
            raise ConfigError("options: a mapping")
        return LastRun(from_dict(document.get("result") or {}), options)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}; remove it") from error


def keep(file: Path, run: LastRun, retried: LastRun | None = None) -> int:
    """Keeps a run that is not all ok. Of one that is, and of a retry, what is ok now ends its wait;
    the rest of the run before stays kept, with the options of that one. That it cannot be kept is
    said, and is no failure. Returns how many jobs on sites the next retry has to do.
    """
    last = retried
    if last is None and not run.result.undone:
        last = _of_the_same_jobs(file, run.result)
        if last is None:
            return 0
    if last is not None:
        run = LastRun(_brought_up(last.result, run.result), last.options)
    try:
        path = path_of(file)
        if run.result.undone:
            _write(path, file, run)
        else:
            path.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or error
        Screen().note(f"meshcluster: the run is not kept for --retry-failed: {why}")
    return len(run.result.undone)


def _of_the_same_jobs(file: Path, result: RunResult) -> LastRun | None:
    """What is kept; None: nothing of these jobs, or nothing that can be read."""
    from ..errors import ConfigError

    try:
        last = kept(file)
    except ConfigError:
        return None
    return last if last is not None and last.result.jobs == result.jobs else None


def _brought_up(before: RunResult, now: RunResult) -> RunResult:
    """A run, with what has become since of its jobs on their sites."""
    new = {each.pair: each for each in now.outcomes}
    outcomes = [new.get(each.pair, each) for each in before.outcomes]
    return replace(before, outcomes=outcomes, interrupted=now.interrupted)


def _write(path: Path, file: Path, run: LastRun) -> None:
    from ..jobs.reports import as_dict

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    held = {"version": VERSION, "file": os.path.realpath(file), "options": run.options,
            "result": as_dict(run.result)}  # fmt: skip
    write(path, json.dumps(held, indent=1), force=True)
