"""``Terms``: in which order the pairs of a run begin, how many at once, and what a failure stops.

Values only; nothing here does I/O.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from math import isfinite
from typing import Literal, TypeAlias, get_args

from ..errors import ConfigError
from .nearest import nearest

Kind: TypeAlias = Literal["site-sequential", "sequential", "atomic", "parallel"]
Order: TypeAlias = Literal["job", "site"]
Portion: TypeAlias = int | str
KINDS: tuple[Kind, ...] = get_args(Kind)
ORDERS: tuple[Order, ...] = get_args(Order)
PERCENT = re.compile(r"\d{1,3}(?:\.\d{1,6})?%", re.ASCII)
FLAGS = ("break_on_error", "cancel_running", "live", "recheck", "allow_missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a run goes on. Checked when made.

    Attributes:
        schedule: "site-sequential" (the default): each site goes through its jobs by itself;
            "sequential": a job begins when the one before has ended on all its sites; "atomic":
            one job on one site at a time; "parallel": all at once.
        order: of an atomic schedule: "job" (the default): a job on each of its sites, then the
            next; "site": all jobs of a site, then the next site.
        break_on_error: what is stopped by a failure: in a site-sequential schedule the rest of
            that site; in a sequential one all that comes after the job; in an atomic one
            everything; in a parallel one nothing. Off by default.
        cancel_running: what ``break_on_error`` or ``max_fail`` stops everywhere is stopped while it
            runs, too. A sequential schedule's job is then not finished first. Off by default.
        max_parallel: so many pairs run at a time; None (the default): all that may.
        per_host: so many run on one host at a time; None (the default): all that may.
        batches: the sites are taken in portions of so many, each when the one before has been
            through all jobs; "25%": so many of all sites, rounded down, at least one; a list: the
            portions' sizes, of which the last repeats. None (the default): all in one.
        max_fail: so many sites may fail; with one more nothing more begins anywhere. "25%": of
            the sites there are at the start, rounded down. 0: the first that fails stops all.
            None (the default): any number.
        live: sites that come while it runs take part; ``Schedule`` says how. Off by default.
        recheck: in a live run, a job begins only where it still matches then. On by default.
        allow_missing: names of jobs that there are not are left out; otherwise they are refused.
        require_sites: each job must match so many sites; True: one; False (the default): none.
        timeout: seconds each action may take; None (the default): any time.
        roles: the run is limited to the sites with these; None (the default): all.

    Raises:
        ConfigError: a setting cannot work.
    """

    schedule: Kind = "site-sequential"
    order: Order = "job"
    break_on_error: bool = False
    cancel_running: bool = False
    max_parallel: int | None = None
    per_host: int | None = None
    batches: Portion | Sequence[Portion] | None = None
    max_fail: Portion | None = None
    live: bool = False
    recheck: bool = True
    allow_missing: bool = False
    require_sites: bool | int = False
    timeout: float | None = None
    roles: object = None

    def __post_init__(self) -> None:
        check_choice("schedule", self.schedule, KINDS)
        check_choice("order", self.order, ORDERS)
        if self.order == "site" and self.schedule != "atomic":
            raise ConfigError(f'order="site" is for schedule="atomic", not for {self.schedule!r}')
        for name in FLAGS:
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise ConfigError(f"{name}={value!r}: True or False")
        for name in ("max_parallel", "per_host"):
            value = getattr(self, name)
            if value is not None and not whole(value, 1):
                raise ConfigError(f"{name}={value!r}: a whole number of 1 or more, or None")
        if isinstance(self.batches, list):
            object.__setattr__(self, "batches", tuple(self.batches))
        check_batches(self.batches)
        if self.max_fail is not None and not (whole(self.max_fail, 0) or share(self.max_fail, 0)):
            raise ConfigError(f'max_fail={self.max_fail!r}: 0 or more sites, "25%", or None')
        if not isinstance(self.require_sites, bool) and not whole(self.require_sites, 0):
            raise ConfigError(f"require_sites={self.require_sites!r}: True, False or a number")
        check_timeout(self.timeout)

    def changed(self, **given: object) -> Terms:
        """These with others in their place; what is not given stays. Another schedule than an
        atomic one drops ``order``, which it cannot have, unless it is given as well.

        Raises:
            ConfigError: a name or a value that cannot be.
        """
        known = {field.name for field in fields(self)}
        for name in given:
            if name not in known:
                raise ConfigError(f"{name}=: there is no such option{nearest(name, known)}")
        if given.get("schedule", "atomic") != "atomic":
            given.setdefault("order", "job")
        return replace(self, **given)  # type: ignore[arg-type]

    def portions(
        self, sites: Sequence[str], *, of: int | None = None, after: int = 0
    ) -> list[tuple[str, ...]]:
        """The sites as ``batches`` divides them: none of no sites. ``of``: all that percentages
        are of, by default these; ``after``: so many portions were there before.
        """
        if self.batches is None:
            return [tuple(sites)] if sites else []
        given = self.batches if isinstance(self.batches, tuple) else (self.batches,)
        total = len(sites) if of is None else of
        sizes = [max(1, amount(entry, total)) for entry in given]
        found: list[tuple[str, ...]] = []
        begin = 0
        while begin < len(sites):
            size = sizes[min(after + len(found), len(sizes) - 1)]
            found.append(tuple(sites[begin : begin + size]))
            begin += size
        return found

    def may_fail(self, sites: int) -> int | None:
        """How many of so many sites may fail; None: any number."""
        return None if self.max_fail is None else amount(self.max_fail, sites)


def whole(value: object, least: int) -> bool:
    """It is a whole number, so many or more; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def share(value: object, least: int) -> bool:
    """It is a percentage as text; with a ``least`` of 1, one of more than nothing."""
    if not isinstance(value, str) or not PERCENT.fullmatch(value):
        return False
    return (0 if least else -1) < Fraction(value[:-1]) <= 100


def amount(entry: object, total: int) -> int:
    """A number as it is; a percentage of ``total``, rounded down."""
    if isinstance(entry, str):
        return int(Fraction(entry[:-1]) * total / 100)
    return int(entry)  # type: ignore[call-overload,no-any-return]


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raises ConfigError where it is none of them."""
    if value not in choices:
        close = nearest(value, choices) if isinstance(value, str) else ""
        raise ConfigError(f"{name}={value!r}: one of {', '.join(map(repr, choices))}{close}")


def check_batches(given: object) -> None:
    """Raises ConfigError where sites cannot be divided so."""
    entries = given if isinstance(given, tuple) else (given,)
    if given is not None and not (
        entries and all(whole(entry, 1) or share(entry, 1) for entry in entries)
    ):
        raise ConfigError(f'batches={given!r}: 1 or more sites, "25%", a list of these, or None')


def check_timeout(seconds: object) -> None:
    """Raises ConfigError where nothing can take so long."""
    if seconds is None:
        return
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not (number and isfinite(seconds) and seconds > 0):  # type: ignore[arg-type,operator]
        raise ConfigError(f"timeout={seconds!r}: seconds, more than 0, or None")
