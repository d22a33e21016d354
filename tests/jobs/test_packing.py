"""An archive of what is here: as big as it says, whole, and without what cannot be brought."""

import asyncio
import io
import os
import subprocess
import tarfile

import pytest

from meshcluster.errors import TransferFailed
from meshcluster.jobs.origin import Origin
from meshcluster.jobs.packing import Packed

from .trees import plant, told


def packed(*sources):
    async def add():
        made = Packed()
        for path, contents in sources:
            await made.add(Origin(os.fspath(path), contents))
        return made

    return asyncio.run(add())


def data_of(packed):
    async def read():
        return b"".join([piece async for piece in packed.pieces()])

    try:
        return asyncio.run(read())
    finally:
        packed.close()


def names_in(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return [os.path.normpath(name) for name in archive.getnames()]


def test_it_is_as_long_as_it_says_and_has_the_tree(tmp_path):
    tree = plant(tmp_path / "tree")
    made = packed((tree, True))
    data = data_of(made)
    assert len(data) == made.size
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xpf", "-", "-C", tmp_path / "out"], input=data, check=True, timeout=20)
    assert told(tmp_path / "out") == told(tree)


def test_directories_come_before_what_is_in_them_and_their_contents_are_in_the_dot(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").touch()
    assert names_in(data_of(packed((tmp_path / "a", False)))) == ["a", "a/b", "a/b/c"]
    contents = packed((tmp_path / "a", True))
    assert names_in(data_of(contents)) == [".", "b", "b/c"]
    assert contents.folders == {".", "b"}


def test_of_several_sources_with_one_name_the_first_counts_and_directories_are_merged(tmp_path):
    for folder, name in (("one", "x"), ("two", "y")):
        (tmp_path / folder / "d").mkdir(parents=True)
        (tmp_path / folder / "d" / name).touch()
        (tmp_path / folder / "d" / "both").write_text(folder)
    data = data_of(packed((tmp_path / "one", True), (tmp_path / "two", True)))
    assert sorted(names_in(data)) == [".", "d", "d/both", "d/x", "d/y"]
    assert b"one" in data and b"two" not in data  # noqa: PT018


def test_a_pipe_is_left_out(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    made = packed((tmp_path, True))
    assert made.skipped == [f"{tmp_path}/pipe"]
    assert names_in(data_of(made)) == [".", "file"]


def test_a_link_is_brought_and_with_a_slash_what_it_leads_to(tmp_path):
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "x").touch()
    (tmp_path / "link").symlink_to("dir")
    assert names_in(data_of(packed((tmp_path / "link", False)))) == ["link"]
    assert names_in(data_of(packed((tmp_path / "link", True)))) == [".", "x"]


def test_a_file_that_becomes_shorter_or_is_gone_is_told_and_left_closed(tmp_path):
    file = tmp_path / "file"
    for change, why in ((lambda: os.truncate(file, 3), "shorter"), (file.unlink, "No such file")):
        file.write_bytes(b"x" * 100_000)
        made = packed((file, False))
        change()
        with pytest.raises(TransferFailed, match=why):
            data_of(made)


def test_a_file_that_grows_is_brought_as_long_as_it_was(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"x" * 700)
    made = packed((file, False))
    with open(file, "ab") as more:
        more.write(b"y" * 700)
    data = data_of(made)
    assert len(data) == made.size
    assert b"y" not in data


def test_a_source_that_is_gone_is_told(tmp_path):
    with pytest.raises(TransferFailed, match="No such file"):
        packed((tmp_path / "none", False))
