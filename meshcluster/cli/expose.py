"""``meshcluster expose``: a member whose functions others call."""

from __future__ import annotations

import importlib
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from .ending import Ended, told_to_end
from .options import Command, Example, Settings, label, number, text
from .screen import Screen

if TYPE_CHECKING:
    from ..sync.cluster import Cluster
    from ..wire.message import Message

INTERRUPTED = 130

HEADER = ("FUNCTION", "SIGNATURE", "TRAITS")

UNPROVEN = "functions are called for members that have our secret only: give --secret-file to both"


def targets(
    ctx: click.Context, param: click.Parameter, given: tuple[str, ...]
) -> list[tuple[str | None, Any]]:
    """What is to be exposed, each with the name that it is given."""
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)  # as `python -m` does
    found = []
    for each in given:
        name, equals, place = text(ctx, param, each).rpartition("=")
        module, colon, path = place.partition(":")
        if not (module and colon and path) or (equals and not name):
            hint = "MODULE:FUNC or NAME=MODULE:FUNC, such as math:hypot"
            raise click.BadParameter(f"{each!r} is not {hint}", ctx, param)
        try:
            found.append((name or None, thing_of(module, path)))
        except LookupError as error:
            raise click.BadParameter(error.args[0], ctx, param) from None
    return found


def thing_of(module: str, path: str) -> Any:
    """What a module has at the end of a path of attributes; of a class an object.

    Raises:
        LookupError: there is no such module or attribute, or no object without arguments.
    """
    try:
        thing: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if not f"{module}.".startswith(f"{missing}."):
            raise  # it is there, and misses another one: its traceback says where
        raise LookupError(f"no module {module!r} is found here or where Python looks") from None
    where = module
    for attribute in path.split("."):
        try:
            thing = getattr(thing, attribute)
        except AttributeError:
            names = [each for each in names_in(thing) if not each.startswith("_")]
            has = f"it has {', '.join(names[:8])}" if names else "it has nothing to call"
            raise LookupError(f"{where} has no {attribute!r}; {has}") from None
        where += f":{attribute}" if where == module else f".{attribute}"
    if not isinstance(thing, type):
        return thing
    try:
        return thing()
    except TypeError as error:
        raise LookupError(f"{where}() fails ({error}): expose an object of that class") from error


def names_in(thing: object) -> list[str]:
    """Of what a module or an object has itself, and may be called."""
    return [name for name, each in getattr(thing, "__dict__", {}).items() if callable(each)]


@click.command(
    cls=Command,
    examples=(
        Example("meshcluster expose math:hypot", "one function, for whoever calls hypot"),
        Example("meshcluster expose shop:Shop -t till", "all public methods of a Shop()"),
        Example("meshcluster expose add=shop:total --idempotent", "by another name; if we are "
                "killed with a call, it is given to another member"),
    ),
)  # fmt: skip
@click.argument("things", metavar="[NAME=]MODULE:FUNC...", nargs=-1, required=True,
                callback=targets)  # fmt: skip
@click.option("--tag", "-t", "tags", metavar="TAG", multiple=True, callback=label,
              help="A word others can resolve it by. May be given many times.")  # fmt: skip
@click.option("--name", "-n", metavar="NAME", callback=label, help="What the member is called.")
@click.option("--limit", metavar="N", callback=number(1, 1_000_000),
              help="So many calls of each run at once; others wait.")  # fmt: skip
@click.option("--idempotent", is_flag=True, help="Called twice each does what called once it does.")
@click.option("--in-loop", is_flag=True, help="On no thread: they are short and never block.")
def command(
    settings: Settings, things: list[tuple[str | None, Any]], tags: tuple[str, ...],
    name: str | None, limit: int | None, idempotent: bool, in_loop: bool,
) -> int:  # fmt: skip
    """Be a member whose functions others call, until Ctrl-C or SIGTERM.

    MODULE is looked for in this directory, too. FUNC may be a function, an object, whose public
    methods are exposed as its class's (Shop.order), or a class, of which one object is made.

    Then it takes no more, and ends what runs, for --timeout at most; a second Ctrl-C ends at once.
    Who has not proved to have a key of ours is refused: beyond this host that takes --secret-file.

    In a pipe: function, signature, traits, separated by tabs. JSON: an object with name, id,
    cluster, and exposed: a list of objects with function, signature, traits.
    """
    import logging

    from ..sync.cluster import Cluster
    from ..waits import LOOK_SECONDS

    logging.basicConfig(format="meshcluster: %(message)s")
    screen = Screen()
    cluster = Cluster()
    told = expose(cluster, things, limit=limit, idempotent=idempotent, in_loop=in_loop)
    if settings.ttl:
        cluster.hook("receive")(refuse_unproven)
    with told_to_end():
        try:
            cluster.join(tags, name=name, **settings.joining)
            show(cluster, settings, screen, told)
            while True:
                time.sleep(LOOK_SECONDS)
        except KeyboardInterrupt:
            return INTERRUPTED
        except Ended:
            pass
        finally:
            cluster.leave(timeout=settings.timeout)
    return 0


def expose(
    cluster: Cluster, things: list[tuple[str | None, Any]], **options: Any
) -> list[tuple[str, list[str]]]:  # fmt: skip
    """Exposes all of them; the name of each function, and what others are told of it.

    Raises:
        UsageError: one cannot be, or has a name that another one has.
    """
    from ..errors import ConfigError
    from ..rpc.exposed import Exposed, functions_of

    told = []
    for name, thing in things:
        try:
            cluster.expose(thing, name=name, **options)
        except ConfigError as error:
            raise click.UsageError(f"{error} (of another name: NAME=MODULE:FUNC)") from None
        for each, function in functions_of(thing, name):
            told.append((each, Exposed(each, function, **options).offer))
    return sorted(told)


def refuse_unproven(message: Message) -> None:
    """A ``receive`` hook: nothing is run for just anybody within reach."""
    from ..errors import HookRejected
    from ..rpc.letters import MAILBOX

    service = message.service
    if message.mailbox == MAILBOX and (service is None or not service.authenticated):
        raise HookRejected(UNPROVEN)


def show(
    cluster: Cluster, settings: Settings, screen: Screen, told: list[tuple[str, list[str]]]
) -> None:
    """Who we are, and what we expose."""
    config = cluster.config
    if settings.json:
        screen.document({
            "name": config.name, "id": cluster.uuid.partition("@")[0], "cluster": config.cluster,
            "exposed": [
                {"function": name, "signature": signature, "traits": traits}
                for name, (signature, *traits) in told
            ],
        })  # fmt: skip
        return
    rows = [(name, signature, " ".join(traits)) for name, (signature, *traits) in told]
    screen.table(HEADER, rows, wrapped="SIGNATURE")
    if screen.terminal:
        screen.note(f"{config.name} is called in cluster '{config.cluster}'; Ctrl-C leaves")
