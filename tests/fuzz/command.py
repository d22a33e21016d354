"""``python -m tests.fuzz``: feeds targets, keeps the tally, writes the page."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

import msgspec

from .guiding import guide
from .page import page
from .running import SAMPLED, Outcome, Run, pool_of
from .targets import TARGETS

ROOT = Path(__file__).parents[2]
TALLY = Path(__file__).parent / "tally.jsonl"
PAGE = ROOT / "docs" / "fuzzing.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what is asked for; an input that breaks a target ends it."""
    options = _parser().parse_args(arguments)
    chosen = [TARGETS[name] for name in options.targets or TARGETS]
    if options.input is not None:
        for target in chosen:
            print(repr(target.open()(bytes.fromhex(options.input))))
        return 0
    for target in chosen:
        if options.guided:
            print(f"{target.name}: {guide(target, options.seed, options.guided)}", flush=True)
            continue
        run = Run(target, options.seed, pool_of(target))
        outcome = run.go(options.inputs // (target.costs if target.stateful else 1))
        print(
            f"{outcome.target}: {outcome.inputs:,} inputs, {outcome.accepted:,} taken, "
            f"{outcome.seconds} CPU s, slowest {outcome.slowest[0]} us, grown {outcome.grown} KiB, "
            f"peak {outcome.peak} KiB, one input {outcome.most} KiB", flush=True,
        )  # fmt: skip
        if options.verbose:
            print("\n".join(f"  {data.hex()[:120]}" for data in run.slowest))
            print(outcome.refused, outcome.slowest)
        if options.keep:
            _keep(outcome, options)
    return 0


def load(path: Path) -> list[Outcome]:
    """The kept tally."""
    if not path.exists():
        return []
    return [msgspec.json.decode(line, type=Outcome) for line in path.read_bytes().splitlines()]


def _keep(outcome: Outcome, options: Namespace) -> None:
    """The last run of each target."""
    kept = {each.target: each for each in load(options.tally)} | {outcome.target: outcome}
    ordered = [kept[name] for name in TARGETS if name in kept]
    options.tally.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in ordered))
    options.page.write_text(page(ordered, TARGETS, SAMPLED), encoding="utf-8")


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m tests.fuzz", description="Hostile input for parsers.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", choices=[[], *TARGETS],
                        help=f"of {', '.join(TARGETS)} [all]")  # fmt: skip
    parser.add_argument(
        "--inputs", type=int, default=10_000_000, help="for each parser; whole members get a part"
    )
    parser.add_argument("--seed", type=int, default=1, help="the same one makes the same inputs")
    parser.add_argument("--guided", type=float, metavar="SECONDS",
                        help="look for inputs that reach something new, and keep them")  # fmt: skip
    parser.add_argument("--input", metavar="HEX", help="feed this one alone")
    parser.add_argument("--keep", action="store_true", help="keep the tally and write the page")
    parser.add_argument("--verbose", action="store_true", help="tell the slowest and the reasons")
    parser.add_argument("--tally", type=Path, default=TALLY, help="where outcomes are kept")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page that is written")
    return parser
