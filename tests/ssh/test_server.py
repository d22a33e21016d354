"""Where workers run, as users write it, and the exact command line that starts one there."""

import shlex
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcluster.errors import ConfigError
from meshcluster.ssh.server import BOOT, Server, parse, servers_of

SSH = ("ssh",)


# --- command lines ------------------------------------------------------------------------------


def test_here_it_is_this_python():
    assert Server().argv(SSH, ("BatchMode=yes",)) == (sys.executable, "-c", BOOT)
    assert Server(python="python3.9").argv(SSH, ()) == ("python3.9", "-c", BOOT)


def test_here_a_text_is_for_the_shell_and_a_list_is_a_program():
    assert Server(command="a | b").argv(SSH, ()) == ("/bin/sh", "-c", "a | b")
    assert Server(command=["a", "b c"]).argv(SSH, ()) == ("a", "b c")


def test_at_a_host_it_is_the_ssh_client_and_nothing_that_is_not_needed():
    argv = Server(host="w1").argv(SSH, ())
    assert argv == ("ssh", "-T", "--", "w1", f'python3 -c "{BOOT}"')


def test_all_settings_of_a_host_are_told_to_the_client():
    server = Server(
        host="w1", user="me", port=2222, identity="/keys/one", config="/my/config",
        options=("ProxyJump=gate", "BatchMode=no"), python="/opt/python3.9",
    )  # fmt: skip
    assert server.argv(("/bin/ssh", "-4"), ("BatchMode=yes", "ConnectTimeout=10")) == (
        "/bin/ssh", "-4", "-T",
        "-F", "/my/config", "-l", "me", "-p", "2222", "-i", "/keys/one",
        "-o", "ProxyJump=gate", "-o", "BatchMode=no",
        "-o", "BatchMode=yes", "-o", "ConnectTimeout=10",
        "--", "w1", f'/opt/python3.9 -c "{BOOT}"',
    )  # fmt: skip


def test_a_users_options_come_first_for_ssh_takes_the_first():
    argv = Server(host="w1", options=["BatchMode=no"]).argv(SSH, ("BatchMode=yes",))
    assert argv.index("BatchMode=no") < argv.index("BatchMode=yes")


def test_a_command_at_a_host_is_words_for_its_shell():
    assert Server(host="w1", command="cd x && ./work").argv(SSH, ())[-1] == "cd x && ./work"
    listed = Server(host="w1", command=["./work", "a b", "$HOME", "it's"]).argv(SSH, ())[-1]
    assert shlex.split(listed) == ["./work", "a b", "$HOME", "it's"]


def test_any_command_can_be_run_there_by_the_same_client():
    assert Server(host="w1", port=22).client(SSH, ("A=b",), "kill 5") == (
        "ssh", "-T", "-p", "22", "-o", "A=b", "--", "w1", "kill 5",
    )  # fmt: skip


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "zsh", "ksh", "csh", "tcsh", "fish"])
def test_every_shell_takes_the_beginning_of_a_worker_as_it_is(shell):
    command = Server(host="w1", python=shlex.quote(sys.executable)).argv(SSH, ())[-1]
    echo = b"print('begun')\ndef boot(): pass"
    try:
        done = subprocess.run(
            [shell, "-c", command],
            input=b"%d\n%s" % (len(echo), echo),
            capture_output=True,
            timeout=60,
        )
    except FileNotFoundError:
        pytest.skip(f"there is no {shell} here")
    assert done.stdout.strip() == b"begun", done.stderr


def test_the_beginning_of_a_worker_has_nothing_that_a_shell_sees_between_double_quotes():
    assert not set(BOOT) & set("\"'`$!\\%^&|<>*?~#\n")


# --- what users write ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "user", "host", "port"),
    [
        ("w1", None, "w1", None),
        ("me@w1", "me", "w1", None),
        ("w1:2222", None, "w1", 2222),
        ("me@w1.example.org:22", "me", "w1.example.org", 22),
        ("me@domain@w1", "me@domain", "w1", None),
        ("10.0.0.1:22", None, "10.0.0.1", 22),
        ("::1", None, "::1", None),
        ("fe80::1%eth0", None, "fe80::1%eth0", None),
        ("[::1]", None, "::1", None),
        ("[::1]:2222", None, "::1", 2222),
        ("me@[2001:db8::5]:22", "me", "2001:db8::5", 22),
        ("me@2001:db8::5", "me", "2001:db8::5", None),
    ],
)
def test_a_word_is_a_server(word, user, host, port):
    server = parse(word)
    assert (server.user, server.host, server.port) == (user, host, port)
    assert server.name == word


@pytest.mark.parametrize(
    "word",
    [
        "", "@", "@w1", "me@", ":22", "me@:22", "w1:port", "w1:-1", "w1:0", "w1:65536",
        "w1:\u0662\u0662", "w1:\u00b2", "w1:", "[::1", "[]", "[]:22", "[::1]x:22", "[::1]:",
        "-oProxyCommand=touch x", "me@-oProxyCommand=x", "-lroot@w1", "w1\0", "ssh://w1/",
    ],
)  # fmt: skip
def test_other_words_are_none(word):
    with pytest.raises(ConfigError):
        parse(word)


@given(st.text(max_size=30) | st.text("a@:[]-1%", max_size=12))
def test_any_word_is_a_server_or_an_error_that_says_so(word):
    try:
        argv = parse(word).argv(SSH, ())
    except ConfigError:
        return
    host = argv[argv.index("--") + 1]
    assert host
    assert host[0] != "-"


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ({"host": ""}, "host="),
        ({"host": "-oProxyCommand=x"}, "host="),
        ({"host": "a\0b"}, "host="),
        ({"host": "w1", "user": ""}, "user="),
        ({"host": "w1", "user": "-lroot"}, "user="),
        ({"host": "w1", "user": "a\0b"}, "user="),
        ({"slots": 0}, "slots="),
        ({"slots": True}, "slots="),
        ({"slots": 1.5}, "slots="),
        ({"port": 0}, "port="),
        ({"port": 65536}, "port="),
        ({"port": "22"}, "port="),
        ({"port": True}, "port="),
        ({"options": "BatchMode=no"}, "options="),
        ({"options": [5]}, "options="),
        ({"path": "/x"}, "path="),
        ({"command": []}, "command="),
        ({"command": ""}, "command="),
        ({"command": ["a", 5]}, "command="),
        ({"command": ["a\0b"]}, "command="),
        ({"command": 5}, "command="),
    ],
)
def test_what_cannot_work_is_refused_as_it_is_written(named, why):
    with pytest.raises(ConfigError, match=why):
        Server(**named)


def test_a_server_is_called_by_its_host():
    assert Server().name == "local"
    assert Server(host="w1").name == "w1"
    assert Server(host="w1", user="me").name == "me@w1"
    assert Server(host="w1", name="mine").name == "mine"


def test_a_server_is_a_value():
    assert Server(host="w1", options=["a=b"], path=["/x"], command=["a"]) == Server(
        host="w1", options=("a=b",), path=("/x",), command=("a",)
    )
    assert len({Server(host="w1", command=["a"]), Server(host="w1", command=["a"])}) == 1


# --- several ------------------------------------------------------------------------------------

DEFAULTS = {"slots": 2, "command": "work", "python": "python3.9"}
NO_DEFAULTS = dict.fromkeys(DEFAULTS)


def test_servers_are_words_mappings_and_servers():
    made = Server(host="w3")
    found = servers_of(["me@w1", {"host": "w2", "slots": 5}, made], NO_DEFAULTS)
    assert [(each.name, each.host, each.slots) for each in found] == [
        ("me@w1", "w1", 1),
        ("w2", "w2", 5),
        ("w3", "w3", 1),
    ]
    assert found[2] is made


def test_words_and_mappings_have_the_defaults_unless_they_say_themselves():
    found = servers_of(["w1", {"host": "w2", "slots": 5, "command": None}], DEFAULTS)
    assert [(each.slots, each.command, each.python) for each in found] == [
        (2, "work", "python3.9"),
        (5, None, "python3.9"),
    ]


@pytest.mark.parametrize("default", DEFAULTS.items())
def test_a_default_beside_a_server_that_says_it_itself_is_refused(default):
    name, value = default
    with pytest.raises(ConfigError, match=f"^{name}=: the Server 'w3' says that itself"):
        servers_of(["w1", Server(host="w3")], {**NO_DEFAULTS, name: value})


def test_a_mapping_of_a_servers_fields_alone_is_one_server():
    (found,) = servers_of({"host": "w1", "slots": 4, "path": ["/x"]}, NO_DEFAULTS)
    assert found == Server(host="w1", slots=4, path=["/x"])
    (found,) = servers_of({"name": "mine", "command": ["work"]}, NO_DEFAULTS)
    assert found == Server(name="mine", command=["work"])


def test_names_may_be_those_of_fields_where_a_mapping_or_a_server_follows():
    for one in ({"host": "w1"}, Server(host="w1")):
        (found,) = servers_of({"host": one}, NO_DEFAULTS)
        assert (found.name, found.host) == ("host", "w1")


def test_a_member_is_no_server_that_one_may_write():
    found = Server(name="ada", service=object())
    with pytest.raises(ConfigError, match=r"'ada': members are servers by cluster\.live"):
        servers_of([found], NO_DEFAULTS)


def test_servers_can_be_named():
    found = servers_of({"one": "w1:22", "two": {"host": "w2"}, "three": Server(host="w3")}, {})
    assert [(each.name, each.host) for each in found] == [
        ("one", "w1"), ("two", "w2"), ("three", "w3"),
    ]  # fmt: skip


def test_one_server_needs_no_list():
    assert [each.host for each in servers_of("w1", {})] == ["w1"]
    assert [each.host for each in servers_of(Server(host="w1"), {})] == ["w1"]


@pytest.mark.parametrize(
    ("servers", "why"),
    [
        ([], "there is none"),
        ({}, "there is none"),
        (5, "hosts, Servers or cluster.live"),
        ([5], "is no server"),
        ([None], "is no server"),
        (["w1", "w1"], "two servers are called 'w1'"),
        ([Server(), Server()], "two servers are called 'local'"),
        ([{"hots": "w1"}], "unknown hots; there are .*host"),
        ({"one": {"host": "w1", 5: 6}}, "server 'one': unknown 5"),
        (["-oProxyCommand=x"], "host="),
    ],
)
def test_others_are_refused(servers, why):
    with pytest.raises(ConfigError, match=why):
        servers_of(servers, {})
