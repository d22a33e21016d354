"""With which keys a command that joins nothing speaks."""

import pytest

from meshcluster.cli.keys import keys
from meshcluster.cli.options import Settings
from meshcluster.errors import ConfigError
from meshcluster.security.text import text_of

SECRET = text_of(bytes(32))


def test_the_secret_of_a_file_seals_all(tmp_path):
    path = tmp_path / "secret"
    path.write_text(SECRET)
    path.chmod(0o600)
    check, ring = keys(Settings(ttl=1, secret_file=str(path)), tmp_path)
    assert ring.required
    assert ring.is_secret
    assert check.subject == ring.first.id.hex()
    assert (check.state, SECRET in check.text) == ("good", False)


def test_and_so_does_that_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MESHCLUSTER_SECRET", SECRET)
    assert keys(Settings(), tmp_path)[1].is_secret


def test_without_one_it_is_the_hosts_key(tmp_path):
    tmp_path.chmod(0o700)
    check, ring = keys(Settings(), tmp_path)
    assert ring.required
    assert not ring.is_secret
    assert check.state == "good"
    check, opened = keys(Settings(ttl=1), tmp_path)
    assert opened.first.id == ring.first.id
    assert not opened.required
    assert check.state == "note"


def test_without_a_directory_there_is_none():
    assert keys(Settings(), None)[1] is None


def test_what_cannot_be_a_secret_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="is not there"):
        keys(Settings(secret_file=str(tmp_path / "none")), tmp_path)
