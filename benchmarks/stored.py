"""A run kept as JSON, to lay another one beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from .table import Table


@dataclass(frozen=True, slots=True)
class Run:
    """The machine's facts and the tables of one run."""

    machine: dict[str, str]
    tables: list[Table]


def save(run: Run, path: Path) -> None:
    """Writes a run, for people to read and for ``load``."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")


def load(path: Path) -> Run:
    """Reads what ``save`` wrote.

    Raises:
        OSError, msgspec.DecodeError: it cannot be read, or is something else.
    """
    return msgspec.json.decode(path.read_bytes(), type=Run)
