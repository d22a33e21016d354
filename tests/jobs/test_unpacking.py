"""What comes from a site goes where it belongs and nowhere else, whatever the site sends."""

import asyncio
import io
import os
import stat
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
        unpacking = Unpacking(str(root), mirror=mirror)
        file = io.BytesIO(b"".join(archives))
        for top, name in tops:
            await unpacking.take(file, top, name)
        await unpacking.end()
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


@pytest.mark.parametrize(
    "rest", [b"", bytes(512), bytes(1000), b"?" * 1024, bytes(512) + b"?" * 512]
)
def test_an_archive_without_its_end_deletes_nothing(root, rest):
    root.mkdir()
    (root / "b").write_text("old")
    whole = archive((".", DIR), ("a", b"new"), ("b", b"new"))
    with pytest.raises(TransferFailed, match="no whole archive"):
        unpack(root, whole[: 3 * 512] + rest, mirror=True)
    assert (root / "b").read_text() == "old"


def pax(record):
    """A header that says something of the next member."""
    line = f" {record}\n"
    line = f"{len(line) + 2}{line}".encode()
    return header("x", tarfile.XHDTYPE, len(line)) + line.ljust(512, b"\0")


def header(name, kind, size=0):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mode = kind, size, 0o755
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("when", ["1e300", "-1e300", "inf", "-inf", "nan"])
def test_a_time_that_is_none_is_made_one(root, when):
    made = pax(f"mtime={when}") + header("d/", tarfile.DIRTYPE)
    made += pax(f"mtime={when}") + header("d/x", tarfile.REGTYPE)
    unpack(root, made + bytes(1024))
    assert [(root / name).stat().st_mode & 0o777 for name in ("d", "d/x")] == [0o755, 0o755]


@pytest.mark.parametrize(
    "data",
    [
        (header("././@LongLink", tarfile.GNUTYPE_LONGNAME, 2) + b"x".ljust(512, b"\0")) * 3000,
        tarfile.TarInfo("x").tobuf(tarfile.GNU_FORMAT)[:156] + b"L" + bytes(355),
        pax("size=9" + "9" * 30) + header("x", tarfile.REGTYPE),
        pax("GNU.sparse.map=0,x") + header("x", tarfile.REGTYPE),
        pax("path=a\0b") + header("x", tarfile.REGTYPE),
        pax("path=" + "a" * 300) + header("x", tarfile.REGTYPE),
        pax("linkpath=") + header("x", tarfile.SYMTYPE),
    ],
    ids=["chain", "checksum", "size", "sparse", "nul", "long", "link"],
)
def test_what_nobody_packs_is_no_other_error(root, data):
    with pytest.raises(TransferFailed):
        unpack(root, data + bytes(1024))


def test_a_name_longer_than_any_memory_is_no_other_error(root, tmp_path):
    (tmp_path / "sent").write_bytes(header("x", tarfile.GNUTYPE_LONGNAME, 1 << 60))

    async def work():
        with (tmp_path / "sent").open("rb") as file:
            await Unpacking(str(root), mirror=False).take(file, "", "")

    with pytest.raises(TransferFailed, match="no whole archive"):
        asyncio.run(work())


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


FILE_OR_LINK = pytest.mark.parametrize("what", [b"data", link("/nowhere"), hard("first")])


@FILE_OR_LINK
def test_no_full_directory_makes_way_for_a_file_and_nothing_is_left_of_it(root, what):
    (root / "x" / "y").mkdir(parents=True)
    with pytest.raises(TransferFailed, match=r"/x: a directory .* is not empty"):
        unpack(root, archive(("first", b""), ("x", what)))
    assert sorted(os.listdir(root)) == ["first", "x"]
    assert os.listdir(root / "x") == ["y"]


@FILE_OR_LINK
@pytest.mark.parametrize("mirror", [False, True])
def test_an_empty_directory_makes_way_and_in_a_mirror_a_full_one(root, what, mirror):
    (root / "x").mkdir(parents=True)
    (root / "other").mkdir()
    if mirror:
        (root / "x" / "out").symlink_to("../../elsewhere")
    unpack(root, archive(("first", b""), ("x", what)), mirror=mirror)
    assert not stat.S_ISDIR((root / "x").lstat().st_mode)
    assert sorted(os.listdir(root)) == ["first", "other", "x"]
    assert os.listdir(root.parent / "elsewhere") == ["kept"]


@pytest.mark.parametrize("mirror", [False, True])
def test_a_file_makes_way_for_a_directory(root, mirror):
    root.mkdir()
    (root / "d").write_text("file")
    unpack(root, archive(("d", DIR), ("d/x", b"")), mirror=mirror)
    assert os.listdir(root / "d") == ["x"]
