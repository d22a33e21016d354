"""``meshcluster jobs``: lists the jobs of a file, plans them, runs them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .conducting import Leaving, conducted
from .lastrun import LastRun
from .options import Command, Example, Settings
from .places import client_is_here, followed, of_file, roles, ssh_keys, there
from .screen import Screen
from .terms import ON_MESH, OPTIONS, RECAP, REPORTS, SUDO, chosen, having, pairs

if TYPE_CHECKING:
    from ..jobs.jobs import Declared

COLUMNS = ("JOB", "ROLES", "SITES", "ABOUT")
OK, INCOMPLETE, NOBODY = 0, 3, 4
KEPT = ("mesh", "via_ssh", "ssh_config", "set", "words", "files")
"""Options of a run that a retry has too, besides those of ``Terms``."""


@click.command(
    cls=Command,
    examples=(
        Example("meshcluster jobs deploy.py", "what there is"),
        Example("meshcluster jobs deploy.py --plan update restart", "who would do what, and when"),
        Example("meshcluster jobs deploy.py update restart --batches 1,25% --max-fail 0", "one "
                "site first, then a quarter at a time, until one fails"),
        Example("meshcluster jobs deploy.py update --mesh -r 'app & !draining'", "members by "
                "their tags"),
        Example("meshcluster jobs deploy.py --retry-failed", "what was not ok, and nothing else"),
    ),
)  # fmt: skip
@click.argument("file", metavar="FILE.py", type=click.Path(exists=True, dir_okay=False))
@click.argument("names", metavar="[JOB]...", nargs=-1)
@click.option("--plan", is_flag=True, help="Show what would be done; do nothing.")
@click.option("--roles", "-r", "words", metavar="ROLE", multiple=True, callback=roles,
              help="Only on sites with this role; 'a & !b', 'web-*'. Given twice: with one of "
              "them.")  # fmt: skip
@having(OPTIONS)
@click.option("--set", metavar="KEY=VALUE", multiple=True, callback=pairs,
              help="A text that actions find in shared. May be given many times. No secrets: it is "
              "kept as it is for --retry-failed.")  # fmt: skip
@click.option("--sites", "files", metavar="FILE", multiple=True,
              type=click.Path(exists=True, dir_okay=False),
              help="Sites of this TOML file too.")  # fmt: skip
@click.option("--mesh", is_flag=True, help="Members of the mesh are sites too, by their tags.")
@having(ON_MESH)
@having(SUDO)
@click.option("--retry-failed", is_flag=True,
              help="What was not ok in the last run of FILE that was not all ok. Its options, also "
              "those of --set, are kept in a file, in plain text.")  # fmt: skip
@having(REPORTS)
@click.option("--verbose", "-v", is_flag=True, help="Show commands too, and how all ended.")
@having(RECAP)
def command(settings: Settings, file: str, names: tuple[str, ...], **given: Any) -> int:
    """List the jobs of a file, plan them, run them.

    FILE is imported; it defines one Jobs or AsyncJobs object, by any name (of several the one
    called jobs). Without JOB it is said what jobs there are. JOBs run in the order in which they
    are given.

    On a terminal the last lines show what runs. JSON: as 'run' has it; a list without JOB (job,
    roles, sites, about); with --plan an object.

    Exit code 1 when a job failed somewhere; 3 when a site could not be reached, or was lost, and
    nothing failed, or --retry-failed without --roles left something out; 4 when no job matched any
    site, or there is nothing to retry.
    """
    from .jobfile import jobs_of

    path, screen = Path(file), Screen()
    last, narrowed = None, bool(given["words"])
    if given["retry_failed"]:
        if names or given["plan"]:
            what = "JOB" if names else "--plan"
            raise click.UsageError(f"--retry-failed: the jobs of the last run, without {what}")
        last = retried(path, given, screen)
        if last is None:
            return NOBODY
    with redirect_stdout(sys.stderr) if settings.json else nullcontext():
        declared = jobs_of(path)  # what it prints is no JSON
    if given["sudo_password"]:
        declared.passwords.set(given["sudo_password"])
    with sites_added(settings, declared, given):
        if last is None and not names:
            return show(settings, screen, declared, given["words"])
        if given["plan"]:
            return plan(settings, screen, declared, names, options_of(given))
        code, left = run(settings, path, declared, last or names, given)
    unasked = last is not None and left and not narrowed
    return INCOMPLETE if unasked and code == OK else code


def options_of(given: dict[str, Any]) -> dict[str, Any]:
    """What a run is told."""
    return chosen(given) | ({"roles": [*given["words"]]} if given["words"] else {})


def retried(path: Path, given: dict[str, Any], screen: Screen) -> LastRun | None:
    """The run to be tried again; its options are put where none was given anew.

    Raises:
        ConfigError: what was kept cannot be read.
    """
    from .lastrun import kept

    last = kept(path)
    if last is None:
        screen.note(f"meshcluster: nothing to retry: no run of {path} is kept that was not all ok")
        return None
    for name, value in last.options.items():
        if name in given and (
            given[name] is None or given[name] is False or given[name] in ((), {})
        ):
            given[name] = value
    return last


def run(
    settings: Settings, path: Path, declared: Declared, what: LastRun | tuple[str, ...],
    given: dict[str, Any],
) -> tuple[int, int]:  # fmt: skip
    """Runs jobs, or what is not ok of a run; returns the exit code, and how many jobs on sites are
    left for a retry.
    """
    from .lastrun import keep

    last = what if isinstance(what, LastRun) else None
    retry, names = (None, what) if last is None else (last.result, None)
    left = 0
    options = options_of(given)
    if retry is not None:
        options = {"schedule": retry.schedule, **options}
    recap = not settings.json if given["recap"] is None else given["recap"]
    leaving = Leaving(settings.json, given["verbose"], recap, given["junit"], given["gantt"])
    code, result = conducted(
        declared, names, leaving, options=options, shared=dict(given["set"]), retry=retry
    )
    if result is not None:
        held = {name: given[name] for name in (*OPTIONS, *KEPT) if given[name]}
        held |= {"max_fail": 0} if given["max_fail"] == 0 else {}
        if "files" in held:
            held["files"] = [os.path.abspath(each) for each in held["files"]]
        left = keep(path, LastRun(result, held), last)
        if not result.outcomes:
            Screen().note(f"meshcluster: no job matches any site; {there(declared.sites)}")
        more = left - len(result.undone)
        if last is not None and more > 0:
            Screen().note(f"meshcluster: {more} more are left for --retry-failed")
    return code, left


@contextmanager
def sites_added(settings: Settings, declared: Declared, given: dict[str, Any]) -> Iterator[None]:
    """The sites of files, and members of the mesh, are among those of the jobs.

    Raises:
        UsageError: one of them cannot be.
        ClusterError: see ``join``.
    """
    with ExitStack() as stack:
        for each in given["files"]:
            add(declared, each, given["ssh_config"])
        if given["via_ssh"]:
            client_is_here()
        if given["via_ssh"] and not given["mesh"]:
            raise click.UsageError("--via-ssh says nothing without --mesh")
        if given["mesh"]:
            via = "ssh" if given["via_ssh"] else "mesh"
            keys = ssh_keys(settings, given["ssh_config"])
            stack.enter_context(followed(
                settings, "jobs", declared.sites, via=via, keys=keys,
                is_somebody=lambda cluster: bool(cluster.services),
            ))  # fmt: skip
        yield


def add(declared: Declared, path: str, ssh_config: str | None) -> None:
    """The sites of a file."""
    for site in of_file(path, ssh_config):
        config = {key: value for key, value in site.config.items() if key != "name"}
        declared.sites.add(site.name, [*site.roles[1:]], config)


def show(settings: Settings, screen: Screen, declared: Declared, words: tuple[str, ...]) -> int:
    """What jobs there are; returns the exit code."""
    found = [(job, job.sites(declared.sites, [*words] or None)) for job in declared]
    if settings.json:
        screen.document([
            {"job": job.name, "roles": job.roles, "sites": sites, "about": job.about}
            for job, sites in found
        ])  # fmt: skip
        return OK
    rows = [(job.name, job.roles, str(len(sites)), job.about) for job, sites in found]
    screen.table(COLUMNS, rows, wrapped="ABOUT")
    return OK


def plan(
    settings: Settings, screen: Screen, declared: Declared, names: tuple[str, ...],
    options: dict[str, Any],
) -> int:  # fmt: skip
    """Shows what a run would do; returns the exit code.

    Raises:
        UsageError: it could not be.
    """
    from ..errors import ConfigError, MissingJob, NoSites
    from ..jobs.alone import run_alone
    from ..jobs.jobs import AsyncJobs, Jobs
    from ..lettering import wrapped

    try:
        if isinstance(declared, AsyncJobs):
            made = run_alone(declared.plan(names, **options))
        else:
            assert isinstance(declared, Jobs)
            made = declared.plan(names, **options)
    except NoSites as error:
        screen.note(f"meshcluster: {error}")
        return NOBODY
    except (ConfigError, MissingJob) as error:
        raise click.UsageError(str(error)) from None
    if settings.json:
        screen.document(made.to_dict())
    else:
        for line in str(made).splitlines():
            for part in wrapped(line, screen.cells if screen.terminal else 0):
                screen.say(part)
    return OK if made.pairs else NOBODY
