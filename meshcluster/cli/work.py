"""``meshcluster work``: has workers elsewhere call a function for each line of the input."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .ending import Ended, told_to_end
from .options import Command, Example, Settings, number, text
from .places import hosts
from .screen import Screen

if TYPE_CHECKING:
    from ..ssh.dispatcher import Dispatcher
    from .working import Begin

INCOMPLETE, NOBODY, INTERRUPTED = 3, 4, 130

FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")

NOT_WITH = {
    "--local": ("slots", "client"),
    "--resolve": ("modules", "python", "client"),
}
"""Options that would say nothing there."""


def function(ctx: click.Context, param: click.Parameter, given: str) -> str:
    """The function's name."""
    module, colon, path = text(ctx, param, given).partition(":")
    hint = f"{given!r} is not MODULE:FUNC, such as math:sqrt"
    if module.endswith(".py") or "/" in module:
        hint += f": a module's name, such as {Path(module).stem}, not its file"
    elif not colon or (module and FUNCTION.fullmatch(path)):
        return given
    raise click.BadParameter(hint, ctx, param)


def mine(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Modules that are to be sent: they must be here."""
    look_here()
    for name in given:
        if found_here(text(ctx, param, name)) is None:
            hint = f"no module {name!r} is found here or where Python looks"
            raise click.BadParameter(hint, ctx, param)
    return given


def program(ctx: click.Context, param: click.Parameter, given: str) -> list[str]:
    """A program and its arguments."""
    try:
        words = shlex.split(text(ctx, param, given))
    except ValueError as error:
        raise click.BadParameter(f"{error}: {given!r}", ctx, param) from None
    if not words:
        raise click.BadParameter("which program?", ctx, param)
    return words


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
@click.option("--ssh", "hosts", metavar="HOST,...", multiple=True,
              callback=hosts("--slots 2 has two workers at each host"),
              help="Where: [USER@]HOST[:PORT], or a name of ~/.ssh/config.")  # fmt: skip
@click.option("--local", metavar="N", callback=number(1, 1024),
              help="Where: so many processes of this machine.")  # fmt: skip
@click.option("--resolve", "-r", "words", metavar="WORD", multiple=True,
              help="Where: members that have this tag, name, id, host or address, and expose FUNC. "
              "Given twice: that have both.")  # fmt: skip
@click.option("--slots", metavar="N", default="1", callback=number(1, 1024),
              help="Workers of each host at once [1].")  # fmt: skip
@click.option("--module", "modules", metavar="MODULE", multiple=True, callback=mine,
              help="Of yours, sent beside that of FUNC. May be given many times.")  # fmt: skip
@click.option("--attempts", metavar="N", default="3", callback=number(1, 1000),
              help="Workers that may be lost with a line before it has failed [3].")  # fmt: skip
@click.option("--limit", metavar="SECONDS", callback=number(0.001, 1e6),
              help="How long a line may take; then it has failed.")  # fmt: skip
@click.option("--text", "texts", is_flag=True, help="Each line is a text, also where it is JSON.")
@click.option("--unordered", is_flag=True, help="Results as they come, not in the order of lines.")
@click.option("--python", metavar="PYTHON", default="python3", callback=text,
              help="What runs the workers there [python3].")  # fmt: skip
@click.option("--client", metavar="COMMAND", default="ssh", callback=program,
              help="The ssh client, with options of its own [ssh].")  # fmt: skip
def command(
    settings: Settings, name: str, hosts: list[str], local: int | None, words: tuple[str, ...],
    slots: int, modules: tuple[str, ...], attempts: int, limit: float | None, texts: bool,
    unordered: bool, python: str, client: list[str],
) -> int:  # fmt: skip
    """Have workers behind ssh, or members, do something with each line of the input.

    FUNC is called with each line of stdin: JSON, or text where it is none; so is a result. MODULE
    is looked for in this directory first, and if it is there it is sent along, packages whole: at
    the hosts nothing need be installed but Python 3.8 or later. What FUNC prints comes on stderr,
    behind its host.

    What fails is said on stderr with the number of its line, and the others go on. JSON: an object
    a line with line (its number), item, result, server, attempts; of one that failed error (kind,
    text) instead of result.

    Exit code 1 when FUNC raised for a line, 3 when a line was lost with its workers or took longer
    than --limit, 4 when no worker can be had.
    """
    from ..errors import NotExposed, NoWorkers
    from .working import Working

    check_usage(name, hosts, local, words)
    if os.isatty(0):  # where it was closed there is no sys.stdin
        Screen().note("lines from the terminal; Ctrl-D ends them")
    working = Working(
        settings, texts=texts, unordered=unordered, ahead=4 * (local or slots * len(hosts))
    )
    terms: dict[str, Any] = {"attempts": attempts, "timeout": limit, "slots": local or slots}
    if words:
        place = members(settings, name, words, terms)
    else:
        sent = modules if local else (*own_module(name), *modules)
        terms |= {"modules": sent, "on_log": working.log, "python": python, "ssh": client}
        place = workers(settings, name, hosts, terms)
    with told_to_end():
        try:
            with place as (dispatcher, begin):
                code = working.run(dispatcher, begin)
            working.tell("done")
            return code
        except (NoWorkers, NotExposed) as error:
            working.tell_nobody(error, "" if words else hint(name, here=bool(local)))
            return NOBODY
        except KeyboardInterrupt:
            working.tell("interrupted")
            return INTERRUPTED
        except Ended:
            working.tell("ended")
            return INCOMPLETE


def check_usage(name: str, hosts: list[str], local: int | None, words: tuple[str, ...]) -> None:
    """Refuses what does not go together."""
    given = {"--ssh": bool(hosts), "--local": local is not None, "--resolve": bool(words)}
    if sum(given.values()) != 1:
        raise click.UsageError("where? one of --ssh HOST,... or --local N or --resolve WORD")
    if not words and ":" not in name:
        raise click.UsageError(f"{name!r} is not MODULE:FUNC, such as math:sqrt")
    ctx = click.get_current_context()
    (where,) = (option for option, is_given in given.items() if is_given)
    for param in ctx.command.params:
        source = ctx.get_parameter_source(param.name or "")
        if param.name in NOT_WITH.get(where, ()) and source is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{param.opts[0]} says nothing with {where}")


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
    settings: Settings, name: str, hosts: list[str], terms: dict[str, Any]
) -> Iterator[tuple[Dispatcher, Begin]]:
    """Workers behind ssh, or here. Each finds the function when it begins: one that cannot has no
    line that would fail with it.

    Raises:
        UsageError: it cannot be like that; the text says why.
    """
    from ..errors import ConfigError
    from ..ssh.dispatcher import Dispatcher

    where: Any = hosts or [{"name": "local", "path": [os.getcwd()]}]
    patience = max(1.0, settings.timeout)  # ssh counts in whole seconds
    try:
        dispatcher = Dispatcher(where, callback=name, connect_timeout=patience, **terms)
    except ConfigError as error:
        raise click.UsageError(str(error)) from None
    with closing(dispatcher):
        yield dispatcher, dispatcher


@contextmanager
def members(
    settings: Settings, name: str, words: tuple[str, ...], terms: dict[str, Any]
) -> Iterator[tuple[Dispatcher, Begin]]:
    """Members that have all these words.

    Raises:
        NoServices: there are none; the text says where we looked, and for what.
    """
    from ..errors import NoWorkers
    from ..ssh.dispatcher import Dispatcher
    from .observing import found, observer

    with observer(settings, "work") as cluster:
        live, patience = cluster.live(*words), settings.timeout
        with closing(Dispatcher(live, patience=patience, **terms)) as dispatcher:
            try:
                yield dispatcher, partial(dispatcher.submit, name)
            except NoWorkers:
                found(cluster, settings, words)
                raise


def hint(name: str, *, here: bool) -> str:
    """What to do where a worker cannot find the function."""
    module = name.partition(":")[0]
    also = "" if here else " there? Only the module of FUNC is sent by itself, others by --module"
    return f"does python3 -c 'import {module}' work{also or ' here?'}"


# --- what is sent along ----------------------------------------------------------------------


def look_here() -> None:
    """Modules are looked for in this directory first, as `python -m` does."""
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)


def found_here(name: str) -> Any:
    """Where a module is; None where there is none."""
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None


def own_module(name: str) -> list[str]:
    """The module of a function, whole, where it is in this directory.

    Raises:
        UsageError: it is, and cannot be sent.
    """
    top = name.partition(":")[0].partition(".")[0]
    look_here()
    spec, here = found_here(top), Path.cwd()
    if spec is None:
        return []
    inside = [Path(place) for place in spec.submodule_search_locations or ()]
    if not spec.has_location and here / top in inside:
        raise click.UsageError(f"{top} is here but has no __init__.py: it cannot be sent")
    origin = Path(spec.origin or "")
    return [top] if here in (origin.parent, *(place.parent for place in inside)) else []
