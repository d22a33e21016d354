"""What doctor says of keys: the one in use by its id, others by theirs, never a key."""

import re
import sys

import pytest

from meshcluster.cli.checks import BROKEN, GOOD, NOTE
from meshcluster.cli.hearing import Heard, Question, understood
from meshcluster.cli.options import Settings
from meshcluster.cli.secrecy import other_keys, secrecy
from meshcluster.runtime.keys import host_key
from meshcluster.security.keys import Key
from meshcluster.security.text import new_key, parse_key

SECRET = "a long enough secret"


@pytest.fixture
def secret_file(tmp_path):
    path = tmp_path / "shop.key"
    path.write_text(f"{SECRET}\n{new_key()}\n")
    path.chmod(0o600)
    return path


def test_without_a_secret_the_host_key_seals(runtime_dir):
    key = Key.of_bytes(host_key(runtime_dir), "default")
    check, keyring = secrecy(Settings(), runtime_dir)
    assert check == (
        "secret", "host key", GOOD, f"key {key.id.hex()} seals, for our user on this host alone", ""
    )  # fmt: skip
    assert (keyring.first, keyring.required, keyring.is_secret) == (key, True, False)


def test_nothing_is_made(runtime_dir):
    check, keyring = secrecy(Settings(group="staff"), runtime_dir)
    assert check.state == GOOD
    assert check.text == "the first member to join makes one, for group staff on this host alone"
    assert keyring.keys == ()
    assert list(runtime_dir.iterdir()) == []


def test_beyond_the_host_no_secret_is_a_note_with_the_next_step(runtime_dir):
    host_key(runtime_dir)
    check, keyring = secrecy(Settings(ttl=1), runtime_dir)
    assert (check.subject, check.state) == ("none", NOTE)
    assert "whoever is on the network can join, read and send" in check.text
    assert check.next.startswith("'meshcluster keygen FILE' makes a secret")
    assert keyring.first is not None
    assert not keyring.required


@pytest.mark.parametrize("ttl", [0, 1])
def test_a_secret_is_told_by_the_ids_of_its_keys(runtime_dir, secret_file, ttl):
    check, keyring = secrecy(Settings(ttl=ttl, secret_file=str(secret_file)), runtime_dir)
    assert (check.subject, check.state) == (str(secret_file), GOOD)
    assert re.fullmatch(r"key \w{8} seals, \w{8} understood as well", check.text)
    assert SECRET not in check.text
    assert keyring.first == Key.of_secret(SECRET.encode(), "default")
    assert (keyring.required, keyring.is_secret) == (True, True)


def test_one_of_the_environment_is_used_as_members_do(runtime_dir, monkeypatch):
    text = new_key()
    monkeypatch.setenv("MESHCLUSTER_SECRET", text)
    check, keyring = secrecy(Settings(), runtime_dir)
    assert check.subject == "of the environment"
    assert keyring.first == Key.of_bytes(parse_key(text), "default")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_what_members_would_refuse_is_broken(runtime_dir, secret_file):
    secret_file.chmod(0o644)
    check, keyring = secrecy(Settings(secret_file=str(secret_file)), runtime_dir)
    assert check.state == BROKEN
    assert f"chmod 600 {secret_file}" in check.text
    assert keyring.keys == ()
    host_key(runtime_dir)
    (runtime_dir / "host-key").chmod(0o644)
    check, keyring = secrecy(Settings(), runtime_dir)
    assert (check.state, keyring.keys) == (BROKEN, ())
    assert "is open to others" in check.text


def test_without_a_directory_the_check_of_that_says_why():
    assert secrecy(Settings(), None)[0].text == "see above"


def test_who_seals_with_another_key_or_not_at_all_is_told_apart(runtime_dir, secret_file):
    host_key(runtime_dir)
    _, ours = secrecy(Settings(), runtime_dir)
    _, theirs = secrecy(Settings(secret_file=str(secret_file)), runtime_dir)
    one, other, plain = Question("default", ours), Question("default", theirs), Question("default")
    heard = [
        Heard(question.to_group(), address, True)
        for question, address in ((one, "1.1.1.1"), (other, "2.2.2.2"), (plain, "3.3.3.3"))
    ]
    heard.append(Heard(b"GET / HTTP/1.1", "4.4.4.4", True))
    near, deaf = one.sort_out(heard)
    assert [each.address for each in near] == ["1.1.1.1", "4.4.4.4"]
    assert understood(near[0].data).cluster == "default"
    assert [check.text for check in other_keys(deaf, ours)] == [
        "members at 3.3.3.3 do not seal: they and ours do not hear each other",
        f"members at 2.2.2.2 seal with key {theirs.first.id.hex()}: "
        "they and ours do not hear each other",
    ]
    assert {check.next for check in other_keys(deaf, ours)} == {
        "they are another user's, or have a secret: --secret-file names it"
    }
    (of_host,) = other_keys(other.sort_out(heard[:1])[1], theirs)
    assert of_host.next == "give them our secret, if they belong to us"


def test_in_an_open_mesh_those_who_do_not_seal_are_heard(runtime_dir):
    host_key(runtime_dir)
    question = Question("default", secrecy(Settings(ttl=1), runtime_dir)[1])
    near, deaf = question.sort_out([Heard(Question("default").to_one(), "1.1.1.1", True)])
    assert (len(near), deaf) == (1, [])
    assert understood(question.to_one()) is not None
