"""``python -m benchmarks cold``: starts meshes that were not started yet, writes the page."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..markdown import grid
from ..process import ROOT
from .cold import WATCHED_SECONDS, ColdStart, start

KEPT = ROOT / "benchmarks" / "cold.jsonl"
PAGE = ROOT / "docs" / "cold-start.md"

HEAD = (
    "members", "real", "seed", "agreed", "all", "at 0.01 s", "0.1 s", "0.5 s", "1 s", "beacons/s",
    "worst", "beacons", "vouches", "to one", "views", "view bytes", "asks/s", "CPU s", "wall s",
    "MB",
)  # fmt: skip

ABOUT = """\
# A cold start in figures

All members of a mesh start at the same moment and nothing is lost: how soon everybody knows
everybody, and what that takes. In virtual time, `ttl=1`, every setting at its default. Made by
`python -m benchmarks cold --members 10000 --real 50`, which adds the run if it is not in
`benchmarks/cold.jsonl` yet and writes this page.

Ten thousand real members would fill 200 GB, so most are *played*: of each there is only the set of
those that it knows. It asks, answers, vouches, beacons and compares views by the rules of real ones
(`benchmarks/membership/played.py`), and the *real* members, nodes as they run anywhere, hear from
it what they would hear from a real one. What such a mesh is worth is seen where all are real as
well: the same rows, above.

{table}

- *agreed*: seconds until every real member knew all, and its view had the fingerprint that all
  should have. (The last of 25 is sooner than the last of 500.) *all*: until every played one knew
  all as well. *at ...*: how much of what they should know the real members knew by then.
- *beacons/s*: of all members together, after the first ten seconds: two minutes of 10,000 members,
  whose interval is 100 s, and 5 to 20 s of fewer; *worst*: in the worst second of these.
- *beacons*, *vouches*: datagrams to the group in the first ten seconds, of all members together.
- *to one*: datagrams to one member, *views*: frames with views asked for and told, *view bytes*:
  their size; in the first ten seconds, for each member.
- *asks/s*: questions and answers that a real member sends in a second afterwards.
- *CPU*, *wall*, *MB*: what the whole run takes on one core, and the most memory.
"""


def main(arguments: Sequence[str]) -> int:
    """Runs what is asked for; 0."""
    options = _parser().parse_args(arguments)
    kept = load(options.kept)
    real, seed = options.real or options.members, options.seed
    if (options.members, real, seed) not in {(k.members, k.real, k.seed) for k in kept}:
        kept.append(start(options.members, real, seed, seconds=options.seconds))
        with options.kept.open("ab") as file:
            file.write(msgspec.json.encode(kept[-1]) + b"\n")
        print(f"{options.members} members agree after {kept[-1].agreed} s", flush=True)
    options.page.write_text(page(kept), encoding="utf-8")
    return 0


def load(path: Path) -> list[ColdStart]:
    """What earlier runs left; nothing if there is no such file."""
    if not path.exists():
        return []
    return [msgspec.json.decode(line, type=ColdStart) for line in path.read_bytes().splitlines()]


def page(starts: Sequence[ColdStart]) -> str:
    """The whole page."""
    in_order = sorted(starts, key=lambda each: (each.members, -each.real, each.seed))
    return ABOUT.format(table=grid(HEAD, [_row(each) for each in in_order]))


def _row(each: ColdStart) -> list[str]:
    others = each.others
    datagrams = sum(count for kind, count in others.items() if not kind.startswith("View"))
    views = others.get("ViewRequest", 0) + others.get("View", 0)
    shares = [f"{100 * each.shares.get(at, 1.0):.1f} %" for at in ("0.01", "0.1", "0.5", "1")]
    return [
        f"{each.members:,}", f"{each.real:,}", str(each.seed),
        *["-" if at is None else f"{at:.2f}" for at in (each.agreed, each.last)], *shares,
        f"{each.beacons:.0f}", str(each.worst),
        f"{each.group.get('Beacon', 0):,}", f"{each.group.get('Vouch', 0):,}",
        f"{datagrams:.0f}", f"{views:.1f}", f"{each.view_bytes:,.0f}", f"{each.questions:.1f}",
        f"{each.cpu_seconds:.0f}", f"{each.wall_seconds:.0f}", f"{each.memory_bytes / 1e6:,.0f}",
    ]  # fmt: skip


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m benchmarks cold",
        description="A mesh that starts at one moment, most of its members played.",
    )
    parser.add_argument("--members", type=int, default=10_000, help="size of the mesh")
    parser.add_argument("--real", type=int, default=50, help="real ones among them; 0: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--seconds", type=int, default=WATCHED_SECONDS, help="virtual, after the first ten"
    )
    parser.add_argument("--kept", type=Path, default=KEPT, help="where outcomes are kept")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page that is written")
    return parser
