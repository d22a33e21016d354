"""``python -m benchmarks membership``: runs what is not kept yet, writes the page."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..process import ROOT
from .measuring import Outcome, measure
from .page import page

KEPT = ROOT / "benchmarks" / "membership.jsonl"
PAGE = ROOT / "docs" / "membership-figures.md"


def main(arguments: Sequence[str]) -> int:
    """Runs what is asked for; 0."""
    options = _parser().parse_args(arguments)
    kept = load(options.kept)
    known = {(each.members, each.loss, each.seed) for each in kept}
    for seed in _numbers(options.seeds):
        for members in _numbers(options.members):
            for loss in _numbers(options.loss):
                if (members, loss, seed) in known:
                    continue
                print(f"{members} members, {loss} % loss, seed {seed} ...", end=" ", flush=True)
                outcome = measure(members, loss, seed, options.hours, options.deaths)
                kept.append(outcome)
                with options.kept.open("ab") as file:
                    file.write(msgspec.json.encode(outcome) + b"\n")
                print(f"{outcome.false_deaths} false deaths, {outcome.cpu_seconds} s", flush=True)
                options.page.write_text(page(kept), encoding="utf-8")
    options.page.write_text(page(kept), encoding="utf-8")
    return 0


def load(path: Path) -> list[Outcome]:
    """What earlier runs left; nothing if there is no such file."""
    if not path.exists():
        return []
    return [msgspec.json.decode(line, type=Outcome) for line in path.read_bytes().splitlines()]


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m benchmarks membership",
        description="False deaths, detection times, traffic: in virtual time, by seed.",
    )
    parser.add_argument("--members", default="30,100", help="sizes of the mesh")
    parser.add_argument("--loss", default="0,5,10,30", help="percent of datagrams")
    parser.add_argument("--seeds", default="1", help="such as 1-24 or 3,5")
    parser.add_argument("--hours", type=float, default=0.05, help="quiet virtual hours of each run")
    parser.add_argument("--deaths", type=int, default=3, help="silent deaths, and kills, a run")
    parser.add_argument("--kept", type=Path, default=KEPT, help="where outcomes are kept")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page that is written")
    return parser


def _numbers(text: str) -> list[int]:
    """``1-3,7`` as 1, 2, 3, 7."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found
