"""The plan of a table that has peers in it: who takes part, and how much better ours is to be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .. import table
from ..entrants import (
    EXECNET,
    EXECNET_BATCHES,
    GRPC,
    GRPC_AWAITED,
    JETSTREAM,
    NATS,
    PYRO,
    PYRO_BATCHES,
    WAYS,
    Entrant,
)
from ..settings import Settings
from ..table import Wish

KINDS = {PYRO_BATCHES: PYRO, GRPC_AWAITED: GRPC, JETSTREAM: NATS, EXECNET_BATCHES: EXECNET}
"""Another way of using a peer, which takes part when that does."""

COMPARED = (
    "All of a table take their turns in each round; a ratio is the median of the rounds' ratios, "
    "above 1x ours is better. It is that of `{usual}`, unless a cell names another; `our best` is "
    "the best of ours where that is another one. The goal is how many times better ours was "
    "wished to be."
)
SECURITY = (
    "Ours with its defaults, `ttl=0`: `tcp` is sealed by the host's key; `unix`, which it chooses "
    "by itself, is between processes of one user and carries nothing sealed. No peer encrypts."
)


def plan(
    settings: Settings, name: str, title: str, unit: str, *, ours: Sequence[Entrant],
    names: Iterable[str], more: Iterable[Entrant] = (), wishes: dict[str, Wish],
) -> table.Plan:  # fmt: skip
    """Ours, the chosen ones of these peers in all their ways, and more."""
    chosen = [name for name in names if is_chosen(name, settings)]
    return table.Plan(
        name=name, title=title, unit=unit, ours=ours, wishes=wishes,
        entrants=[*ours, *(Entrant(name, way) for name in chosen for way in WAYS[name]), *more],
    )  # fmt: skip


def how(settings: Settings, name: str, remarks: Iterable[str], told: dict[str, str]) -> table.Table:
    """A table without rows that says what is compared, and how each chosen peer is used."""
    chosen = [f"- {peer}: {said}." for peer, said in told.items() if is_chosen(peer, settings)]
    return table.Table(
        name=name, title="what is compared, and how each is used at its best", unit="",
        rounds=settings.repeats, peers=[], rows=[], remarks=[*remarks, "\n".join(chosen)],
    )  # fmt: skip


def is_chosen(name: str, settings: Settings) -> bool:
    """Whether a peer is to be measured."""
    return not settings.peers or KINDS.get(name, name) in settings.peers


def wishes(times: dict[str, float], by: Entrant) -> dict[str, Wish]:
    """How many times better than each that one is to be."""
    return {name: Wish(wanted, str(by)) for name, wanted in times.items()}
