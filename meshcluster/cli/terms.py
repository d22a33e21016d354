"""The options that say how a run of jobs goes on, as commands have them: ``Terms`` has their
meaning.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from .options import number, text

SCHEDULES = ("site-sequential", "sequential", "atomic", "parallel")
"""``Terms`` has them too; it is not imported for the help alone."""
MOST = 1_000_000
PASSWORD_BYTES = 4096
"""A longer first line is no password."""


def portion(ctx: click.Context, param: click.Parameter, given: str | None) -> int | str | None:
    """So many sites, or a share of them such as "25%"."""
    if given is None:
        return None
    word = text(ctx, param, given).strip()
    return int(word) if word.isascii() and word.isdigit() else word


def portions(ctx: click.Context, param: click.Parameter, given: str | None) -> Any:
    """One portion, or a list of them, of which the last repeats."""
    if given is None:
        return None
    found = [portion(ctx, param, word) for word in given.split(",")]
    return found if len(found) > 1 else found[0]


def file_to_be(ctx: click.Context, param: click.Parameter, given: str | None) -> Path | None:
    """A file that can be written: what is run is not to be lost for want of a directory."""
    if given is None:
        return None
    path = Path(given)
    if path.is_dir() or not path.parent.is_dir():
        missing = "is a directory" if path.is_dir() else f"there is no directory {path.parent}"
        raise click.BadParameter(f"{given}: {missing}", ctx, param)
    return path


def pairs(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """NAME=TEXT, as a dict."""
    found = {}
    for each in given:
        name, equals, value = text(ctx, param, each).partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{each!r} is not {param.metavar}", ctx, param)
        found[name] = value
    return found


def password(ctx: click.Context, param: click.Parameter, given: str | None) -> str | None:
    """The first line of a file that nobody else can read, or of a pipe."""
    if given is None:
        return None
    trouble = ""
    try:
        with open(given, "rb") as file:
            found = os.fstat(file.fileno())
            shared = stat.S_ISREG(found.st_mode) and os.name == "posix" and found.st_mode & 0o077
            line = b"" if shared else file.readline(PASSWORD_BYTES)
    except OSError as error:
        trouble = error.strerror or str(error)
    else:
        if shared:
            mode = f"{found.st_mode & 0o777:04o}"
            trouble = f"can be used by others (mode {mode}): chmod 600 {given}"
        elif not (line := line.rstrip(b"\r\n")):
            trouble = "there is nothing in its first line"
        elif len(line) >= PASSWORD_BYTES - 1 or {*b"\r\0"} & {*line}:
            trouble = "its first line is no password"
    if trouble:
        raise click.BadParameter(f"{given}: {trouble}", ctx, param)
    return line.decode("utf-8", "surrogateescape")


def _flag(name: str, says: str) -> Callable[[Any], Any]:
    return click.option(name, is_flag=True, help=says)


OPTIONS: Mapping[str, Callable[[Any], Any]] = {
    "schedule": click.option(
        "--schedule", metavar="KIND", type=click.Choice(SCHEDULES),
        help=f"Who waits for whom: {', '.join(SCHEDULES)}."),
    "max_parallel": click.option(
        "--max-parallel", metavar="N", callback=number(1, MOST),
        help="So many at a time."),
    "per_host": click.option(
        "--per-host", metavar="N", callback=number(1, MOST),
        help="So many on one host at a time."),
    "batches": click.option(
        "--batches", metavar="N,...", callback=portions,
        help="Take the sites in portions: 5, 25%, or 1,5,25% (the last repeats)."),
    "max_fail": click.option(
        "--max-fail", metavar="N", callback=portion,
        help="So many sites (3, 10%) may fail; with one more nothing more begins."),
    "break_on_error": _flag("--break-on-error", "A failure stops what follows it."),
    "cancel_running": _flag("--cancel-running", "What a failure stops is stopped while it runs."),
    "live": _flag("--live", "Sites that come while it runs take part."),
    "allow_missing": _flag("--allow-missing", "Leave out jobs that there are not."),
    "require_sites": click.option(
        "--require-sites", metavar="N", callback=number(1, MOST),
        help="Begin nothing unless each job matches so many sites."),
    "action_timeout": click.option(
        "--action-timeout", metavar="SECONDS", callback=number(0.001, 1e9),
        help="How long an action may take; then it has failed."),
}  # fmt: skip

REPORTS: Mapping[str, Callable[[Any], Any]] = {
    "junit": click.option(
        "--junit", metavar="FILE", callback=file_to_be,
        help="Write what became of it there, as JUnit's XML."),
    "gantt": click.option(
        "--gantt", metavar="FILE", callback=file_to_be,
        help="Draw there who ran when: a picture, SVG."),
}  # fmt: skip

ON_MESH: Mapping[str, Callable[[Any], Any]] = {
    "via_ssh": _flag("--via-ssh", "Reach members by plain ssh at their addresses."),
    "ssh_config": click.option(
        "--ssh-config", metavar="FILE", type=click.Path(exists=True, dir_okay=False),
        help="What the ssh client reads instead of ~/.ssh/config."),
}  # fmt: skip

SUDO: Mapping[str, Callable[[Any], Any]] = {
    "sudo_password": click.option(
        "--sudo-password-file", "sudo_password", metavar="FILE", callback=password,
        help="Where sudo wants a password it gets the first line of this file [you are asked]."),
}  # fmt: skip

RECAP: Mapping[str, Callable[[Any], Any]] = {
    "recap": click.option(
        "--recap/--no-recap", default=None,
        help="Say at the end what became of it, on stderr [yes; no with --json]."),
}  # fmt: skip


def having(options: Mapping[str, Callable[[Any], Any]], *names: str) -> Callable[[Any], Any]:
    """Gives a command these options; all of them where none is named."""

    def give(command: Any) -> Any:
        for name in reversed(names or tuple(options)):
            command = options[name](command)
        return command

    return give


def chosen(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``OPTIONS`` that were given, as ``Terms`` calls them."""
    unset: tuple[object, ...] = (None, False)
    named = {"timeout" if name == "action_timeout" else name: given.get(name) for name in OPTIONS}
    return {k: v for k, v in named.items() if not any(v is each for each in unset)}
