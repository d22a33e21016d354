"""The command line: which parts, how long, and where the result goes."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

import msgspec

from . import machine, markdown, namespace, page, picture, stored, summary
from .costs import bytecode
from .membership import command as membership
from .membership import starting
from .parts import PARTS, peers, ssh
from .process import MemberFailed
from .settings import Settings
from .table import Table

PEERS = (*peers.PEERS, *ssh.PEERS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what is asked for; 0 unless it could not be run."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["membership"]:
        return membership.main(given[1:])
    if given[:1] == ["cold"]:
        return starting.main(given[1:])
    parser = _parser()
    options = parser.parse_args(given)
    if (options.netns or options.netns_if_possible) and not namespace.is_inside():
        why_not = namespace.obstacle()
        if not why_not:
            return namespace.run_inside(given)
        if options.netns:
            parser.error(f"--netns: {why_not}")
    try:
        if options.render:
            _show(_kept(options.render), options)
        else:
            with bytecode.kept():
                _measure(options)
    except MemberFailed as error:
        sys.exit(f"benchmarks: {error}")
    return 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m benchmarks",
        description="Measures the mesh beside its peers and bare sockets.",
        epilog="python -m benchmarks membership --help: judging members, in virtual time; "
        "python -m benchmarks cold --help: thousands that start together.",
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of each table")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one measurement")
    parser.add_argument(
        "--idle-seconds", type=float, default=60.0, help="how long `idle` watches, in all"
    )
    parser.add_argument("--plain", action="store_true", help="without uvloop")
    parser.add_argument(
        "--netns", action="store_true", help="in a fresh network namespace (root, Linux)"
    )
    parser.add_argument(
        "--netns-if-possible", action="store_true", help="the same, or else in the host's network"
    )
    parser.add_argument(
        "--peers", type=lambda text: tuple(text.split(",")), default=(), metavar="NAMES",
        help=f"whom peers, calls, queues and ssh measure, with commas: of {', '.join(PEERS)}",
    )  # fmt: skip
    parser.add_argument("--svg", type=Path, metavar="FILE", help="keep a picture")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the result")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="keep what is printed")
    parser.add_argument(
        "--into", type=Path, metavar="PAGE", help="put the tables between the marks of a page"
    )
    parser.add_argument(
        "--merge", type=Path, metavar="FILE",
        help="put the tables into a kept result, in place of those of the same names",
    )  # fmt: skip
    parser.add_argument(
        "--render", type=Path, metavar="FILE", help="measure nothing: show a kept result"
    )
    parser.add_argument(
        "--compare", type=Path, metavar="FILE", help="show a kept result beside this one"
    )
    return parser


def _kept(path: Path) -> stored.Run:
    try:
        return stored.load(path)
    except (OSError, msgspec.DecodeError) as error:
        sys.exit(f"{path} is no run that was kept with --json: {error}")


def _measure(options: Namespace) -> None:
    chosen = options.parts or list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        sys.exit(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if unknown := set(options.peers) - set(PEERS):
        sys.exit(f"no such peer: {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    before = _kept(options.compare) if options.compare else None
    if options.merge:
        _kept(options.merge)  # what is no kept run is told before anything is measured
    settings = Settings(
        options.repeats, options.seconds, uvloop=not options.plain,
        idle_seconds=options.idle_seconds, peers=options.peers,
    )  # fmt: skip
    report = Report(options.markdown)
    about = machine.facts(uvloop=settings.uvloop, namespace=namespace.is_inside())
    report.add(markdown.facts("Machine", about))
    tables: list[Table] = []
    try:
        for name in chosen:
            for table in PARTS[name](settings):
                tables.append(table)
                report.add(markdown.table(table))
                _keep(stored.Run(about, tables), options)  # what is cut short keeps what it has
    finally:
        if in_short := summary.of(tables):
            report.add(in_short)
    if before is not None:
        report.add(markdown.facts("Compared with a run on", before.machine))
        known = {table.name: table for table in before.tables}
        for table in tables:
            if table.name in known:
                report.add(markdown.comparison(known[table.name], table))
        if new := [table.name for table in tables if table.name not in known]:
            report.add(f"Not stored yet: {', '.join(new)}.\n")
    _put(stored.Run(about, tables), options)


def _keep(run: stored.Run, options: Namespace) -> None:
    if options.svg:
        options.svg.write_text(picture.svg(run.tables), encoding="utf-8")
    if options.json:
        stored.save(run, options.json)


def _show(run: stored.Run, options: Namespace) -> None:
    """The same as after the run that was kept."""
    report = Report(options.markdown)
    report.add(page.sections(run))
    if options.svg:
        options.svg.write_text(picture.svg(run.tables), encoding="utf-8")
    _put(run, options)


def _put(run: stored.Run, options: Namespace) -> None:
    """Among figures that are there already."""
    if options.merge:
        stored.merge(run, options.merge)
    if options.into:
        page.fill(options.into, run)


class Report:
    """Prints as it goes, and keeps the same in a file if there is one."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._text = ""

    def add(self, text: str) -> None:
        """Adds one section."""
        print(text, flush=True)
        self._text += text + "\n"
        if self._path is not None:
            self._path.write_text(self._text, encoding="utf-8")
