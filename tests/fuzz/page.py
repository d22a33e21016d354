"""The tally as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .running import Outcome
from .target import Target

ABOUT = """\
# Hostile input in figures

What strangers can send is fed, mutated, to what reads it. Made by

    python -m tests.fuzz --keep

which feeds ten million inputs to each parser (to a whole member fewer), writes this page and
`tests/fuzz/tally.jsonl`. The same seed and corpus give the same inputs. CI feeds a twentieth of it,
of what takes long less. The table has the last run of each, which may have been shorter
(`--inputs`). Nothing but the refusals below came of any of them.

{table}

- *taken*: read as something well formed. All others were refused, with a typed error.
- *slowest*: the ten slowest inputs, each rerun alone; the slowest and the fastest of the ten, in
  microseconds, the best of five.
- *one input*: the most memory that one of {sampled:,} inputs or less, among them the slowest, took
  at its peak.
- *grown*, *peak*: memory that the process had more at the end, and at any time, than after the
  first twentieth of the inputs.
- *bases*: what is mutated: well-formed inputs of each kind, and those of `tests/fuzz/corpus`, which
  a run guided by coverage (`--guided SECONDS`) has found: each does something that no shorter one
  does.

Inputs are bounded as their way in is: a datagram's 1,200 bytes; frames and bodies are up to 4 KiB
here, as the time to read grows with what was sent. The whole members run in virtual time with small
tables, and are looked at all the time: no table grows beyond its limit, and one input makes none do
more than a few hundred things.

## What is fed

{targets}

## Why they were refused

{reasons}
"""


def page(outcomes: Sequence[Outcome], targets: Mapping[str, Target], sampled: int) -> str:
    """The whole page."""
    head = (
        "target",
        "inputs",
        "taken",
        "slowest, us",
        "one input",
        "grown",
        "peak",
        "bases",
        "CPU, s",
    )
    rows = [head, tuple("-" * len(each) for each in head), *map(_row, outcomes)]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    fed = "\n".join(f"- `{each.target}`: {targets[each.target].about}" for each in outcomes)
    return ABOUT.format(table=table, targets=fed, reasons=_reasons(outcomes), sampled=sampled)


def _row(each: Outcome) -> tuple[str, ...]:
    return (
        each.target, f"{each.inputs:,}", f"{each.accepted:,}",
        f"{each.slowest[0]:.0f} .. {each.slowest[-1]:.0f}", f"{each.most} KiB",
        f"{each.grown} KiB", f"{each.peak} KiB", str(each.bases), f"{each.seconds:.0f}",
    )  # fmt: skip


def _reasons(outcomes: Sequence[Outcome]) -> str:
    told = []
    for each in outcomes:
        if each.refused:
            told.append(f"`{each.target}`:\n")
            told += [f"- {count:,} {reason}" for reason, count in each.refused.items()]
            told.append("")
    return "\n".join(told).rstrip()
