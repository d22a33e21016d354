"""All tables of peers in short: a row for each peer, a column for each kind of work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from . import against, markdown
from .table import Row, Table

MESSAGES = {
    "peers-oneway-64": "64 B",
    "peers-oneway-1024": "1 KiB",
    "peers-oneway-65536": "64 KiB",
    "peers-oneway-1048576": "1 MiB",
}
QUESTIONS = {
    "peers-roundtrip-64": "round trip",
    "peers-inflight": "64 in flight",
    "peers-gather-8": "gather 8",
    "peers-gather-32": "gather 32",
    "peers-gather-100": "gather 100",
}
"""The heads of the columns, by the names of the tables."""

NOTE = (
    "How many times better ours is than each: more messages a second one way, more answers a "
    "second with 64 in flight, else less time. In brackets what was wished for. A peer that talks "
    "in two ways is given by the one where it is better. Below 1x it is better than ours. {by}"
)


def of(tables: Iterable[Table]) -> str:
    """Markdown; empty when no table of peers is among these."""
    known = {table.name: table for table in tables if table.ours and table.rows}
    parts = [
        _grid(title, [(known[name], head) for name, head in columns.items() if name in known])
        for title, columns in (("One way", MESSAGES), ("Questions of 64 B", QUESTIONS))
        if not columns.keys().isdisjoint(known)
    ]
    if not parts:
        return ""
    wishes = [
        met
        for name in (*MESSAGES, *QUESTIONS) if name in known
        for row in against.peers(known[name])
        if (met := against.met(row, known[name])) is not None
    ]  # fmt: skip
    by = _subjects(known.values())
    told = f"{sum(wishes)} of {len(wishes)} goals met (each way of a peer is one)."
    return "\n".join(["### peers, in short\n", f"{NOTE.format(by=by)} {told}\n", *parts])


def _subjects(tables: Iterable[Table]) -> str:
    """Which of ours is compared."""
    usual, others = "", dict[str, set[str]]()
    for table in tables:
        usual = against.face(table.ours[0])
        for row in against.peers(table):
            if (name := against.subject(row, table)) != table.ours[0]:
                others.setdefault(against.face(name), set()).add(row.name)
    said = [f"Ours is the face `{usual}`"]
    said += [f"`{face}` in the round trip beside {' and '.join(sorted(names))}"
             for face, names in others.items()]  # fmt: skip
    return "; ".join(said) + "."


def _grid(title: str, columns: Sequence[tuple[Table, str]]) -> str:
    names = list(dict.fromkeys(row.name for table, _ in columns for row in against.peers(table)))
    body = [[name, *(_cell(name, table) for table, _ in columns)] for name in names]
    return markdown.grid([title, *(head for _, head in columns)], body)


def _cell(name: str, table: Table) -> str:
    ways: Sequence[Row] = [row for row in against.peers(table) if row.name == name]
    if not ways:
        return "-"
    strongest = min(ways, key=lambda row: against.reached(row, table) or 0.0)
    return against.in_short(strongest, table)
