"""A run is kept however it ends, and goes between the marks of a page as often as is wished."""

import json

import pytest

from benchmarks import command, page, stored
from tests.benchmarks.played import peer, table

RUN = stored.Run({"system": "some"}, [table(peer())])


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "peers.md"
    path.write_text(f"# Above\n{page.BEGIN}\nold\n{page.END}\nBelow\n")
    return path


def test_a_kept_run_is_shown_again_and_put_into_its_page(written, tmp_path, capsys):
    kept, drawn = tmp_path / "kept.json", tmp_path / "drawn.svg"
    stored.save(RUN, kept)
    for _ in range(2):
        command.main(["--render", str(kept), "--into", str(written), "--svg", str(drawn)])
    text = written.read_text()
    assert text.startswith("# Above\n")
    assert text.endswith(f"{page.END}\nBelow\n")
    assert "old" not in text
    assert text.count("### peers-roundtrip-64") == text.count("### peers, in short") == 1
    assert "rpyc" in drawn.read_text()
    assert "### peers, in short" in capsys.readouterr().out


def test_a_kept_run_is_shown_beside_a_new_one(tmp_path, monkeypatch, capsys):
    kept = tmp_path / "kept.json"
    stored.save(RUN, kept)
    monkeypatch.setitem(command.PARTS, "roundtrip", lambda settings: [table(peer())])
    command.main(["roundtrip", "--compare", str(kept)])
    assert "### peers-roundtrip-64: stored and now" in capsys.readouterr().out


def test_what_is_not_kept_yet_is_named_beside_what_is(tmp_path, monkeypatch, capsys):
    kept = tmp_path / "kept.json"
    stored.save(RUN, kept)
    both = [table(peer()), table(peer(), name="ssh-one", unit="/s")]
    monkeypatch.setitem(command.PARTS, "ssh", lambda settings: both)
    command.main(["ssh", "--compare", str(kept)])
    told = capsys.readouterr().out
    assert "### peers-roundtrip-64: stored and now" in told
    assert "Not stored yet: ssh-one.\n" in told


def test_tables_are_put_into_a_kept_run_and_the_page_with_one_command(written, tmp_path):
    kept = tmp_path / "kept.json"
    stored.save(RUN, kept)
    new = stored.Run({"when": "later", "revision": "abc"}, [table(peer("execnet"), name="ssh-one")])
    again = tmp_path / "new.json"
    stored.save(new, again)
    for _ in range(2):
        command.main(["--render", str(again), "--merge", str(kept), "--into", str(written)])
    merged = stored.load(kept)
    assert [each.name for each in merged.tables] == ["peers-roundtrip-64", "ssh-one"]
    assert merged.machine == {"system": "some", "ssh was measured": "later; abc"}
    assert "### ssh-one" in written.read_text()


def test_a_table_that_is_kept_already_is_replaced_where_it_is(tmp_path, monkeypatch):
    kept = tmp_path / "kept.json"
    old = [table(peer("zenoh")), table(peer("execnet"), name="ssh-one")]
    stored.save(stored.Run({}, old), kept)
    monkeypatch.setitem(command.PARTS, "peers", lambda settings: [table(peer("nats"))])
    command.main(["peers", "--merge", str(kept)])
    merged = [(each.name, each.rows[0].name) for each in stored.load(kept).tables]
    assert merged == [("peers-roundtrip-64", "nats"), ("ssh-one", "execnet")]


def test_a_part_with_marks_of_its_own_goes_there_and_leaves_the_others(tmp_path):
    begin, end = page.OWN_BEGIN.format("calls"), page.OWN_END.format("calls")
    path = tmp_path / "peers.md"
    path.write_text(f"{page.BEGIN}\nold\n{page.END}\n{begin}\nolder\n{end}\n")
    calls = table(peer(), name="calls-sync")
    page.fill(path, stored.Run({}, [calls]))
    text = path.read_text()
    assert "old\n" in text
    assert "older" not in text
    assert text.count("### calls-sync") == text.count("### calls, in short") == 1
    page.fill(path, stored.Run({}, [table(peer()), calls]))
    peers, rest = path.read_text().split(page.END)
    assert "### peers-roundtrip-64" in peers
    assert "### calls-sync" in rest
    assert "## Machine, calls" in rest


def test_a_page_without_marks_is_left_alone(tmp_path):
    path = tmp_path / "other.md"
    path.write_text("text")
    with pytest.raises(ValueError, match="has no <!-- figures: begin -->"):
        page.fill(path, RUN)
    assert path.read_text() == "text"


def test_tables_are_kept_as_they_are_finished(tmp_path, monkeypatch):
    kept, drawn = tmp_path / "kept.json", tmp_path / "drawn.svg"

    def cut_short(settings):
        yield table(peer(), name="peers-oneway-64")
        raise KeyboardInterrupt

    monkeypatch.setitem(command.PARTS, "peers", cut_short)
    shown = tmp_path / "shown.md"
    with pytest.raises(KeyboardInterrupt):
        command.main(
            ["peers", "--json", str(kept), "--svg", str(drawn), "--markdown", str(shown)]
        )  # fmt: skip
    assert [each["name"] for each in json.loads(kept.read_text())["tables"]] == ["peers-oneway-64"]
    assert "peers-oneway-64" in drawn.read_text()
    assert "### peers, in short" in shown.read_text()


@pytest.mark.parametrize("option", ["--render", "--compare", "--merge"])
@pytest.mark.parametrize("text", [None, "{}", "no JSON"])
def test_what_is_no_kept_run_is_named(tmp_path, option, text):
    path = tmp_path / "kept.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SystemExit, match=r"kept.json is no run that was kept with --json: "):
        command.main(["sizes", option, str(path)])
