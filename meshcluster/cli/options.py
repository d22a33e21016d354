"""The options of every command: they may stand before its name and after it.

What stands after it wins, then what stands before it, then the environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

ENVIRONMENT = "MESHCLUSTER_"
"""``MESHCLUSTER_CLUSTER``, ``_TTL``, ``_PORT``, ``_INTERFACE``, ``_SEED``, ``_NO_MDNS``, ``_GROUP``
and ``_TIMEOUT`` are read. The secret's variables are read by ``join``.
"""

TIMEOUT_SECONDS = 10.0
OF_ALL = (
    "cluster", "ttl", "port", "interface", "seed", "no_mdns", "secret_file", "group", "json",
    "timeout",
)  # fmt: skip
NOT_OF_ENVIRONMENT = ("--json", "--secret-file")


def colored() -> bool:
    """Whether a person wants colours on the terminal."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Settings(NamedTuple):
    """What the options of every command say."""

    cluster: str = "default"
    ttl: int = 0
    port: int | None = None
    json: bool = False
    timeout: float = TIMEOUT_SECONDS
    interface: tuple[str, ...] = ()
    seed: tuple[str, ...] = ()
    no_mdns: bool = False
    secret_file: str | None = None
    group: str | None = None

    @property
    def joining(self) -> dict[str, Any]:
        """The arguments of ``join`` among them."""
        port = {} if self.port is None else {"port": self.port}
        chosen = {"interfaces": self.interface} if self.interface else {}
        seeds = {"seeds": self.seed} if self.seed else {}
        mdns = {"mdns": False} if self.no_mdns else {}
        secret = {"secret": Path(self.secret_file)} if self.secret_file is not None else {}
        group = {"group": self.group} if self.group is not None else {}
        return {
            "cluster": self.cluster, "ttl": self.ttl, **port, **chosen, **seeds, **mdns, **secret,
            **group,
        }  # fmt: skip

    @property
    def reach(self) -> str:
        """Where we looked for members."""
        where = "on this host (the LAN: --ttl 1)" if self.ttl == 0 else f"within --ttl {self.ttl}"
        return f"in cluster '{self.cluster}' {where}"

    def changed(self, given: Mapping[str, Any]) -> Settings:
        """These, with what was given instead of what was not."""
        values = {name: given.get(name) for name in OF_ALL}
        unset: tuple[object, ...] = (None, (), False)
        new: dict[str, Any] = {
            k: v for k, v in values.items() if not any(v is each for each in unset)
        }
        return self._replace(**new)


class Example(NamedTuple):
    """A line to type, and what it does."""

    line: str
    meaning: str


def refused(text: str, ctx: click.Context, param: click.Parameter) -> click.BadParameter:
    """The error of a value that cannot be; it says where that comes from."""
    name = param.name or ""
    hint = None
    if ctx.get_parameter_source(name) is ParameterSource.ENVIRONMENT:
        hint = ENVIRONMENT + name.upper()
    return click.BadParameter(text, ctx, param, hint)


def number(low: float, high: float) -> Callable[..., Any]:
    """Checks an option: a number between two others, whole when these are."""
    kind = type(low)

    def check(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
        if value is None:
            return None
        with suppress(ValueError):
            if low <= (found := kind(value)) <= high:
                return found
        whole = "a whole number" if kind is int else "seconds,"
        wanted = f"{whole} from {low} to {high:.0f}"
        raise refused(f"{value!r} is not {wanted}", ctx, param)

    return check


class Command(click.Command):
    """A command that takes the options of every command too, and shows examples.

    ``settings`` are handed to its function first.
    """

    def __init__(self, *arguments: Any, examples: tuple[Example, ...] = (), **named: Any) -> None:
        named["params"] = [*named.get("params", ()), *options_of_all()]
        named.setdefault("context_settings", {"help_option_names": ["-h", "--help"]})
        super().__init__(*arguments, **named)
        self._examples = examples

    def invoke(self, ctx: click.Context) -> Any:
        """Puts the settings together and calls the function."""
        given = {name: ctx.params.pop(name) for name in OF_ALL}
        settings = ctx.obj if isinstance(ctx.obj, Settings) else Settings()
        ctx.params["settings"] = settings.changed(given)
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Its own options, those of every command, the examples."""
        options = [p for p in self.get_params(ctx) if isinstance(p, click.Option)]
        own = [p for p in options if p.name not in OF_ALL]
        _section(ctx, formatter, "Options", own)
        shared = [p for p in options if p.name in OF_ALL]
        _section(ctx, formatter, "Options of every command", shared)
        if self._examples:
            with formatter.section("Examples"):
                for example in self._examples:
                    formatter.write_text(example.line)
                    with formatter.indentation():
                        formatter.write_text(example.meaning)


def _section(
    ctx: click.Context,
    formatter: click.HelpFormatter,
    title: str,
    params: Sequence[click.Parameter],
) -> None:
    rows = [record for param in params if (record := param.get_help_record(ctx)) is not None]
    if rows:
        with formatter.section(title):
            formatter.write_dl(rows)


def options_of_all(*, environment: bool = False) -> list[click.Parameter]:
    """The options of every command; only those before its name read the environment."""

    def option(name: str, **named: Any) -> click.Option:
        if environment and name not in NOT_OF_ENVIRONMENT:
            named["envvar"] = ENVIRONMENT + name.strip("-").replace("-", "_").upper()
        return click.Option([name], default=None, **named)

    return [
        option("--cluster", metavar="NAME", callback=label, help="The name of the mesh [default]."),
        option("--ttl", callback=number(0, 255), metavar="N",
               help="How far to look: 0 this host, 1 this LAN, more: routed [0]."),
        option("--port", callback=number(1, 65535), metavar="N",
               help="UDP port of the beacons, the same for all members [27677]."),
        option("--interface", multiple=True, callback=chosen, metavar="WORD",
               help="Only this interface (name, pattern, network), or not this one (!WORD) "
               "[all that work]."),
        option("--seed", multiple=True, callback=seeds, metavar="HOST",
               help="Where a member may be, where multicast does not work: an address or a name, "
                    "with :PORT if need be. May be given many times."),
        option("--no-mdns", is_flag=True,
               help="Neither be found by mDNS nor look there [beyond this host both]."),
        option("--secret-file", metavar="PATH",
               help="The secret of the mesh, in a file that only you can read "
                    "('meshcluster keygen PATH' makes one)."),
        option("--group", metavar="NAME",
               help="The mesh of this group of users on this host, not of your own user."),
        option("--json", is_flag=True, help="JSON: one document, or one object a line."),
        option("--timeout", callback=number(0.001, 1e6), metavar="SECONDS",
               help=f"How long to wait for others [{TIMEOUT_SECONDS:g}]."),
    ]  # fmt: skip


def label(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Refuses, as a wrong usage, names and tags that no member may have."""
    labels = [] if value is None else list(value) if isinstance(value, tuple) else [value]
    if labels:
        from ..config import check_label
        from ..errors import ConfigError

        try:
            for each in labels:
                check_label(param.name or "", each)
        except ConfigError as error:
            raise refused(str(error), ctx, param) from None
    return value


def chosen(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Refuses, as a wrong usage, what can mean no interface."""
    if value:
        from ..errors import ConfigError
        from ..interfaces import split_choice

        try:
            split_choice(value)
        except ConfigError as error:
            raise refused(str(error), ctx, param) from None
    return value


def seeds(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Refuses what is neither an address nor a name."""
    if value:
        from ..config import DEFAULT_PORT, parse_seed
        from ..errors import ConfigError

        try:
            for each in value:
                parse_seed(each, DEFAULT_PORT)
        except ConfigError as error:
            raise refused(str(error), ctx, param) from None
    return value or ()


def text(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Refuses what is not UTF-8: a text could not travel as it is."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise click.BadParameter("not UTF-8 text", ctx, param) from None
    return value


def resolve_option(what: str) -> Callable[[Any], Any]:
    """``--resolve``: whom a command means."""
    return click.option(
        "--resolve", "-r", metavar="WORD", multiple=True,
        help=f"{what} this tag, name, id, host or address, or are on this machine (localhost). "
        "Given twice: that have both.",
    )  # fmt: skip
