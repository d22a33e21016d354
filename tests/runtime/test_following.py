"""Who edits the file of a secret changes the keys of who reads it."""

import asyncio
import logging

import pytest

from meshcluster.runtime import following
from meshcluster.runtime.following import Following
from meshcluster.runtime.secrets import secrets_of

OLD, NEW = "the old secret of us all", "the new secret of us all"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_text(OLD + "\n")
    return path


@pytest.fixture
def follow(file):
    """Follows the file; `follow.found` are the changes."""
    found = []
    followed = Following(file, secrets_of(file, {}), found.append)
    followed.found = found
    yield followed
    followed.close()


async def test_an_edit_is_seen_within_seconds(file, follow, monkeypatch):
    assert following.LOOK_SECONDS == 5
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.01)
    follow.start()
    for text in (f"{OLD}\n{NEW}\n", f"{NEW}\n"):
        follow.found.clear()
        file.write_text(text)
        async with asyncio.timeout(10):
            while not follow.found:  # noqa: ASYNC110 - nothing tells of files
                await asyncio.sleep(0.005)
        assert follow.found == [tuple(text.encode().split(b"\n")[:-1])]


def test_what_only_one_look_sees_is_half_written(file, follow):
    for text in (NEW[:15], NEW):
        file.write_text(text)
        follow.look()
    assert follow.found == []
    follow.look()
    assert follow.found == [(NEW.encode(),)]


def test_what_stays_as_it_was_changes_nothing(file, follow):
    follow.look()
    file.write_text(f"# a comment\n{OLD}\n")
    follow.look()
    assert follow.found == []


@pytest.mark.parametrize("harm", ["gone", "empty", "short", "open to others"])
def test_a_file_that_cannot_be_used_is_warned_of_once_and_what_was_read_holds(
    file, follow, harm, caplog
):
    match harm:
        case "gone":
            file.unlink()
        case "empty":
            file.write_text("\n")
        case "short":
            file.write_text("short\n")
        case _:
            file.chmod(0o644)
    for _ in range(3):
        follow.look()
    (warning,) = [each.getMessage() for each in caplog.records]
    assert str(file) in warning
    assert warning.endswith("The secrets read before are used on")
    assert "short\n" not in warning
    assert follow.found == []


def test_a_file_that_is_mended_is_followed_on_and_warned_of_anew(file, follow, caplog):
    caplog.set_level(logging.WARNING)
    for text in (NEW, OLD):
        file.unlink()
        follow.look()
        file.touch(mode=0o600)
        file.write_text(text)
        follow.look()
        follow.look()
    assert follow.found == [(NEW.encode(),), (OLD.encode(),)]
    assert len(caplog.records) == 2


def test_of_several_sources_the_files_are_read_anew(file):
    found = []
    source = (NEW, file)
    followed = Following(source, secrets_of(source, {}), found.append)
    file.write_text("another secret of us all")
    followed.look()
    followed.look()
    assert found == [(NEW.encode(), b"another secret of us all")]


async def test_once_closed_it_looks_no_more(follow):
    follow.start()
    follow.close()
    follow.close()
    assert follow._timer is None
