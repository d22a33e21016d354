"""Transfers without rsync: what the scripts there do, and what happens when they cannot."""

import os
import shlex

import pytest

from meshcluster.errors import TransferFailed
from meshcluster.jobs.shell import Shell

from .trees import TIME, tools

HERE = "#!/bin/sh\n"


@pytest.fixture
def bin(tmp_path, monkeypatch):
    """What there is on PATH, here and at the local site; no rsync."""
    bin = tools(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(bin))
    return bin


@pytest.fixture
def shell(bin):
    return Shell()


@pytest.fixture
def source(tmp_path):
    (tmp_path / "from" / "sub").mkdir(parents=True)
    (tmp_path / "from" / "sub" / "file").write_text("new")
    return tmp_path / "from"


def program(bin, name, text):
    (bin / name).unlink()
    (bin / name).write_text(HERE + text)
    (bin / name).chmod(0o755)


def test_it_says_why_and_how_much_in_the_log(bin, source, tmp_path):
    log = []
    shell = Shell(log=type("Log", (), {"write": staticmethod(log.append)}))
    shell.upload(source, str(tmp_path / "to"))
    assert log == [
        b"local: by tar: there is no rsync here\n",
        f"local: {6 * 512} bytes by tar to {tmp_path}/to\n".encode(),
    ]


def test_a_file_is_whole_before_it_has_its_name(bin, shell, source, tmp_path):
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "file").write_text("old")
    program(bin, "tar", "echo 'tar: No space left on device' >&2; exit 2\n")
    with pytest.raises(TransferFailed, match=r"^local: unpacking: tar: No space left on device$"):
        shell.upload(source / "sub" / "file", str(tmp_path / "to" / "file"))
    assert (tmp_path / "to" / "file").read_text() == "old"
    assert os.listdir(tmp_path / "to") == ["file"]


def test_a_mirror_that_was_not_brought_deletes_nothing(bin, shell, source, tmp_path):
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "old").touch()
    real = os.readlink(bin / "tar")
    program(bin, "tar", f'{real} "$@"; echo "tar: Exiting" >&2; exit 2\n')
    for bring in (shell.upload, shell.download):
        with pytest.raises(TransferFailed, match="tar: Exiting"):
            bring(f"{source}/", str(tmp_path / "to"), mirror=True)
        assert (tmp_path / "to" / "old").exists()


def test_without_tar_there_it_says_so(bin, shell, source, tmp_path):
    (bin / "tar").unlink()
    with pytest.raises(TransferFailed, match=r"unpacking: .*tar: .*not found"):
        shell.upload(source, str(tmp_path / "to"))


def test_names_with_line_ends_are_mirrored_as_well(shell, source, tmp_path):
    (tmp_path / "to" / "sub" / "a\nb").mkdir(parents=True)
    (tmp_path / "to" / "sub" / "a\nb" / "c").touch()
    (tmp_path / "to" / "-rf\n").touch()
    (source / "kept\n").touch()
    shell.upload(f"{source}/", str(tmp_path / "to"), mirror=True)
    assert sorted(os.listdir(tmp_path / "to")) == ["kept\n", "sub"]
    assert os.listdir(tmp_path / "to" / "sub") == ["file"]


def test_links_out_of_the_target_are_deleted_and_not_followed(shell, source, tmp_path):
    (tmp_path / "to").mkdir()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "to" / "link").symlink_to("../kept")
    shell.upload(f"{source}/", str(tmp_path / "to"), mirror=True)
    assert os.listdir(tmp_path / "to") == ["sub"]
    assert os.listdir(tmp_path / "kept") == ["file"]


def test_what_cannot_make_way_is_told_and_nothing_is_brought(bin, shell, source, tmp_path):
    (tmp_path / "to" / "sub" / "file").mkdir(parents=True)
    program(bin, "rm", "echo 'rm: ./sub/file: busy' >&2; exit 1\n")
    with pytest.raises(TransferFailed, match=r"^local: making way: rm: \./sub/file: busy"):
        shell.upload([f"{source}/", __file__], str(tmp_path / "to"), mirror=True)
    assert os.listdir(tmp_path / "to") == ["sub"]


def test_where_sources_disagree_on_a_kind_no_link_leads_out(shell, source, tmp_path):
    (tmp_path / "sub").write_text("file")
    (tmp_path / "to").mkdir()
    (tmp_path / "kept" / "file" / "inner").mkdir(parents=True)
    (tmp_path / "to" / "sub").symlink_to("../kept")
    with pytest.raises(TransferFailed):
        shell.upload([tmp_path / "sub", source / "sub"], str(tmp_path / "to"), mirror=True)
    assert os.listdir(tmp_path / "kept" / "file") == ["inner"]


def test_a_site_that_sends_something_else_writes_nowhere_else(bin, shell, source, tmp_path):
    (tmp_path / "evil").write_text("!")
    (tmp_path / "down").mkdir()
    real, quoted = os.readlink(bin / "tar"), shlex.quote(str(tmp_path))
    for sent in ("-P ../evil", f"-P {quoted}/evil", f"-C {quoted} evil"):
        program(bin, "tar", f"cd {quoted}/from; exec {real} -cf - {sent}\n")
        with pytest.raises(TransferFailed, match="in the archive does not belong there"):
            shell.download(str(source / "sub"), tmp_path / "down")
    assert os.listdir(tmp_path / "down") == []


def test_times_are_brought_in_whole_seconds(shell, source, tmp_path):
    os.utime(source / "sub" / "file", (TIME + 0.5, TIME + 0.5))
    shell.upload(source / "sub", str(tmp_path / "to"))
    assert (tmp_path / "to" / "sub" / "file").stat().st_mtime == TIME
