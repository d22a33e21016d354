"""All tables of peers in short: a row for each peer; a column for each kind of work, or, of calls,
queues and work behind ssh, for each of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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

CALLS = {
    "calls-sync": "One after the other, blocking",
    "calls-async": "One after the other, awaited",
    "calls-inflight": "64 in flight",
}
"""What each table of calls is about."""

QUEUES = {
    "queues-64-1": "64 B, one consumer",
    "queues-64-4": "64 B, four consumers",
    "queues-1024-1": "1 KiB, one consumer",
    "queues-1024-4": "1 KiB, four consumers",
}
"""The same of queues."""

SSH = {
    "ssh-one": "One after the other, one worker",
    "ssh-many": "Many, four workers",
}
"""The same of work behind ssh."""

NOTE = (
    "How many times better ours is than each: more messages a second one way, more answers a "
    "second with 64 in flight, else less time. In brackets what was wished for. A peer that talks "
    "in two ways is given by the one where it is better. Below 1x it is better than ours. {by}"
)
NOTE_OF_CALLS = (
    "How many times better ours is than each, by our face and by how our function is exposed: more "
    "results a second with 64 in flight, else less time. In brackets what was wished for. Below 1x "
    "it is better than ours."
)
NOTE_OF_QUEUES = (
    "How many times more items a second than each, by our face and by what our queue promises. In "
    "brackets what was wished for. Below 1x it is better than ours."
)
NOTE_OF_SSH = (
    "How many times more short tasks a second than each, by how our dispatcher is handed them. In "
    "brackets what was wished for. Below 1x it is better than ours."
)


def of(tables: Iterable[Table]) -> str:
    """Markdown; empty when no table of peers is among these."""
    known = {table.name: table for table in tables if table.ours and table.rows}
    parts = (_of_peers(known), _of_calls(known), _of_queues(known), _of_ssh(known))
    return "\n".join(part for part in parts if part)


def _of_peers(known: Mapping[str, Table]) -> str:
    parts = [
        _grid(title, [(known[name], head) for name, head in columns.items() if name in known])
        for title, columns in (("One way", MESSAGES), ("Questions of 64 B", QUESTIONS))
        if not columns.keys().isdisjoint(known)
    ]
    if not parts:
        return ""
    own = [known[name] for name in (*MESSAGES, *QUESTIONS) if name in known]
    note = NOTE.format(by=_subjects(own))
    return "\n".join(["### peers, in short\n", f"{note} {_goals(own)}\n", *parts])


def _of_calls(known: Mapping[str, Table]) -> str:
    return _each_by_ours(known, CALLS, "### calls, in short\n", NOTE_OF_CALLS)


def _of_queues(known: Mapping[str, Table]) -> str:
    return _each_by_ours(known, QUEUES, "### queues, in short\n", NOTE_OF_QUEUES)


def _of_ssh(known: Mapping[str, Table]) -> str:
    return _each_by_ours(known, SSH, "### ssh, in short\n", NOTE_OF_SSH)


def _each_by_ours(
    known: Mapping[str, Table], titles: Mapping[str, str], head: str, note: str
) -> str:
    own = [known[name] for name in titles if name in known]
    if not own:
        return ""
    parts = [_by_ours(table, titles[table.name]) for table in own]
    return "\n".join([head, f"{note} {_goals(own)}\n", *parts])


def _goals(tables: Iterable[Table]) -> str:
    wishes = [
        met
        for table in tables
        for row in against.peers(table)
        if (met := against.met(row, table)) is not None
    ]
    return f"{sum(wishes)} of {len(wishes)} goals met (each way of a peer is one)."


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


def _by_ours(table: Table, title: str) -> str:
    rows = against.peers(table)
    body = [
        [f"{row.name}, {row.way}", *(against.beside(row, one, table) for one in table.ours)]
        for row in rows
    ]
    return markdown.grid([title, *map(against.face, table.ours)], body)
