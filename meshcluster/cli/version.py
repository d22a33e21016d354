"""``meshcluster version``."""

from __future__ import annotations

import json
import platform

import click

from ..version import VERSION
from .options import Command, Example, Settings


@click.command(
    cls=Command,
    examples=(Example("meshcluster version --json", "the same for programs"),),
)
def command(settings: Settings) -> None:
    """Show the version of meshcluster and of Python.

    JSON keys: version, python, platform.
    """
    python, system = platform.python_version(), platform.platform(terse=True)
    if settings.json:
        click.echo(json.dumps({"version": VERSION, "python": python, "platform": system}))
    else:
        click.echo(f"meshcluster {VERSION}, Python {python}, {system}")
