"""The command's entry: options of all commands, and the commands by name."""

from __future__ import annotations

import click

from ..version import VERSION


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="meshcluster")
def main() -> None:
    """Processes find each other and talk, with no server and no configuration."""


@main.command()
def demo() -> None:
    """Watch three real processes find each other, talk, answer a query and lose one of them.

    Takes a few seconds, stays on this machine, leaves nothing behind. Exit code 1 when a step did
    not happen.
    """
    from .demo import run  # here, so that --version and --help stay quick

    run()
