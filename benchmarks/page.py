"""The figures of a run as part of a page that people write: between two marks."""

from __future__ import annotations

from pathlib import Path

from . import markdown, summary
from .stored import Run

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def sections(run: Run) -> str:
    """The machine, all in short, each table."""
    parts = [markdown.facts("Machine", run.machine), summary.of(run.tables)]
    return "\n".join(part for part in [*parts, *map(markdown.table, run.tables)] if part)


def fill(path: Path, text: str) -> None:
    """Replaces what is between the marks.

    Raises:
        OSError: the page cannot be read or written.
        ValueError: it has no marks.
    """
    page = path.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{path} has no {BEGIN} with {END} after it")
    path.write_text(f"{before}{begin}\n\n{text}\n{end}{after}", encoding="utf-8")
