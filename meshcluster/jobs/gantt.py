"""A run as an SVG picture: a row for each site, a bar for each job, over the time. Nothing but
text; status is told by color and by pattern.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from ..lettering import duration, harmless, listed, shortened, width
from .outcomes import STATUSES, Outcome, RunResult, Status
from .timeline import Row, ending, last, rows, ticks

WIDTH, MARGIN, HEAD, AXIS, LEGEND = 980, 16, 56, 26, 22
MOST_NAME = 220
LETTER = 0.6
"""Of the size of its font a letter is at most this wide, or nearly all are."""

LANES = ((8, 30), (16, 24), (32, 18), (64, 14), (120, 11), (400, 9), (1000, 5))
"""Up to so many lanes, each is so high; else as the last."""

SYMBOL, MOST_SYMBOLS = 13, 8
"""Of what was not begun: the room for each, and how many are shown of a site."""

TEXT, FAINT, GRID, PAPER = "#1e293b", "#64748b", "#e2e8f0", "#ffffff"
OK_COLORS = ("#2563eb", "#1e40af")
"""Jobs take turns, so that one ends where the color changes."""

COLORS: dict[Status, str] = {
    "ok": OK_COLORS[0], "failed": "#dc2626", "lost": "#c2410c", "unreachable": "#475569",
    "skipped": "#94a3b8",
}  # fmt: skip
PATTERNS: dict[Status, str] = {
    "failed": '<path d="M-2,2 l4,-4 M0,8 l8,-8 M6,10 l4,-4" stroke-width="1.8"/>',
    "lost": '<path d="M1,2 h2 M5,6 h2" stroke-width="2"/>',
    "unreachable": '<path d="M0,2 h8 M0,6 h8" stroke-width="1.6"/>',
}

BEGIN = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
    'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13" fill="{text}">\n'
    '<rect width="{width}" height="{height}" fill="{paper}"/>\n'
)


@dataclass(frozen=True, slots=True)
class Sheet:
    """Where things are, in pixels.

    Attributes:
        left, right: of the time axis.
        top, bottom: of the rows.
        end: the seconds at ``right``.
        lane: how high a lane is.
    """

    left: float
    right: float
    top: float
    bottom: float
    end: float
    lane: int

    def x(self, seconds: float) -> float:
        """Where a time is; within the axis."""
        part = min(max(seconds / self.end, 0.0), 1.0)
        return self.left + part * (self.right - self.left)


def gantt(result: RunResult) -> str:
    """The picture. At most ``timeline.MOST_ROWS`` sites have a row; those that do not are counted
    below. What was not begun has its mark at the right. Reasons are in the ``title`` of each bar,
    which browsers show.
    """
    sites, left_out = rows(result)
    sheet = _sheet(result, sites)
    below = sheet.bottom + AXIS + (LEGEND if left_out else 0)
    height = round(below + LEGEND + MARGIN / 2)
    parts = [
        BEGIN.format(width=WIDTH, height=height, text=TEXT, paper=PAPER),
        *_patterns(),
        *_title(result),
        *_axis(sheet),
        *_rows(sheet, sites, result),
        *_interrupted(sheet, result),
        *_legend(result, below),
    ]
    if left_out:
        more = "1 more site has" if left_out == 1 else f"{left_out} more sites have"
        parts.append(_text(MARGIN, below - 4, f"{more} no row here", f' fill="{FAINT}"'))
    return "".join(parts) + "</svg>\n"


def _sheet(result: RunResult, sites: Sequence[Row]) -> Sheet:
    lanes = sum(_high(row, 1) for row in sites)
    lane = next((high for most, high in LANES if lanes <= most), LANES[-1][1])
    named = max((_wide(harmless(row.site), _font(_high(row, lane))) for row in sites), default=0)
    marks = max((len(row.rest) for row in sites), default=0)
    top = HEAD + AXIS if lanes * lane > 500 else HEAD
    return Sheet(
        left=MARGIN + min(named, MOST_NAME) + 10,
        right=WIDTH - MARGIN - 8 - (min(marks, MOST_SYMBOLS) + 1) * SYMBOL * bool(marks),
        top=top,
        bottom=top + lanes * lane,
        end=last(result),
        lane=lane,
    )


def _high(row: Row, lane: int) -> int:
    return lane * max(len(row.lanes), 1)


def _font(high: float) -> float:
    """The size of letters in so high a row."""
    return min(13.0, high - 2.0)


def _patterns() -> Iterator[str]:
    yield "<defs>\n"
    for status, drawn in PATTERNS.items():
        yield (
            f'<pattern id="{status}" width="8" height="8" patternUnits="userSpaceOnUse">'
            f'<g stroke="{PAPER}" stroke-opacity="0.6">{drawn}</g></pattern>\n'
        )
    yield "</defs>\n"


def _title(result: RunResult) -> Iterator[str]:
    done, pairs = len(result.having("ok")), len(result.outcomes)
    jobs = listed([harmless(job) for job in result.jobs], most=6) or "no job"
    sites = len({each.site for each in result.outcomes})
    where = "1 site" if sites == 1 else f"{sites} sites"
    schedule = shortened(harmless(result.schedule), 40)
    said = f"{schedule}: {done} of {pairs} ok on {where}"
    title = _fitting(jobs, WIDTH - 2 * MARGIN, 16)
    yield _text(MARGIN, 24, title, ' font-size="16" font-weight="bold"')
    yield _text(MARGIN, 44, f"{said} in {duration(result.seconds)}", f' fill="{FAINT}"')


def _axis(sheet: Sheet) -> Iterator[str]:
    faint = f' text-anchor="middle" font-size="11" fill="{FAINT}"'
    for seconds, said in ticks(sheet.end):
        x = sheet.x(seconds)
        yield (
            f'<line x1="{x:.1f}" y1="{sheet.top}" x2="{x:.1f}" y2="{sheet.bottom + 4}" '
            f'stroke="{GRID}"/>\n'
        )
        yield _text(x, sheet.bottom + 18, said, faint)
        if sheet.top > HEAD:  # who looks at the first rows does not see the axis below
            yield _text(x, sheet.top - 8, said, faint)


def _rows(sheet: Sheet, sites: Sequence[Row], result: RunResult) -> Iterator[str]:
    top = sheet.top
    for number, row in enumerate(sites):
        high = _high(row, sheet.lane)
        font = _font(high)
        if number % 2:
            yield (
                f'<rect x="{MARGIN / 2:g}" y="{top:g}" width="{WIDTH - MARGIN}" height="{high}" '
                f'fill="{GRID}" fill-opacity="0.4"/>\n'
            )
        name = _fitting(harmless(row.site), MOST_NAME, font)
        extra = f' text-anchor="end" font-size="{font:g}"'
        yield _text(sheet.left - 8, top + high / 2 + font * 0.35, name, extra)
        for place, lane in enumerate(row.lanes):
            for each in lane:
                yield from _bar(sheet, each, top + place * sheet.lane, result)
        yield from _rest(sheet, row.rest, top + high / 2)
        top += high


def _bar(sheet: Sheet, outcome: Outcome, top: float, result: RunResult) -> Iterator[str]:
    first, end = sheet.x(outcome.began or 0.0), sheet.x(ending(outcome, result))
    long = max(end - first - 0.5, 1.5)  # half a pixel of paper to the next
    first = min(first, sheet.right - long)
    gap = 1 if sheet.lane < 16 else 3
    place = f'x="{first:.1f}" y="{top + gap:g}" width="{long:.1f}" height="{sheet.lane - 2 * gap}"'
    if sheet.lane >= 16:
        place += ' rx="2"'
    turn = OK_COLORS[outcome.pair.position % len(OK_COLORS)]
    color = turn if outcome.status == "ok" else COLORS[outcome.status]
    yield f"<g>{_tooltip(outcome)}"
    yield f'<rect {place} fill="{color}"/>'
    if outcome.status in PATTERNS:
        yield f'<rect {place} fill="url(#{outcome.status})"/>'
    yield from _within(harmless(outcome.job), first, long, top + sheet.lane / 2, sheet.lane, color)
    yield "</g>\n"


def _within(
    name: str, left: float, long: float, middle: float, high: float, color: str
) -> Iterator[str]:  # fmt: skip
    """A job's name in its bar, where it fits, with no pattern behind it."""
    size = min(12.0, high - 8)
    wide = _wide(name, size) + 8
    if size >= 7 and wide <= long:
        center, top = left + long / 2, middle - size * 0.65
        yield (
            f'<rect x="{center - wide / 2:.1f}" y="{top:.1f}" width="{wide:.1f}" '
            f'height="{size * 1.3:.1f}" fill="{color}"/>'
        )
        extra = f' text-anchor="middle" font-size="{size:g}" fill="{PAPER}"'
        yield _text(center, middle + size * 0.35, name, extra)


def _rest(sheet: Sheet, outcomes: Sequence[Outcome], middle: float) -> Iterator[str]:
    """Marks of what was not begun; the last one stands for all that there is no room for."""
    size = min(9.0, sheet.lane - 2)
    for number, each in enumerate(outcomes[:MOST_SYMBOLS]):
        x = sheet.right + (number + 1) * SYMBOL - size / 2
        yield f"<g>{_tooltip(each)}{_mark(each.status, x, middle - size / 2, size)}</g>\n"
    more = outcomes[MOST_SYMBOLS:]
    if more:
        names = escape(", ".join(harmless(each.job) for each in more))
        x = sheet.right + (MOST_SYMBOLS + 0.6) * SYMBOL
        yield f"<g><title>not begun: {names}</title>"
        yield _text(x, middle + 3, f"+{len(more)}", ' font-size="9"')
        yield "</g>\n"


def _mark(status: Status, x: float, y: float, size: float) -> str:
    """A small square: empty where nothing was tried."""
    place = f'x="{x:.1f}" y="{y:.1f}" width="{size:g}" height="{size:g}"'
    if status == "skipped":
        return f'<rect {place} fill="{PAPER}" stroke="{COLORS[status]}" stroke-width="1.5"/>'
    color = f'<rect {place} fill="{COLORS[status]}"/>'
    return color + (f'<rect {place} fill="url(#{status})"/>' if status in PATTERNS else "")


def _interrupted(sheet: Sheet, result: RunResult) -> Iterator[str]:
    """A line where the run was stopped."""
    if result.interrupted:
        x = sheet.x(result.seconds)
        yield (
            f'<line x1="{x:.1f}" y1="{sheet.top - 6}" x2="{x:.1f}" y2="{sheet.bottom + 6}" '
            f'stroke="{COLORS["failed"]}" stroke-width="2" stroke-dasharray="5 3"/>\n'
        )
        extra = f' text-anchor="end" font-size="12" fill="{COLORS["failed"]}"'
        yield _text(x, HEAD - 12, "interrupted", extra)


def _legend(result: RunResult, top: float) -> Iterator[str]:
    """What there is of each status, and how much."""
    x = float(MARGIN)
    for status in STATUSES:
        count = len(result.having(status))
        if count:
            said = f"{status} {count}"
            yield _mark(status, x, top + 5, 11) + "\n"
            yield _text(x + 17, top + 15, said, ' font-size="12"')
            x += 17 + _wide(said, 12) + 20


def _tooltip(outcome: Outcome) -> str:
    took = f", {duration(outcome.seconds)}" if outcome.began is not None else ""
    reason = f": {outcome.reason}" if outcome.reason else ""
    said = f"{outcome.job} on {outcome.site}: {outcome.status}{took}{reason}"
    return f"<title>{escape(harmless(said))}</title>"


def _wide(text: str, size: float) -> float:
    """About how wide a text is, in pixels."""
    return width(text) * size * LETTER


def _fitting(text: str, pixels: float, size: float) -> str:
    return shortened(text, int(pixels / (size * LETTER)))


def _text(x: float, y: float, text: str, extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}"{extra}>{escape(text)}</text>\n'
