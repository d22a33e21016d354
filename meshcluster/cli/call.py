"""``meshcluster call``: calls a function that a member exposes, and shows its result; or shows what
is exposed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ..lettering import harmless
from .options import Command, Example, Settings, number, text
from .screen import Screen
from .values import dumped, parsed, plain, text_of

if TYPE_CHECKING:
    from ..model import Service
    from ..rpc.call import Call
    from ..sync.cluster import Cluster

FAILED, USAGE, INCOMPLETE, NOBODY, INTERRUPTED = 1, 2, 3, 4, 130

OURS = ("timeout", "retries", "where", "idempotent", "returns")
"""What ``cluster.call`` takes for itself."""

RESULTS = ("NAME", "RESULT")
FUNCTIONS = ("FUNCTION", "SIGNATURE", "TRAITS", "MEMBERS")


def values(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> list[Any]:
    """Arguments by position: JSON, or else text."""
    return [parsed(text(ctx, param, each)) for each in given]


def pairs(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    """Arguments by name."""
    found = {}
    for each in given:
        name, equals, value = text(ctx, param, each).partition("=")
        if not equals or not name.isidentifier():
            raise click.BadParameter(f"{each!r} is not NAME=VALUE", ctx, param)
        if name in OURS:
            raise click.BadParameter(f"{name!r} must be given by position", ctx, param)
        found[name] = parsed(value)
    return found


class Wanted(NamedTuple):
    """The call that is meant."""

    name: str
    args: list[Any]
    named: dict[str, Any]
    where: tuple[str, ...]
    retries: int | None

    @property
    def terms(self) -> dict[str, Any]:
        """What ``cluster.go`` is told of it beside its name and its arguments by position."""
        retries = {} if self.retries is None else {"retries": self.retries}
        return {**self.named, **retries, "where": self.where or None}


@click.command(
    cls=Command,
    examples=(
        Example("meshcluster call --list", "what can be called, and who would do it"),
        Example("meshcluster call hypot 3 4", "whoever exposes it and has least to do"),
        Example("meshcluster call Shop.order tea --named count=3", "an argument by name"),
        Example("meshcluster call greet '\"42\"'", "the text 42, not the number"),
        Example("meshcluster call -- add -1 2", "numbers below 0, after all options"),
        Example("meshcluster call --all uptime --json | jq .results", "of all that expose it"),
    ),
)
@click.argument("name", metavar="NAME", required=False)
@click.argument("args", metavar="[ARG]...", nargs=-1, callback=values)
@click.option("--named", metavar="K=V", multiple=True, callback=pairs,
              help="An argument by name. May be given many times.")  # fmt: skip
@click.option("--where", "-r", metavar="WORD", multiple=True,
              help="Only members that have this tag, name, id, host or address, or are on this "
              "machine (localhost). Given twice: that have both.")  # fmt: skip
@click.option("--all", "everybody", is_flag=True, help="Call it of each member that exposes it.")
@click.option("--retries", metavar="N", callback=number(0, 1_000_000),
              help="Times more that it is tried when a member is lost with it, if it is "
              "idempotent [2].")  # fmt: skip
@click.option("--list", "listing", is_flag=True, help="Show what is exposed; call nothing.")
def command(
    settings: Settings, name: str | None, args: list[Any], named: dict[str, Any],
    where: tuple[str, ...], everybody: bool, retries: int | None, listing: bool,
) -> int:  # fmt: skip
    """Call a function that a member exposes, and show its result.

    Each ARG and V is JSON, or text where it is none. Waits a second for somebody who exposes NAME,
    and --timeout for the result. A text is written as it is, anything else as JSON; of a generator
    an item a line, as they come.

    JSON: an object with function, name and id of the member, result and milliseconds; of a
    generator one a line, with item instead of these two. With --all: function, results (name, id,
    result), errors (name, id, kind, text) and milliseconds. With --list: a list of objects with
    function, signature, traits, members (name, id).

    Exit code 1 when the function raised, 2 when the arguments do not fit, 3 when there is no
    result and it may have been done, 4 when nobody exposes it.
    """
    if listing == (name is not None):
        raise click.UsageError("NAME of a function, or --list alone")
    if everybody and retries is not None:
        raise click.UsageError("--retries is not for --all: each member is called once")
    screen = Screen()
    if name is None:
        return show_exposed(settings, screen, where)
    wanted = Wanted(name, args, named, where, retries)
    return (call_all if everybody else call_one)(settings, screen, wanted)


# --- one member ------------------------------------------------------------------------------


def call_one(settings: Settings, screen: Screen, wanted: Wanted) -> int:
    """Calls it of whoever has least to do; returns the exit code."""
    from ..errors import ClusterError
    from .observing import observer

    with observer(settings, "call") as cluster:
        call = None
        try:
            started = time.perf_counter()
            call = cluster.go(
                wanted.name, *wanted.args, timeout=settings.timeout, **wanted.terms
            )  # fmt: skip
            result = call.result()
            show_result(settings, screen, call, result, time.perf_counter() - started)
        except KeyboardInterrupt:
            if call is not None:
                call.cancel()
            return INTERRUPTED
        except ClusterError as error:
            return failed(settings, screen, error, call)
    return 0


def show_result(
    settings: Settings, screen: Screen, call: Call, result: Any, seconds: float
) -> None:
    """The result, or each item of it."""
    from ..rpc.stream import Stream

    assert call.service is not None
    whose = {"function": call.name, **who(call.service)}
    if isinstance(result, Stream):
        with result:
            for item in result:
                screen.say(
                    dumped({**whose, "item": plain(item)}) if settings.json
                    else harmless(text_of(item))
                )  # fmt: skip
    elif settings.json:
        took = round(seconds * 1000, 1)
        screen.document({**whose, "result": plain(result), "milliseconds": took})
    elif screen.terminal:
        screen.say("\n".join(map(harmless, text_of(result).split("\n"))))
    else:
        screen.say(harmless(text_of(result)))


def failed(settings: Settings, screen: Screen, error: Exception, call: Call | None) -> int:
    """Says why there is no result, and what to do; returns the exit code."""
    from ..errors import (
        ArgumentError,
        NotExposed,
        OutcomeUnknown,
        QueryTimeout,
        RemoteError,
        ServiceLost,
    )  # fmt: skip

    code, advice = FAILED, ""
    if isinstance(error, RemoteError):
        places = [line for line in error.traceback.splitlines() if line.startswith("  File ")]
        if places:
            advice = f"there in {places[-1].strip()}"
        elif error.kind == "HookRejected":
            advice = "beyond its host 'meshcluster expose' refuses who has no --secret-file"
    elif isinstance(error, ArgumentError):
        code = USAGE
        advice = "each is JSON, or else text; a text that reads as JSON wants quotes: '\"42\"'"
    elif isinstance(error, NotExposed) or (call is not None and call.service is None):
        code = NOBODY
        advice = f"looked {settings.reach}; 'meshcluster call --list' shows what is exposed"
    elif isinstance(error, QueryTimeout):
        code, advice = INCOMPLETE, "it may be done all the same; --timeout waits longer"
    elif isinstance(error, OutcomeUnknown | ServiceLost):
        code, advice = INCOMPLETE, "see whether it was done before you call it again"
    screen.note(f"meshcluster: {error}")
    if advice:
        screen.note(f"  -> {advice}")
    return code


# --- all members -----------------------------------------------------------------------------


def call_all(settings: Settings, screen: Screen, wanted: Wanted) -> int:
    """Calls it of each member that exposes it; returns the exit code."""
    from ..errors import CallsFailed, ClusterError
    from .observing import observing

    with observing(settings, "call", wanted.where) as cluster:
        refuse_stream(cluster, wanted.name)
        started = time.perf_counter()
        errors: dict[Service, Exception] = {}
        try:
            results = cluster.call_all(
                wanted.name, *wanted.args, timeout=settings.timeout, **wanted.terms
            )  # fmt: skip
        except CallsFailed as error:
            results, errors = error.results, error.errors
        except ClusterError as error:
            return failed(settings, screen, error, None)
        except KeyboardInterrupt:
            return INTERRUPTED
        seconds = time.perf_counter() - started
    if settings.json:
        screen.document({
            "function": wanted.name,
            "results": [{**who(s), "result": plain(each)} for s, each in results.items()],
            "errors": [{**who(s), **reason(each)} for s, each in errors.items()],
            "milliseconds": round(seconds * 1000, 1),
        })  # fmt: skip
    else:
        rows = [(service.name, text_of(each)) for service, each in results.items()]
        if rows:
            screen.table(RESULTS, rows, wrapped="RESULT")
    for service, each in errors.items():
        told = reason(each)
        screen.note(f"{service.name} failed: {told['kind']}: {told['text']}")
    return max((code_of(each) for each in errors.values()), default=0)


def refuse_stream(cluster: Cluster, name: str) -> None:
    """Items of several members at once would be anybody's."""
    from ..rpc.choice import offers_of
    from ..rpc.letters import STREAM

    if any(STREAM in offers_of(service).get(name, ()) for service in cluster.services):
        raise click.UsageError(f"{name} is a stream: call it of one member, --where says which")


def code_of(error: Exception) -> int:
    """Of one member's error: 1, or 3 where nothing was heard."""
    from ..errors import ArgumentError, RemoteError

    return FAILED if isinstance(error, RemoteError | ArgumentError) else INCOMPLETE


def reason(error: Exception) -> dict[str, str]:
    """An error as JSON shows it."""
    kind, told = getattr(error, "kind", type(error).__name__), getattr(error, "text", str(error))
    return {"kind": kind, "text": told}


def who(service: Service) -> dict[str, str]:
    """A member as JSON names it."""
    return {"name": service.name, "id": service.id}


# --- what is exposed -------------------------------------------------------------------------


def show_exposed(settings: Settings, screen: Screen, where: tuple[str, ...]) -> int:
    """A row for each function; two, where members say different things of it."""
    from ..errors import NoServices
    from ..rpc.choice import offers_of
    from ..rpc.signature import ANYTHING
    from .observing import found, observing

    told: dict[tuple[str, str, tuple[str, ...]], list[Service]] = {}
    with observing(settings, "call", where) as cluster:
        for service in found(cluster, settings, where):
            for name, offer in offers_of(service).items():
                signature, *traits = offer or [ANYTHING]
                told.setdefault((name, signature, tuple(traits)), []).append(service)
    if not told:
        raise NoServices(
            f"nobody exposes anything {settings.reach}; 'meshcluster expose MODULE:FUNC' would"
        )
    if settings.json:
        screen.document([
            {"function": name, "signature": signature, "traits": list(traits),
             "members": [who(service) for service in told[name, signature, traits]]}
            for name, signature, traits in sorted(told)
        ])  # fmt: skip
    else:
        rows = [
            (name, signature, " ".join(traits), " ".join(sorted(s.name for s in services)))
            for (name, signature, traits), services in sorted(
                told.items(), key=lambda each: each[0]
            )
        ]
        screen.table(FUNCTIONS, rows, wrapped="MEMBERS")
    return 0
