"""Another package's announcer between hosts: that of the example, on a folder that they share."""

import json
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "protocol_package"

pytestmark = [pytest.mark.netns, pytest.mark.process]


@pytest.fixture
def shelf(install, tmp_path, monkeypatch):
    """What `join` is told by who uses it; the folder is the same for all hosts."""
    install("shelf", "meshcluster.announcers", "shelf", "meshcluster_paced.shelf:ShelfAnnouncer")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{EXAMPLE}:{EXAMPLE.parents[1]}")
    folder = {"folder": str(tmp_path / "folder")}
    return {"announcers": ["shelf"], "announcer_options": {"shelf": folder}, "mdns": False}


def test_a_folder_is_enough_where_no_multicast_gets_through(network, shelf, tmp_path):
    here, there = lan = network.lan(2)
    lan.drop_multicast()
    one = here.join("one", ttl=1, heartbeat_seconds=0.2, **shelf)
    other = there.join("other", ttl=1, heartbeat_seconds=0.2, **shelf)
    assert one.ask("met()") == [["other", there.address, False]]
    assert other.ask("answers()") == [["one", "tcp"]]
    (folder,) = (tmp_path / "folder").iterdir()
    forged = json.loads(max(folder.glob("*.json")).read_text()) | {"at": ["203.0.113.9"], "n": 1}
    one.begin("counted('hints: from outside the scope', 1)")
    (folder / "forged.json").write_text(json.dumps(forged))
    assert one.reply()["hints: from outside the scope"] == 1
    other.ask("leave()")
    assert one.ask("lost()")
