"""``Plan``: what a run would do, before it does any of it; and which jobs a run is of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import MissingJob
from .nearest import nearest
from .outcomes import Pair
from .schedule import Schedule
from .stages import Key
from .terms import Terms

SHOWN = 12
"""So many sites, lanes, pairs or stages are written out in a row; ``to_dict`` has all."""


def pick(
    names: Sequence[str], declared: Collection[str], *, allow_missing: bool = False
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the jobs that there are, in order, and of those that there are not.

    Raises:
        MissingJob: there are such, and ``allow_missing`` is off.
    """
    missing = tuple(dict.fromkeys(name for name in names if name not in declared))
    if missing and not allow_missing:
        said = "; ".join(f"there is no job {name!r}{nearest(name, declared)}" for name in missing)
        raise MissingJob(said)
    return tuple(name for name in names if name in declared), missing


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does, as far as it is known at its start. ``str`` of it is for people.

    Attributes:
        terms: the order, and what stops it.
        jobs: the names in order; the position of a job is its place here, from 0.
        resolved: the sites of each job, by its position and name.
        actions: how many actions each job has on each site, by position and site.
        stages: the stages one after the other; of each the lanes side by side; of each the pairs
            one after the other.
        ignored: names of jobs that there are not.
        warnings: jobs that match no site, and jobs without actions.
        trouble: what is wrong with sites by now, such as "unreachable since 12:04".
    """

    terms: Terms
    jobs: tuple[str, ...]
    resolved: Mapping[Key, tuple[str, ...]]
    actions: Mapping[tuple[int, str], int]
    stages: tuple[tuple[tuple[Pair, ...], ...], ...]
    ignored: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    trouble: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        schedule: Schedule,
        actions: Callable[[str, str], int],
        *,
        ignored: Sequence[str] = (),
        trouble: Mapping[str, str] | None = None,
        retried: bool = False,
        left_out: Sequence[Pair] = (),
    ) -> Plan:
        """The plan of a schedule of which nothing has begun.

        Args:
            schedule: it is only looked at.
            actions: how many actions a job (the first argument) has on a site.
            ignored: names that ``pick`` left out.
            trouble: what is wrong with sites; of those that have no part nothing is said.
            retried: a job may have nothing left to do.
            left_out: pairs of a retry that the roles of the run leave out.
        """
        resolved = schedule.resolved
        counts = {(at, s): actions(job, s) for (at, job), sites in resolved.items() for s in sites}
        warnings = [f"there is no job {name!r}" for name in ignored]
        for (at, job), sites in resolved.items():
            if not sites:
                warnings += [] if retried else [f"{job} matches no site"]
            elif not any(counts[at, site] for site in sites):
                warnings.append(f"{job} has no actions")
        if left_out:
            sites_of: dict[Key, list[str]] = {}
            for pair in left_out:
                sites_of.setdefault(pair[:2], []).append(pair.site)
            text = "; ".join(f"{job} on {some(sites)}" for (_, job), sites in sites_of.items())
            warnings.append(f"left out, not among roles={schedule.terms.roles!r:.80}: {text}")
        taking_part = {site for sites in resolved.values() for site in sites}
        return cls(
            schedule.terms,
            schedule.jobs,
            resolved,
            counts,
            schedule.stages,
            tuple(ignored),
            tuple(dict.fromkeys(warnings)),
            {site: text for site, text in (trouble or {}).items() if site in taking_part},
        )

    @property
    def sites(self) -> tuple[str, ...]:
        """All sites that have a part in it."""
        return tuple(dict.fromkeys(site for found in self.resolved.values() for site in found))

    @property
    def pairs(self) -> list[Pair]:
        """All pairs, job by job."""
        return [Pair(*key, site) for key, sites in self.resolved.items() for site in sites]

    def __str__(self) -> str:
        lines = [
            f"{self.terms.schedule}: {many(len(self.jobs), 'job')} on "
            f"{many(len(self.sites), 'site')}, {many(len(self.actions), 'pair')} in "
            f"{many(len(self.stages), 'stage')}"
        ]
        lines += [f"  {text}" for text in conditions(self.terms)]
        for (at, job), sites in self.resolved.items():
            lines.append(f"{at + 1}. {job}: {many(len(sites), 'site')}")
            lines += [f"   {text}" for text in self._by_actions(at, sites)]
        lines.append("order:")
        for at, lanes in enumerate(self.stages[:SHOWN], 1):
            lines.append(f"  stage {at}: {some([lane_text(lane) for lane in lanes])}")
        if len(self.stages) > SHOWN:
            lines.append(f"  and {many(len(self.stages) - SHOWN, 'stage')} more")
        lines += [f"warning: {text}" for text in self.warnings]
        lines += [f"{site}: {text}" for site, text in self.trouble.items()]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """All of it, as JSON can have it."""
        return {
            "schedule": self.terms.schedule,
            "conditions": list(conditions(self.terms)),
            "jobs": [
                {
                    "position": at,
                    "job": job,
                    "sites": [{"site": site, "actions": self.actions[at, site]} for site in sites],
                }
                for (at, job), sites in self.resolved.items()
            ],
            "stages": [
                [[pair._asdict() for pair in lane] for lane in lanes] for lanes in self.stages
            ],
            "ignored": list(self.ignored),
            "warnings": list(self.warnings),
            "trouble": dict(self.trouble),
        }

    def _by_actions(self, position: int, sites: Sequence[str]) -> list[str]:
        """A line for the sites that have as many actions."""
        groups: dict[int, list[str]] = {}
        for site in sites:
            groups.setdefault(self.actions[position, site], []).append(site)
        return [f"{many(count, 'action')}: {some(found)}" for count, found in groups.items()]


def conditions(terms: Terms) -> list[str]:
    """What holds a run back and what stops it, but for what is so by default."""
    scope = {
        "site-sequential": "a failure ends that site",
        "sequential": "a failure ends the run after its job",
        "atomic": "a failure ends the run",
        "parallel": "",
    }[terms.schedule]
    portions = terms.batches if isinstance(terms.batches, tuple) else (terms.batches,)
    said = {
        "site by site": terms.order == "site",
        f"at most {terms.max_parallel} at a time": terms.max_parallel is not None,
        f"at most {terms.per_host} on a host": terms.per_host is not None,
        f"sites in portions of {', '.join(map(str, portions))}": terms.batches is not None,
        scope: terms.break_on_error,
        f"at most {terms.max_fail} of the sites may fail": terms.max_fail is not None,
        "what a failure ends is stopped while it runs": terms.cancel_running,
        "sites that come take part": terms.live,
        f"at most {terms.timeout} s an action": terms.timeout is not None,
    }
    return [text for text, holds in said.items() if text and holds]


def many(count: int, what: str) -> str:
    """A number of things, in words."""
    return f"{count:,} {what}{'s' * (count != 1)}"


def some(texts: Sequence[str], comma: str = ", ") -> str:
    """The first texts, and how many more there are."""
    more = [f"{len(texts) - SHOWN:,} more"] if len(texts) > SHOWN else []
    return comma.join([*texts[:SHOWN], *more])


def lane_text(lane: Sequence[Pair]) -> str:
    """The first pairs of a lane, in order."""
    return some([f"{pair.job}/{pair.site}" for pair in lane], " > ")
