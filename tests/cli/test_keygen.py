"""A new secret: on stdout, or in a file that only its user can read, complete or not at all."""

import os
import stat
import sys
from pathlib import Path

import pytest

from meshcluster.cli import keygen
from meshcluster.cli import main as cli
from meshcluster.runtime.secrets import secrets_of
from meshcluster.security.text import parse_key

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = cli.run(["keygen", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.mark.process
def test_in_a_pipe_it_is_the_key_and_nothing_else(command):
    done = command("keygen")
    assert (done.code, done.err) == (0, "")
    assert len(parse_key(done.out.removesuffix("\n"))) == 32
    assert parse_key(command("keygen", "--json").document["key"]) != parse_key(done.out.strip())


@posix_only
@pytest.mark.parametrize("umask", [0, 0o077, 0o777])
def test_a_file_is_its_users_alone_and_is_used_as_it_is(run, tmp_path, umask):
    before = os.umask(umask)
    try:
        code, out, err = run("shop.key")
    finally:
        os.umask(before)
    path = tmp_path / "shop.key"
    assert (code, err) == (0, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (secret,) = secrets_of(path, {})
    assert secret.decode() not in out
    assert secrets_of(None, {"MESHCLUSTER_SECRET_FILE": str(path)}) == (secret,)
    assert [each.name for each in tmp_path.iterdir()] == ["shop.key"]


def test_it_says_how_to_use_it(run, tmp_path):
    _, out, _ = run("shop.key")
    path = tmp_path / "shop.key"
    for way in (
        f"meshcluster.join(secret=pathlib.Path('{path}'))",
        f"MESHCLUSTER_SECRET_FILE={path}",
        f"meshcluster members --secret-file {path}",
    ):
        assert way in out


def test_json_tells_the_file_and_never_its_key(run, tmp_path):
    assert run("shop.key", "--json")[1] == f'{{"file": "{tmp_path}/shop.key"}}\n'


def test_a_file_that_is_there_stays_as_it_is(run, tmp_path):
    path = tmp_path / "shop.key"
    path.write_text("something else")
    code, out, err = run("shop.key")
    assert (code, out) == (1, "")
    assert f"{path} is there already: --force replaces it" in err
    assert path.read_text() == "something else"
    assert run("shop.key", "--force")[0] == 0
    parse_key(path.read_text().strip())


@posix_only
def test_a_link_is_replaced_and_not_followed(run, tmp_path):
    (tmp_path / "elsewhere").write_text("stays")
    (tmp_path / "shop.key").symlink_to("elsewhere")
    assert run("shop.key")[0] == 1
    assert run("shop.key", "--force")[0] == 0
    assert not (tmp_path / "shop.key").is_symlink()
    assert (tmp_path / "elsewhere").read_text() == "stays"


def test_where_it_cannot_be_written_is_said(run):
    code, _, err = run("nowhere/shop.key")
    assert code == 1
    assert "nowhere/shop.key cannot be written: No such file or directory" in err


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    (tmp_path / "old").write_text("old")
    for name in ("new", "old"):
        with pytest.raises(OSError, match="No space"):
            keygen.write(tmp_path / name, "text", force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert Path(tmp_path / "old").read_text() == "old"
