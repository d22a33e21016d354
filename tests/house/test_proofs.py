"""A page that names the test of a promise names one that there is."""

import ast
import re

NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def names_in(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if hasattr(node, "name")}


def test_every_proof_is_there(root):
    proofs = {
        (page.name, *match)
        for page in (root / "docs").glob("*.md")
        for match in NAMED.findall(page.read_text(encoding="utf-8"))
    }
    assert len(proofs) > 15
    missing = [proof for proof in proofs if proof[2] not in names_in(root / proof[1])]
    assert missing == []


def test_every_promise_has_its_proof(root):
    """Each row of the tables that have a column for it."""
    bare, proving = [], False
    for line in (root / "docs" / "promises.md").read_text(encoding="utf-8").splitlines():
        proving = "seen by" in line or (proving and line.startswith("|"))
        if proving and "seen by" not in line and "---" not in line and "::" not in line:
            bare.append(line)
    assert bare == []
