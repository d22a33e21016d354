"""Nanoseconds by step: of one message, and of one question with its answer."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Mapping, Sequence

from meshcluster.node.session import BATCH_MESSAGES

from .. import table
from ..settings import Settings
from ..steps import cable, oneway, pair, roundtrip
from ..steps.stopwatch import Stopwatch

BATCHES_A_SECOND = 1000
"""Rounds of a measurement for each of its seconds; few, for all steps have to be done in each."""

SUM, WHOLE = "the sum of the steps", "the whole, by real sockets"

ONEWAY = "one message of 64 B, in batches of 256, both members in one loop: by step"
TURNS = "one question of 64 B and its answer, both members in one loop: by step"
REMARK = (
    "Each step is timed by itself, with the members' own objects, between real ones that have met; "
    "the median of its laps, less the look at the clock. What is part of the step above it (`of "
    "it`) is not in the sum. The whole is timed from the first call to the last hook with nothing "
    "in between, and has all that no step shows: other members' datagrams, turns of the loop, cold "
    "caches."
)


def run(settings: Settings) -> list[table.Table]:
    """Two tables."""
    repeats = [_run(settings) for _ in range(settings.repeats)]
    once = dict.fromkeys(oneway.STEPS, 1)
    return [
        _table("steps", ONEWAY, [r[0] for r in repeats], oneway.ORDER, once, settings),
        _table(
            "steps-roundtrip", TURNS, [r[1] for r in repeats], roundtrip.ORDER, roundtrip.STEPS,
            settings,
        ),
    ]  # fmt: skip


Figures = dict[str, float]


def _run(settings: Settings) -> tuple[Figures, Figures]:
    if settings.uvloop:
        try:
            import uvloop
        except ImportError:
            pass
        else:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(_measure(settings))
    return asyncio.run(_measure(settings))


async def _measure(settings: Settings) -> tuple[Figures, Figures]:
    rounds = max(20, int(BATCHES_A_SECOND * settings.seconds))
    async with pair.joined() as members, cable.opened() as wire:
        await oneway.whole(members, 20)
        told = _medians(await oneway.steps(members, wire, rounds // 4), oneway.ORDER)
        told = {name: took / BATCH_MESSAGES for name, took in told.items()}
        told[WHOLE] = statistics.median(await oneway.whole(members, rounds // 8))
        await roundtrip.whole(members, 100)
        asked = _medians(await roundtrip.steps(members, wire, rounds), roundtrip.ORDER)
        asked[WHOLE] = statistics.median(await roundtrip.whole(members, rounds))
    return told, asked


def _medians(watch: Stopwatch, names: Sequence[str]) -> Figures:
    return {name: watch.median([name]) for name in names}


def _table(
    name: str, title: str, repeats: list[Figures], order: Sequence[str],
    times: Mapping[str, int], settings: Settings,
) -> table.Table:  # fmt: skip
    for figures in repeats:
        figures[SUM] = sum(figures[step] * count for step, count in times.items())
    whole = statistics.median(figures[WHOLE] for figures in repeats)
    rows = []
    for step in (*order, SUM, WHOLE):
        values = [figures[step] for figures in repeats]
        median, count = statistics.median(values), times.get(step, 1)
        rows.append(
            table.Row(
                name=step, way=f"{count}x" if step in times else "", median=table.rounded(median),
                low=table.rounded(min(values)), high=table.rounded(max(values)), p99=None, lost=0,
                better_than={}, also={"% of the whole": 100 * median * count / whole},
            )
        )  # fmt: skip
    return table.Table(
        name=name, title=title, unit="ns", rounds=settings.repeats, peers=[], rows=rows,
        remarks=[REMARK],
    )  # fmt: skip
