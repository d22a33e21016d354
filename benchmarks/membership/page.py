"""The outcomes of all runs as one table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import median

from ..markdown import grid
from .measuring import Outcome

HEAD = (
    "members", "loss", "seeds", "hours", "suspected", "false deaths", "a member-hour",
    "silent: first", "all p50", "all p99", "kill: all p50", "p99", "cold start", "healed",
    "beacons/s", "bytes/s", "CPU/s",
)  # fmt: skip

ABOUT = """\
# Membership in figures

Real nodes in virtual time (`meshcluster/testing/simulation.py`), `ttl=1`, every setting at its
default. Made by

    python -m benchmarks membership --members 100 --loss 30 --seeds 1-24 --hours 1

which adds the runs that are not in `benchmarks/membership.jsonl` yet and writes this page. The
same seed gives the same run.

{table}

- *loss*: of all datagrams, uniform, each receiver by itself. Links lose nothing.
- *hours*: quiet virtual hours of the whole mesh, summed over the seeds: nobody dies, so whoever
  is lost is a false death. *a member-hour*: false deaths by hours and members.
- *suspected*: suspicions of living members in that time, summed over all who told their users;
  all others were withdrawn.
- *silent*: seconds from a pulled cable (nothing gets through, nothing is refused) until the first
  and until every other member has lost the member; p50 and p99 over all such deaths.
- *kill*: seconds from the end of a process (its links end, its port refuses) until every other
  member has lost it.
- *cold start*: all members start at the same moment; seconds until each knows all, the worst
  seed.
- *healed*: halves are cut apart for 60 s; seconds from the repair until each knows all, the worst
  seed. Not tried above 100 members.
- *beacons/s*: datagrams to the group a second, of all members together. *bytes/s*: what one
  member sends while nothing happens, datagrams and frames without the headers of IP, with beacons
  as large as those of a host with one address.
- *CPU/s*: seconds of one core for one virtual second of the whole mesh, over everything in the
  run.
- A dash: did not happen within five minutes, or was not tried.

Seeds and hours of each row: {runs}.
"""


def page(outcomes: Sequence[Outcome]) -> str:
    """The whole page."""
    groups: dict[tuple[int, int], list[Outcome]] = defaultdict(list)
    for outcome in sorted(outcomes, key=lambda each: (each.members, each.loss, each.seed)):
        groups[outcome.members, outcome.loss].append(outcome)
    runs = "; ".join(
        f"{members:,} at {loss} %: {_seeds(group)}" for (members, loss), group in groups.items()
    )
    table = grid(HEAD, [_row(group) for group in groups.values()])
    return ABOUT.format(table=table, runs=runs)


def _row(group: Sequence[Outcome]) -> list[str]:
    first = group[0]
    hours = sum(each.hours for each in group)
    false = sum(each.false_deaths for each in group)
    silent = [each for outcome in group for each in outcome.silent_all]
    kills = [each for outcome in group for each in outcome.kill_all]
    virtual = 3600 * hours + sum(
        sum(o.silent_all) + sum(o.kill_all) + 10 * len(o.kill_all + o.silent_all) + 10
        for o in group
    )
    return [
        f"{first.members:,}", f"{first.loss} %", str(len(group)), f"{hours:.2f}",
        str(sum(each.suspicions for each in group)),
        str(false), f"{false / hours / first.members:.3g}",
        _seconds(median(each for o in group for each in o.silent_first) if silent else None),
        _seconds(percentile(silent, 50)), _seconds(percentile(silent, 99)),
        _seconds(percentile(kills, 50)), _seconds(percentile(kills, 99)),
        _seconds(_worst([each.cold_start for each in group])),
        _seconds(_worst([each.healed for each in group])),
        f"{max(each.beacons for each in group):.0f}",
        f"{median(each.idle_bytes for each in group):.0f}",
        f"{sum(each.cpu_seconds for each in group) / virtual:.2f}",
    ]  # fmt: skip


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The least value that so many percent of all do not exceed."""
    if not values:
        return None
    place = -(-len(values) * percent // 100)
    return sorted(values)[max(0, int(place) - 1)]


def _worst(values: Sequence[float | None]) -> float | None:
    known = [each for each in values if each is not None]
    return max(known) if len(known) == len(values) else None


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if value < 0.1 else f"{value:.1f}"


def _seeds(group: Sequence[Outcome]) -> str:
    by_hours: dict[float, list[int]] = defaultdict(list)
    for each in group:
        by_hours[each.hours].append(each.seed)
    return ", ".join(
        f"seeds {' '.join(map(str, seeds))} of {hours:.3g} h" for hours, seeds in by_hours.items()
    )
