"""A run kept as JSON, to lay another one beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from .table import Table

TOLD = ("when", "system", "processor", "network", "Python", "packages", "peers", "revision")
"""The facts of tables that are put into another run."""


@dataclass(frozen=True, slots=True)
class Run:
    """The machine's facts and the tables of one run."""

    machine: dict[str, str]
    tables: list[Table]


def save(run: Run, path: Path) -> None:
    """Writes a run, for people to read and for ``load``."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")


def merge(run: Run, path: Path) -> None:
    """Puts the tables of a run into one that is kept, in place of those of the same names.
    What must be known of where they were measured goes to its facts, by the name of the part.

    Raises:
        OSError, msgspec.DecodeError: as ``load``.
    """
    kept = load(path)
    parts = dict.fromkeys(part(table.name) for table in run.tables)
    told = "; ".join(run.machine[name] for name in TOLD if name in run.machine)
    machine = kept.machine | {f"{name} was measured": told for name in parts}
    tables = {table.name: table for table in (*kept.tables, *run.tables)}
    save(Run(machine, list(tables.values())), path)


def part(table: str) -> str:
    """Which part a table belongs to, as far as its name says."""
    return table.partition("-")[0]


def load(path: Path) -> Run:
    """Reads what ``save`` wrote.

    Raises:
        OSError, msgspec.DecodeError: it cannot be read, or is something else.
    """
    return msgspec.json.decode(path.read_bytes(), type=Run)
