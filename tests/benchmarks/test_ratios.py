"""A panel of ratios: bars begin at 1x, a mark is where the goal is, the text says both."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from benchmarks import picture, ratios
from benchmarks.table import Wish
from tests.benchmarks.played import ASYNC, peer, table

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*rows):
    return ElementTree.fromstring(picture.svg([table(*rows)]))


def bars(root):
    _background, *found = root.iter(SVG + "rect")
    ends = [(float(bar.get("x")), float(bar.get("width"))) for bar in found]
    return [(x, x + width, bar.get("fill")) for (x, width), bar in zip(ends, found, strict=True)]


def test_better_is_to_the_right_of_1x_and_worse_to_the_left():
    better, worse = bars(drawn(peer("a", by_async=0.1), peer("b", by_async=10.0)))
    assert better[0] == worse[1] == pytest.approx(ratios.at(1.0), abs=0.1)
    assert better[1] - better[0] == pytest.approx(worse[1] - worse[0], abs=0.2)


@pytest.mark.parametrize(("times", "colour"), [(3.0, ratios.MET), (2.9, ratios.MISSED)])
def test_a_goal_has_a_mark_and_gives_the_bar_its_colour(times, colour):
    root = drawn(peer("a", wish=Wish(3.0, ASYNC), by_async=times), peer("b"))
    marks = [line for line in root.iter(SVG + "line") if line.get("stroke-width") == "2"]
    assert [float(mark.get("x1")) for mark in marks] == [pytest.approx(ratios.at(3.0), abs=0.1)]
    assert [bar[2] for bar in bars(root)] == [colour, ratios.NEITHER]


def test_many_of_ours_have_several_lines_above_the_bars():
    ours = [replace(peer(f"meshcluster, {n}"), beaten_by={}) for n in range(4)]
    texts = {text.text: float(text.get("y")) for text in drawn(*ours, peer("a")).iter(SVG + "text")}
    assert texts["ours: 3 unix 10.0 us"] > texts["ours: " + ", ".join(
        f"{n} unix 10.0 us" for n in range(3)
    )]  # fmt: skip
    assert texts["a, unix"] > texts["ours: 3 unix 10.0 us"]


def test_what_is_beyond_the_axis_ends_with_it():
    assert ratios.at(1e9) == ratios.RIGHT
    assert ratios.at(0.0) == ratios.LEFT


def test_the_text_says_the_figure_the_ratio_and_the_goal():
    texts = [
        text.text for text in drawn(peer("a", wish=Wish(5.0, ASYNC)), peer("b")).iter(SVG + "text")
    ]
    assert {"a, unix", "10.0 us", "2.00x, goal 5x: missed", "2.00x", "1x", "0.01x"} <= set(texts)
