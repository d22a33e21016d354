"""The figures of a run as part of a page that people write: between two marks, or for some of the
parts between two of their own.
"""

from __future__ import annotations

from pathlib import Path

from . import markdown, summary
from .stored import Run, part
from .table import Table

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
OWN_BEGIN, OWN_END = "<!-- figures of {}: begin -->", "<!-- figures of {}: end -->"
"""With the name of a part, which the names of its tables begin with."""


def sections(run: Run, of: str = "") -> str:
    """The machine, all in short, each table; ``of`` which part these are."""
    machine = f"Machine, {of}" if of else "Machine"
    parts = [markdown.facts(machine, run.machine), summary.of(run.tables)]
    return "\n".join(part for part in [*parts, *map(markdown.table, run.tables)] if part)


def fill(path: Path, run: Run) -> None:
    """Replaces what is between the marks; what a run has not measured is left as it is.

    Raises:
        OSError: the page cannot be read or written.
        ValueError: it has no marks.
    """
    page = path.read_text(encoding="utf-8")
    left = list[Table]()
    parts = dict[str, list[Table]]()
    for table in run.tables:
        name = part(table.name)
        own = OWN_BEGIN.format(name) in page
        (parts.setdefault(name, []) if own else left).append(table)
    for name, tables in parts.items():
        text = sections(Run(run.machine, tables), name)
        page = _filled(path, page, text, OWN_BEGIN.format(name), OWN_END.format(name))
    if left:
        page = _filled(path, page, sections(Run(run.machine, left)), BEGIN, END)
    path.write_text(page, encoding="utf-8")


def _filled(path: Path, page: str, text: str, begin: str, end: str) -> str:
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{path} has no {begin} with {end} after it")
    return f"{before}{begin}\n\n{text}\n{end}{after}"
