"""How many small dataclasses arrive a second, beside as many bytes."""

from __future__ import annotations

from statistics import median

from .. import rows, table
from ..costs.place import Place
from ..costs.reading import Reading
from ..costs.told import AS_DICT, AS_TYPE, BLOCKING, BYTES
from ..settings import Settings
from ..table import Table

VALUES = (BYTES, AS_DICT, AS_TYPE)
REMARK = (
    "`cluster.send(Reading(...), services=(service,))`, a new dataclass of four fields "
    f"({', '.join(Reading.__annotations__)}) for each message, to an `event` hook that reads "
    "`event.data`, which gives a dict, or `event.read(Reading)`; bytes: the same 64 each time. "
    "The blocking face, UNIX sockets, two processes; a ratio is the median of the rounds'."
)


def run(settings: Settings) -> list[Table]:
    """One table."""
    rates: dict[str, list[float]] = {value: [] for value in VALUES}
    lost = dict.fromkeys(VALUES, 0)
    for number in range(settings.repeats):
        for value in VALUES[number % 3 :] + VALUES[: number % 3]:
            table.progress(f"typed: round {number + 1} of {settings.repeats}, {value}")
            rate, missing = _measure(value, settings)
            rates[value].append(rate)
            lost[value] += missing
    table.progress("")
    beside = {
        value: median(a / b for a, b in zip(rates[value], rates[BYTES], strict=True))
        for value in VALUES
    }
    return [
        Table(
            name="typed", title="a small dataclass one way, beside bytes", unit="/s",
            rounds=settings.repeats, peers=[], remarks=[REMARK],
            rows=[
                rows.row(
                    "meshcluster, blocking", value, rates[value], lost=lost[value],
                    also={"times bytes": beside[value]},
                )
                for value in VALUES
            ],
        )
    ]  # fmt: skip


def _measure(value: str, settings: Settings) -> tuple[float, int]:
    told = {"kind": BLOCKING, "value": value, "seconds": settings.seconds}
    with Place(**told, uvloop=settings.uvloop) as place:
        catching, pouring = place.start("catching"), place.start("pouring")
        catching.hear()
        sent = pouring.hear()["sent"]  # it begins when it has met the other
        got = catching.hear()
    return got["rate"], int(sent - got["received"])
