"""``meshcluster run``: runs a command on members that have a role, on hosts behind ssh, or here."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .conducting import Leaving, conducted
from .options import Command, Example, Settings, number, text
from .places import client_is_here, followed, hosts, nobody, of_file, of_hosts, roles, ssh_keys
from .screen import Screen
from .terms import ON_MESH, OPTIONS, RECAP, REPORTS, SUDO, chosen, having, pairs

if TYPE_CHECKING:
    from ..jobs.action import AsyncAction
    from ..jobs.sites import Sites

NAME = "run"
"""What the job is called."""
AT_ONCE = 32
TAIL_BYTES = 4096
"""So much is kept of what a command writes: its last line may say why it failed."""
NOT_WITH = {
    "--ssh": ("via_ssh",),
    "--sites": ("via_ssh",),
    "--local": ("via_ssh", "ssh_config", "words"),
}
"""Options that would say nothing there."""


def words_of(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> str:
    """The command: one word is for the shell as it is, several are a program and its arguments."""
    words = [text(ctx, param, each) for each in given]
    if not any(each.strip() for each in words):
        raise click.BadParameter("empty", ctx, param)
    return words[0] if len(words) == 1 else shlex.join(words)


@click.command(
    cls=Command,
    context_settings={"help_option_names": ["-h", "--help"], "allow_interspersed_args": False},
    options_metavar="[OPTIONS] [--]",
    examples=(
        Example("meshcluster run -t app -- uptime", "members with that tag, joined with "
                "--allow-commands"),
        Example("meshcluster run -t 'app & !draining' -- systemctl status nginx", "and not that"),
        Example("meshcluster run --ssh w1,ada@w2:2222 -- 'df -h / | tail -1'", "hosts behind ssh; "
                "one word is for the shell"),
        Example("meshcluster run --sites hosts.toml -t db --sudo -- apt-get update", "as root"),
        Example("meshcluster run -t web --batches 1,25% --max-fail 0 -- ./restart", "one first, "
                "then a quarter at a time, until one fails"),
        Example("meshcluster run --local --json -- make | jq .text", "this machine, for a script"),
    ),
)  # fmt: skip
@click.argument("line", metavar="CMD...", nargs=-1, required=True, callback=words_of,
                type=click.UNPROCESSED)  # fmt: skip
@click.option("--roles", "-t", "words", metavar="ROLE", multiple=True, callback=roles,
              help="Where: members with this tag or name, or sites of --sites; 'a & !b', 'web-*'. "
              "Given twice: that have one of them.")  # fmt: skip
@click.option("--ssh", "hosts", metavar="HOST,...", multiple=True,
              callback=hosts("a command runs once at each"),
              help="Where: [USER@]HOST[:PORT], or a name of ~/.ssh/config.")  # fmt: skip
@click.option("--sites", "file", metavar="FILE", type=click.Path(exists=True, dir_okay=False),
              help="-t means the sites of this TOML file, not members.")  # fmt: skip
@click.option("--local", is_flag=True, help="Where: this machine.")
@having(ON_MESH)
@click.option("--sudo", is_flag=True, help="As root, by sudo.")
@click.option("--sudo-user", metavar="USER", callback=lambda c, p, v: v and text(c, p, v),
              help="As this user, by sudo.")  # fmt: skip
@having(SUDO)
@click.option("--cwd", metavar="DIR", callback=lambda c, p, v: v and text(c, p, v),
              help="Its directory [here, or the home; of a member its own].")  # fmt: skip
@click.option("--env", metavar="K=V", multiple=True, callback=pairs,
              help="A variable of its environment. May be given many times.")  # fmt: skip
@click.option("--stdin", is_flag=True, help="Each gets all that we read on stdin [nothing].")
@click.option("--command-timeout", metavar="SECONDS", callback=number(0.001, 1e9),
              help="How long it may take; then it is ended, and has failed.")  # fmt: skip
@having(OPTIONS, "schedule", "max_parallel", "batches", "max_fail", "cancel_running")
@having(REPORTS)
@click.option("--verbose", "-v", is_flag=True, help="Say also where it began and how it ended.")
@having(RECAP)
def command(settings: Settings, line: str, **given: Any) -> int:
    """Run a command on members that have a role, on hosts behind ssh, or here.

    CMD is a program and its arguments, exactly as they are; one word alone, in quotes, is a line
    for the shell there. What follows CMD is CMD's. It runs on all of them at once, 32 at most.
    What it writes comes as it is written, each line behind the name of its site: 'name | text',
    and 'name ! text' on stderr. Nothing is ever asked there but sudo's password, here.

    --timeout is how long a host may take to be reached. Ctrl-C ends what runs, everywhere.

    JSON: an object a line: what ("line": time, site, job, stream, text; "ended": site, job, status,
    reason, seconds; at the end "result").

    Exit code 1 when it failed somewhere; 3 when somebody could not be reached, or was lost with it,
    and it failed nowhere; 4 when nobody has the role.
    """
    from ..errors import ConfigError
    from ..jobs.jobs import AsyncJobs

    check_usage(given)
    options = {"schedule": "parallel", "max_parallel": AT_ONCE, **chosen(given)}
    if given["stdin"] and os.isatty(0):
        Screen().note("input from the terminal; Ctrl-D ends it")
    stdin = sys.stdin.buffer.read() if given["stdin"] else None
    recap = not settings.json if given["recap"] is None else given["recap"]
    leaving = Leaving(settings.json, given["verbose"], recap, given["junit"], given["gantt"])
    with places(settings, given) as sites:
        try:
            jobs = AsyncJobs(sites, **options)
        except ConfigError as error:
            raise click.UsageError(str(error)) from None
        if given["sudo_password"]:
            jobs.passwords.set(given["sudo_password"])
        jobs.add(NAME, given["words"] or [*sites.list()], Work(line, stdin, given).run)
        code, _ = conducted(jobs, NAME, leaving, options={})
        return code


class Work:
    """What is done at each site."""

    def __init__(self, line: str, stdin: bytes | None, given: dict[str, Any]) -> None:
        self._line = line
        self._sudo = given["sudo_user"] or "" if given["sudo"] or given["sudo_user"] else None
        self._terms = {
            "timeout": given["command_timeout"], "cwd": given["cwd"], "env": given["env"],
            "stdin": stdin, "check": False, "limit": TAIL_BYTES, "tail": True,
        }  # fmt: skip

    async def run(self, action: AsyncAction) -> None:
        """Runs the command; what it ended with is said once, with the last line of its errors."""
        shell = action.shell
        if self._sudo is None:
            result = await shell.run(self._line, **self._terms)
        else:
            result = await shell.sudo(self._line, user=self._sudo, **self._terms)
        if not result.ok:
            why = result.stderr.strip().splitlines()[-1:]
            action.fail(": ".join([result.ending, *(each.strip()[:300] for each in why)]))


def check_usage(given: dict[str, Any]) -> None:
    """Refuses what does not go together."""
    places = {"--ssh": bool(given["hosts"]), "--local": given["local"],
              "--sites": given["file"] is not None}  # fmt: skip
    where = [option for option, is_given in places.items() if is_given]
    if not where and not given["words"]:
        raise click.UsageError(
            "where? -t ROLE (members; '*' is all of them), --ssh HOST,... or --local, before CMD"
        )
    if len(where) > 1 or (given["hosts"] and given["words"]):
        one, two = (*where, "-t")[:2]
        raise click.UsageError(f"{one} and {two}: one place")
    if where == ["--sites"] and not given["words"]:
        raise click.UsageError("whom of --sites? -t ROLE; -t '*' is all of them")
    if given["sudo_password"] and not (given["sudo"] or given["sudo_user"]):
        raise click.UsageError("--sudo-password-file says nothing without --sudo or --sudo-user")
    ctx = click.get_current_context()
    for param in ctx.command.params:
        source = ctx.get_parameter_source(param.name or "")
        refused = NOT_WITH.get(where[0], ()) if where else ()
        if param.name in refused and source is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{param.opts[0]} says nothing with {where[0]}")


@contextmanager
def places(settings: Settings, given: dict[str, Any]) -> Iterator[Sites]:
    """The sites among which some are meant.

    Raises:
        NoServices: none of them is; the text says who is there.
        ClickException: there is no ssh client.
    """
    from ..errors import NoServices
    from ..jobs.sites import Sites

    words, file = given["words"], given["file"]
    if given["hosts"] or given["via_ssh"]:
        client_is_here()
    keys = ssh_keys(settings, given["ssh_config"])
    if given["hosts"]:
        yield of_hosts(given["hosts"], keys)
    elif given["local"]:
        sites = Sites()
        sites.add("local")
        yield sites
    elif file is not None:
        sites = of_file(file, given["ssh_config"])
        if not sites.list(words):
            raise NoServices(nobody(sites, words, f"in {file}"))
        yield sites
    else:
        sites = Sites()
        via = "ssh" if given["via_ssh"] else "mesh"
        with followed(settings, NAME, sites, via=via, keys=keys,
                      is_somebody=lambda cluster: bool(sites.list(words))):  # fmt: skip
            if not sites.list(words):
                raise NoServices(nobody(sites, words, settings.reach))
            yield sites
