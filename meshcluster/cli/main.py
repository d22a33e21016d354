"""The command's entry: commands by name, and what its exit code says.

The module of a command is imported when that command is run, and it imports the rest of the package
inside its functions: the version and the help are there at once.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from ..version import VERSION
from .options import Settings, colored, options_of_all

OK, FAILED, USAGE, INCOMPLETE, NOBODY, INTERRUPTED = 0, 1, 2, 3, 4, 130

COMMANDS = {
    "join": "Be a member and show what happens, until Ctrl-C.",
    "members": "Show who is there.",
    "query": "Ask members something and show their answers.",
    "queue": "Show queues, put items into one, take items from it.",
    "send": "Tell members something.",
    "call": "Call a function that a member exposes.",
    "expose": "Be a member whose functions others call, until Ctrl-C.",
    "work": "Have workers behind ssh, or members, do something with each line.",
    "run": "Run a command on members that have a role, on hosts behind ssh, or here.",
    "jobs": "List the jobs of a file, plan them, run them.",
    "doctor": "Say what works here, what does not, and what to do.",
    "keygen": "Make a secret: a new key of 32 random bytes, as text.",
    "demo": "Watch three real processes find each other and talk.",
    "version": "Show the version of meshcluster and of Python.",
}
"""In the order of the help."""

HOMES = {
    "join": "meshcluster.cli.join",
    "members": "meshcluster.cli.members",
    "query": "meshcluster.cli.query",
    "queue": "meshcluster.cli.queue",
    "send": "meshcluster.cli.send",
    "call": "meshcluster.cli.call",
    "expose": "meshcluster.cli.expose",
    "work": "meshcluster.cli.work",
    "run": "meshcluster.cli.run",
    "jobs": "meshcluster.cli.jobs",
    "doctor": "meshcluster.cli.doctor",
    "keygen": "meshcluster.cli.keygen",
    "demo": "meshcluster.cli.demo",
    "version": "meshcluster.cli.version",
}
"""The module of each, which has it as ``command``."""

COMPLETE_VARIABLE = "_MESHCLUSTER_COMPLETE"


class Commands(click.Group):
    """Finds the module of a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """A command; None when there is none of that name."""
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(HOMES[name]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant; a name that is none gets a hint."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"There are {', '.join(COMMANDS)}."
            ctx.fail(f"No such command {args[0]!r}. {hint}")
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options, then the commands."""
        records = [p.get_help_record(ctx) for p in self.get_params(ctx)]
        with formatter.section("Options (also after the command)"):
            formatter.write_dl([record for record in records if record is not None])
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(
    cls=Commands, invoke_without_command=True, params=options_of_all(environment=True),
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
'meshcluster COMMAND --help' has examples.
Environment: MESHCLUSTER_CLUSTER, _TTL, _PORT, _INTERFACE, _SEED, _NO_MDNS, _GROUP
and _TIMEOUT, for the options of these names; MESHCLUSTER_SECRET_FILE or _SECRET, the
secret of the mesh; MESHCLUSTER_RUNTIME_DIR, where members of one user meet.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 somebody has not answered,
4 nobody matched, 130 interrupted.""",
)  # fmt: skip
@click.version_option(VERSION, prog_name="meshcluster")
@click.pass_context
def group(ctx: click.Context, /, **given: Any) -> None:
    """Processes find each other and talk, with no server and no configuration."""
    ctx.obj = Settings().changed(given)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and ends the process with its exit code."""
    _fill_standard_files()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    code = run(sys.argv[1:] if arguments is None else list(arguments))
    sys.exit(code or _flushed())


def _fill_standard_files() -> None:
    """Opens those that were closed before we began: else their numbers would go to sockets."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number, which is this one
    sys.stdout = sys.stdout or open(os.devnull, "w")
    sys.stderr = sys.stderr or open(os.devnull, "w")


def run(arguments: list[str]) -> int:
    """Runs the command line; returns its exit code."""
    instruction = os.environ.get(COMPLETE_VARIABLE)
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(group, {}, "meshcluster", COMPLETE_VARIABLE, instruction)
    try:
        color = None if colored() else False  # None: on a terminal
        with group.make_context("meshcluster", arguments, color=color) as ctx:
            return group.invoke(ctx) or OK
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:  # who reads us has seen enough
        _close_output()
        return OK
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # as __set_name__ has it in Python 3.11
            return INTERRUPTED
        return _failed(error)


def _failed(error: Exception) -> int:
    """One line about an error that is not ours to mend; others keep their traceback."""
    from ..errors import ClusterError, NoServices

    if not isinstance(error, ClusterError | OSError):
        raise error
    click.echo(f"meshcluster: {error}", err=True)
    return NOBODY if isinstance(error, NoServices) else FAILED


def _flushed() -> int:
    """Writes what is still buffered; returns the exit code of that."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _close_output()
    except OSError as error:
        _close_output()
        return _failed(error)
    return OK


def _close_output() -> None:
    """Nothing more can be written: what is still buffered must not be tried again at the end."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
