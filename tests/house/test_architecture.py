"""The tree in ARCHITECTURE.md names every file, but in rooms that are told of as a whole."""

import re

TOLD_AS_A_WHOLE = {"cli", "ready", "sync", "testing", "zeromq"}
UNNAMED = {"__init__", "__main__", "version"}


def test_the_tree_names_every_module(package, root):
    text = (root / "ARCHITECTURE.md").read_text(encoding="utf-8")
    tree = text.partition("## The tree")[2].partition("Imports point down")[0]
    rooms = re.split(r"^      (?=\w+/)", tree, flags=re.MULTILINE)
    files = {room.partition("/")[0]: set(re.findall(r"\w+(?=\.py\b)", room)) for room in rooms}
    everywhere = set().union(*files.values())
    missing = [
        source.name
        for source in package
        if source.path.stem not in files.get(source.path.parent.name, everywhere) | UNNAMED
        and source.path.parent.name not in TOLD_AS_A_WHOLE
    ]
    assert not missing
