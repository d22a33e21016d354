"""Two real members know many played ones, and talk. What that costs is not looked at here."""

from itertools import pairwise
from xml.etree import ElementTree

from benchmarks.costs import picture
from benchmarks.parts import PARTS, growth
from benchmarks.settings import Settings


def test_both_know_as_many_as_in_a_mesh_of_that_size_and_talk():
    table = growth.measured((4, 20), Settings(repeats=1, seconds=0.01))
    small, large = table.rows
    assert (small.name, large.name) == ("4 members", "20 members")
    assert small.also["to the smallest"] == 1.0
    assert all(row.median > 0 and row.also["question us"] > 0 for row in table.rows)
    assert PARTS["growth"] is growth.run


def test_labels_of_lines_that_end_together_are_not_on_each_other():
    series = {name: [(10, 2.0), (100, end)] for name, end in (("a", 1.58), ("b", 1.38), ("c", 1.5))}
    drawn = ElementTree.fromstring(picture.lines("cost", "us", series))
    heights = sorted(float(each.get("y")) for each in drawn.iter() if ": 1." in (each.text or ""))
    assert len(heights) == 3
    assert all(low - high >= 14 for high, low in pairwise(heights))


def test_the_picture_has_a_line_for_each_cost_and_a_point_for_each_size():
    series = {"message": [(10, 5.0), (1000, 5.5)], "question": [(10, 90.0), (1000, 91.0)]}
    drawn = ElementTree.fromstring(picture.lines("cost", "us", series))
    kinds = [each.tag.rpartition("}")[2] for each in drawn.iter()]
    assert (kinds.count("polyline"), kinds.count("circle")) == (2, 4)
    texts = [each.text for each in drawn.iter() if each.text]
    assert "question: 91 us" in texts
    assert {"10", "100", "1,000"} <= set(texts)
