"""What comes from a site goes where it belongs and nowhere else, whatever the site sends."""

import asyncio
import io
import os
import tarfile

import pytest

from meshcluster.errors import TransferFailed
from meshcluster.jobs.unpacking import Unpacking

from .trees import plant, told


def archive(*members):
    """Of names, and bytes or what else a member is."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as made:
        for name, what in members:
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            if isinstance(what, bytes):
                info.size = len(what)
                made.addfile(info, io.BytesIO(what))
                continue
            info.type, info.linkname = what
            made.addfile(info)
    return file.getvalue()


DIR = (tarfile.DIRTYPE, "")


def link(to):
    return tarfile.SYMTYPE, to


def hard(to):
    return tarfile.LNKTYPE, to


def unpack(root, *archives, tops=(("", ""),), mirror=False):
    async def work():
        unpacking = Unpacking(str(root))
        file = io.BytesIO(b"".join(archives))
        for top, name in tops:
            await unpacking.take(file, top, name)
        await unpacking.end(mirror=mirror)
        return unpacking

    return asyncio.run(work())


@pytest.fixture
def root(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").write_text("as it was")
    return tmp_path / "root"


@pytest.mark.parametrize(
    "members",
    [
        [("../elsewhere/kept", b"!")],
        [("/tmp/absolute", b"!")],
        [("out", link("../elsewhere")), ("out/kept", b"!")],
        [("out", link("../elsewhere/kept")), ("out/kept", b"!")],
        [("d", DIR), ("d/../../elsewhere/kept", b"!")],
        [("a", link("../elsewhere")), ("b", link("a")), ("b/kept", b"!")],
        [("d", DIR), ("d", link("../elsewhere")), ("x", hard("../elsewhere/kept"))],
        [("x", hard("/etc/passwd"))],
        [("s", link("../elsewhere/kept")), ("x", hard("s"))],
        [("never/told", b"!")],
        [("out", link("../elsewhere")), ("out", DIR), ("out/kept", b"!")],
    ],
)  # fmt: skip
def test_nothing_leads_out(root, members):
    with pytest.raises(TransferFailed, match="in the archive"):
        unpack(root, archive((".", DIR), *members))
    assert (root.parent / "elsewhere" / "kept").read_text() == "as it was"
    assert os.listdir(root.parent / "elsewhere") == ["kept"]


def test_links_that_were_here_before_are_replaced_and_not_followed(root):
    root.mkdir()
    (root / "d").symlink_to("../elsewhere")
    (root / "kept").symlink_to("../elsewhere/kept")
    unpack(root, archive(("d", DIR), ("d/kept", b"new"), ("kept", b"new")))
    assert (root / "d" / "kept").read_text() == (root / "kept").read_text() == "new"
    assert (root.parent / "elsewhere" / "kept").read_text() == "as it was"


def test_links_to_anywhere_come_over_as_links(root):
    unpack(root, archive(("current", link("/srv/app/3")), ("up", link("../../x"))))
    assert [os.readlink(root / name) for name in ("current", "up")] == ["/srv/app/3", "../../x"]


def test_only_what_was_asked_for_is_taken(root):
    with pytest.raises(TransferFailed, match=r"'\./\.bashrc' in the archive does not belong there"):
        unpack(root, archive(("./log", b"x"), ("./.bashrc", b"!")), tops=[("log", "log")])
    assert os.listdir(root) == ["log"]


def test_a_file_gets_another_name(root):
    unpack(root, archive(("./log", b"x")), tops=[("log", "new")])
    assert (root / "new").read_bytes() == b"x"


def test_a_file_does_not_run_as_its_owner(root):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as made:
        info = tarfile.TarInfo("x")
        info.mode = 0o6755
        made.addfile(info)
    unpack(root, file.getvalue())
    assert (root / "x").stat().st_mode & 0o7777 == 0o755


def test_archives_follow_one_another_and_the_first_counts(root):
    padded = archive(("./a", b"1"), ("./d", b"1"))
    unpack(root, padded, archive(("./a", b"2")), tops=[("", ""), ("a", "a")])
    assert (root / "a").read_bytes() == b"1"


@pytest.mark.parametrize(
    "data", [b"", bytes(10240), b"no archive" * 200, archive(("x", b"y" * 5000))[:2048]]
)
def test_what_is_no_whole_archive_is_told(root, data):
    with pytest.raises(TransferFailed, match="archive"):
        unpack(root, data)
    assert os.listdir(root) == []


def test_devices_are_left_out(root):
    made = unpack(root, archive(("pipe", (tarfile.FIFOTYPE, "")), ("x", b"")))
    assert made.skipped == ["pipe"]
    assert os.listdir(root) == ["x"]


def test_a_tree_is_the_same_after_it_and_other_names_are_files_of_their_own(root, tmp_path):
    tree = plant(tmp_path / "tree")
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as made:
        made.add(tree, ".")
    unpack(root, file.getvalue())
    assert told(root) == told(tree)
    assert (root / "run").stat().st_nlink == 1


def test_a_mirror_deletes_in_directories_that_came_and_nowhere_else(root):
    for name in ("d/old/deep", "d/sub", "other"):
        (root / name).mkdir(parents=True)
        (root / name / "file").touch()
    (root / "d" / "link").symlink_to("../../elsewhere")
    unpack(
        root, archive(("d", DIR), ("d/sub", DIR), ("d/new", b"")), tops=[("d", "d")], mirror=True
    )
    assert sorted(os.listdir(root / "d")) == ["new", "sub"]
    assert os.listdir(root / "d" / "sub") == []
    assert os.listdir(root / "other") == ["file"]
    assert os.listdir(root.parent / "elsewhere") == ["kept"]


def test_a_file_that_cannot_be_made_is_told_and_nothing_is_left_of_it(root):
    (root / "x" / "y").mkdir(parents=True)
    with pytest.raises(TransferFailed, match="directory"):
        unpack(root, archive(("x", b"data")))
    assert os.listdir(root) == ["x"]
