"""Every bound of ``Limits`` is in docs/limits.md, with its default, and says what happens there."""

import ast
import dataclasses
import re

import pytest

from meshcluster.config import Limits

ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]*)\|$", re.MULTILINE)
FIELDS = dataclasses.fields(Limits)


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs" / "limits.md").read_text()


def written(field):
    """A default as people write it."""
    value = field.default
    if field.name.endswith("_seconds"):
        return f"{value:g} s"
    if field.name.endswith("_bytes"):
        for size, unit in ((2**20, "MiB"), (2**10, "KiB")):
            if value % size == 0:
                return f"{value // size} {unit}"
        return f"{value:,} bytes"
    return f"{value:,g}"


def test_each_setting_has_its_row_with_its_default(page):
    rows = {name: default.strip() for name, default, _, _ in ROW.findall(page)}
    assert rows == {field.name: written(field) for field in FIELDS}


def test_each_row_says_what_happens(page):
    assert all(len(what.strip()) > 10 for _, _, what, _ in ROW.findall(page))


def test_what_it_is_counted_as_is_what_the_code_counts(page, package):
    """Read from the code's texts; a reason that is put together there ends where the text does."""
    texts = "\n".join(source.path.read_text() for source in package)
    reasons = [re.sub(r"^\w+: ", "", name) for name in re.findall(r"`([^`|]+)` \|$", page, re.M)]
    assert len(reasons) > 10
    parts = [re.sub(r"^links refused: ", "", reason) for reason in reasons]
    assert [part for part in parts if part not in texts] == []


def test_each_setting_has_a_docstring(root):
    tree = ast.parse((root / "meshcluster" / "config.py").read_text())
    (limits,) = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Limits"]
    documented = [
        before.target.id
        for before, after in zip(limits.body, limits.body[1:], strict=False)
        if isinstance(before, ast.AnnAssign) and isinstance(after, ast.Expr)
    ]
    assert documented == [field.name for field in FIELDS]
