"""The picture is well-formed and says in text what the table says."""

from xml.etree import ElementTree

from benchmarks import picture
from benchmarks.table import Row, Table

SVG = "{http://www.w3.org/2000/svg}"


def row(name, median, **more):
    return Row(
        name=name, way="unix", median=median, low=median / 2, high=median * 2, p99=None,
        better_than={}, **{"lost": 0, **more},
    )  # fmt: skip


def shown(*rows, unit="/s"):
    table = Table(
        name="some", title="more & less", unit=unit, rounds=5, peers=[], rows=list(rows), remarks=[]
    )
    return ElementTree.fromstring(picture.svg([table]))


def texts(root):
    return [each.text for each in root.iter(SVG + "text")]


def bars(root):
    _background, *found = root.iter(SVG + "rect")
    return [(float(bar.get("width")), bar.get("fill")) for bar in found]


def test_the_best_row_is_above_and_has_its_figure():
    root = shown(row("slow", 10.0), row("meshcluster, async", 1.5e6), row("middle", 2e3))
    title, *told = texts(root)
    assert "more & less (more is better, 5 rounds" in title
    assert told == [
        "meshcluster, async, unix", "1.50M/s", "middle, unix", "2.00k/s", "slow, unix", "10.0/s"
    ]  # fmt: skip
    widths, colours = zip(*bars(root), strict=True)
    assert list(widths) == sorted(widths, reverse=True)
    assert colours == (picture.OURS, picture.OTHERS, picture.OTHERS)


def test_where_less_is_better_the_least_is_above():
    assert texts(shown(row("slow", 90.0), row("quick", 5.0), unit="us"))[1] == "quick, unix"


def test_what_was_lost_is_told():
    assert "10.0/s, 3 lost" in texts(shown(row("a", 10.0, lost=3), row("b", 1.0)))


def test_nothing_is_compared_with_one_row():
    assert texts(shown(row("alone", 1.0))) == []


def test_a_figure_of_nothing_has_a_bar_all_the_same():
    root = shown(row("none", 0.0), row("some", 10.0))
    assert len(bars(root)) == 2
