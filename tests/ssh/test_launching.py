"""What workers are started with, and which are refused."""

import json
import logging
import sys

import pytest

from meshcluster.errors import ConfigError
from meshcluster.ssh import launching
from meshcluster.ssh.far.serializer import Serializer
from meshcluster.ssh.launching import Check, LogLine, Sent, client_options, log, usual
from meshcluster.ssh.process import Hello
from meshcluster.ssh.server import Server

HERE = "{}.{}.9".format(*sys.version_info[:2])


def hello(serializer=Serializer.name, python="3.8.1", types=()):
    return Hello(1, "w1", python, serializer, True, tuple(types), True)


# --- ssh ----------------------------------------------------------------------------------------


def test_ssh_asks_nobody_and_notices_when_the_network_is_gone():
    assert client_options(10.0, 5.0) == (
        "BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=3",
        "ClearAllForwardings=yes", "RemoteCommand=none", "ControlMaster=no",
    )  # fmt: skip


@pytest.mark.parametrize("seconds", [0, 0.5, -1, float("nan"), "5"])
def test_ssh_counts_in_whole_seconds(seconds):
    with pytest.raises(ConfigError):
        client_options(seconds, 5.0)
    with pytest.raises(ConfigError):
        client_options(10.0, seconds)


# --- what is sent -------------------------------------------------------------------------------


def test_it_is_read_once_for_all_servers_with_the_same_path(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "read_once.py").write_text("x = 1")
    sent = Sent(("read_once",), "read_once:x", None, False)
    (tmp_path / "read_once.py").unlink()
    assert sent.to(Server(host="w1")) is sent.to(Server(host="w2", python="python3.9"))


def test_each_path_is_sent_to_its_server():
    sent = Sent((), None, None, False)
    data = sent.to(Server(host="w1", path=["/x"]))
    assert json.loads(data[data.index(b'{"package"') :])["path"] == ["/x"]
    assert sent.to(Server(host="w1")) != data


@pytest.mark.parametrize("named", [{"callback": "no_colon"}, {"setup": "no_colon"}])
def test_what_is_called_there_is_named_with_its_module(named):
    with pytest.raises(ConfigError, match="='no_colon': \"module:function\""):
        Sent((), named.get("callback"), named.get("setup"), False)


def test_a_module_that_is_not_here_is_told_of_at_once():
    with pytest.raises(ConfigError, match="no module 'no_such_module_here'"):
        Sent(("no_such_module_here",), None, None, False)


# --- serializers --------------------------------------------------------------------------------


def test_usually_it_is_ours():
    assert usual(None, False).name == Serializer.name
    mine = Serializer()
    assert usual(mine, False) is mine


def test_pickle_is_asked_for_and_is_no_second_one():
    pytest.importorskip("cloudpickle")
    assert usual(None, True).name == "pickle"
    with pytest.raises(ConfigError, match="not both"):
        usual(Serializer(), True)


def test_pickle_says_what_it_needs(monkeypatch):
    monkeypatch.setattr(launching.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'meshcluster\[pickle\]'"):
        usual(None, True)


# --- who is refused -----------------------------------------------------------------------------


def test_a_worker_with_the_same_serializer_is_taken_whatever_its_python():
    assert Check(Serializer())(hello(types=Serializer().types)) == ""


@pytest.mark.parametrize("theirs", ["", "pickle", "json"])
def test_a_worker_with_another_serializer_is_refused(theirs):
    assert "give both one serializer=" in Check(Serializer())(hello(theirs))
    assert repr(theirs or "nothing") in Check(Serializer())(hello(theirs))


def test_pickles_are_for_the_same_python_at_both_ends():
    class Pickle:
        name = "pickle"

    assert Check(Pickle())(hello("pickle", HERE)) == ""
    assert "needs the same at both" in Check(Pickle())(hello("pickle", "3.7.1"))
    assert Check(Pickle())(hello("pickle", "")) != ""


def test_types_that_a_worker_does_not_know_are_told_of_once(caplog):
    serializer = Serializer()
    known = serializer.types
    serializer.register("point", type("Point", (), {}))
    check = Check(serializer)
    assert check(hello(types=known)) == check(hello(types=known)) == ""
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("a worker at w1 does not know the types point")


def test_a_worker_that_says_nothing_of_types_is_taken_at_its_word(caplog):
    assert Check(Serializer())(hello(types=())) == ""
    assert caplog.records == []


# --- lines --------------------------------------------------------------------------------------


def test_lines_go_to_a_logger(caplog):
    with caplog.at_level(logging.INFO, "meshcluster.ssh"):
        log(LogLine("w1", 5, "stdout", "100 % done"))
    assert [record.getMessage() for record in caplog.records] == ["w1, task 5, stdout: 100 % done"]
