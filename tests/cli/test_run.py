"""``meshcluster run``: where a command runs, how its words are taken, and what comes of it."""

import io
import json
import os
import sys

import pytest

import meshcluster
from meshcluster import allow_commands
from meshcluster.cli import main as cli

SITES = '[sites.a]\nroles = "app"\n[sites.b]\nroles = ["app", "db"]\n[sites.c]\nroles = "db"\n'


@pytest.fixture
def sites(tmp_path):
    """A file with three sites of this machine."""
    path = tmp_path / "sites.toml"
    path.write_text(SITES)
    return str(path)


@pytest.fixture
def hosts(tmp_path, monkeypatch):
    """An ssh client that finds each host here, but not one called down; it notes its words."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "ssh"
    script.write_text(f"""#!/bin/sh
echo "$@" | head -1 >> {tmp_path}/said
while [ "$1" != -- ]; do shift; done
if [ "$2" = down ]; then echo "ssh: no route to down" >&2; exit 255; fi
shift 2
exec sh -c "$*"
""")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path / "said"


def run(capsys, *arguments):
    code = cli.run(["run", *arguments])
    return (code, *capsys.readouterr())


def objects(out):
    return [json.loads(line) for line in out.splitlines()]


# --- usage -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arguments", "right"), [
    (["ls"], "where? -t ROLE (members; '*' is all of them), --ssh HOST,... or --local, before CMD"),
    (["ls", "--local"], "where?"),
    (["--local"], "Missing argument 'CMD...'"),
    (["--local", ""], "empty"),
    (["--local", "--ssh", "w1", "ls"], "--ssh and --local: one place"),
    (["-t", "app", "--ssh", "w1", "ls"], "--ssh and -t: one place"),
    (["--local", "-t", "app", "ls"], "--roles says nothing with --local"),
    (["--local", "--via-ssh", "ls"], "--via-ssh says nothing with --local"),
    (["--ssh", "w1", "--via-ssh", "ls"], "--via-ssh says nothing with --ssh"),
    (["-t", "app &", "ls"], "a role is missing here"),
    (["--ssh", "w1,w1", "ls"], "'w1' twice: a command runs once at each"),
    (["--ssh", "w1:port", "ls"], "'w1:port' is no server"),
    (["--sites", "nowhere.toml", "-t", "x", "ls"], "'nowhere.toml' does not exist"),
    (["--local", "--env", "A", "ls"], "'A' is not K=V"),
    (["--local", "--max-parallel", "0", "ls"], "a whole number from 1"),
    (["--local", "--batches", "1,x", "ls"], "batches=(1, 'x')"),
    (["--local", "--max-fail", "-1", "ls"], "max_fail='-1'"),
    (["--local", "--schedule", "paralel", "ls"], "'parallel'"),
    (["--local", "--command-timeout", "0", "ls"], "seconds, from 0.001"),
    (["--local", "--junit", "nowhere/x", "ls"], "there is no directory nowhere"),
])  # fmt: skip
def test_wrong_usage_says_what_would_be_right(capsys, arguments, right) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert right in err


def test_sites_of_a_file_are_meant_by_their_roles_alone(capsys, sites) -> None:
    code, _, err = run(capsys, "--sites", sites, "ls")
    assert code == 2
    assert "whom of --sites? -t ROLE; -t '*' is all of them" in err


def test_where_nobody_has_the_role_it_says_who_is_there(capsys, sites) -> None:
    code, out, err = run(capsys, "--sites", sites, "-t", "web", "ls")
    assert (code, out) == (4, "")
    assert err == (
        f"meshcluster: nobody has 'web' in {sites}; there are a, b, c (roles: app, db)\n"
    )


# --- the command -------------------------------------------------------------------------------


def test_several_words_are_a_program_and_its_arguments_exactly(capsys) -> None:
    words = ("printf", "%s-", "two  words", "$HOME", "*", "-t", "--local", ";", "'")
    code, out, _ = run(capsys, "--local", "--", *words)
    assert (code, out) == (0, "local | two  words-$HOME-*--t---local-;-'-\n")


def test_one_word_is_for_the_shell(capsys) -> None:
    assert run(capsys, "--local", "echo one | tr o 0; echo $((2 + 2))")[1] == (
        "local | 0ne\nlocal | 4\n"
    )


def test_what_stands_behind_the_program_is_its_own(capsys) -> None:
    assert run(capsys, "--local", "printf", "%s", "--json")[1] == "local | --json\n"


def test_errors_come_on_stderr_and_what_failed_is_told_with_the_last_of_them(capsys) -> None:
    code, out, err = run(capsys, "--local", "echo fine; echo one >&2; echo two >&2; exit 3")
    assert (code, out) == (1, "local | fine\n")
    assert err.splitlines()[:3] == [
        "local ! one", "local ! two", "local = failed: exit status 3: two",
    ]  # fmt: skip
    assert "failed: run on local: exit status 3: two\n\nRECAP\n" in err


def test_it_has_its_directory_variables_and_what_we_read(capsys, monkeypatch, tmp_path) -> None:
    given = io.TextIOWrapper(io.BytesIO(b"given\n"))
    monkeypatch.setattr(sys, "stdin", given)
    code, out, _ = run(
        capsys, "--local", "--stdin", "--cwd", str(tmp_path), "--env", "A=x y", "--env", "B=",
        "cat; pwd; echo $A${B-unset}",
    )  # fmt: skip
    assert (code, out) == (0, f"local | given\nlocal | {tmp_path}\nlocal | x y\n")


def test_without_being_told_to_it_reads_nothing(capsys) -> None:
    assert run(capsys, "--local", "cat; echo end")[1] == "local | end\n"


def test_what_takes_too_long_is_ended(capsys) -> None:
    code, _, err = run(capsys, "--local", "--command-timeout", "0.05", "sleep 600")
    assert code == 1
    assert "failed: run on local: 'sleep 600' took longer than 0.05 s\n" in err


@pytest.mark.parametrize(("options", "user"), [
    (["--sudo"], ""), (["--sudo-user", "ada"], "-u ada "),
])  # fmt: skip
def test_as_somebody_else_by_sudo(capsys, monkeypatch, tmp_path, options, user) -> None:
    script = tmp_path / "sudo"
    script.write_text(f'#!/bin/sh\necho "$@" | head -1 >{tmp_path}/said\n'
                      'while [ "$1" != -- ]; do shift; done; shift; exec "$@"\n')  # fmt: skip
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert run(capsys, "--local", *options, "--", "echo", "done")[:2] == (0, "local | done\n")
    assert f" ?  {user}-- " in (tmp_path / "said").read_text()


@pytest.fixture
def sudo(monkeypatch, tmp_path):
    """A sudo that wants a password, "secret", and asks once."""
    script = tmp_path / "sudo"
    script.write_text("""#!/bin/sh
while [ "$1" != -- ]; do [ "$1" = -p ] && prompt=$2; shift; done; shift
printf '%s' "$prompt" >&2
read -r password
[ "$password" = secret ] && exec "$@"
""")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


@pytest.mark.process
def test_sudos_question_is_asked_here_and_nothing_is_drawn_over_it(sudo, terminal) -> None:
    screen = terminal("run", "--local", "--sudo", "--", "echo done")
    screen.until("sudo password of local: ")
    screen.press(b"secret\n")
    done = screen.done()
    assert done.code == 0
    assert done.out.startswith("sudo password of local: \nlocal | done\n")


@pytest.mark.parametrize(("given", "code", "said"), [("secret\n", 0, ""), ("wrong\n", 1, "sudo")])
def test_sudos_password_may_be_in_a_file(capsys, sudo, tmp_path, given, code, said) -> None:
    path = tmp_path / "password"
    path.write_text(given)
    path.chmod(0o600)
    options = ["--local", "--sudo", "--sudo-password-file", str(path)]
    ended, out, err = run(capsys, *options, "--", "echo done")
    assert (ended, out) == (code, "" if code else "local | done\n")
    assert said in err
    assert given.strip() not in err
    assert cli.run(["run", "--local", "--sudo-password-file", str(path), "id"]) == 2
    assert "says nothing without --sudo or --sudo-user" in capsys.readouterr().err


# --- where -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "names"), [
    (["app"], "ab"), (["db & !app"], "c"), (["c", "app"], "cab"), (["*"], "abc"),
])  # fmt: skip
def test_roles_say_at_which_sites(capsys, sites, words, names) -> None:
    options = [each for word in words for each in ("-t", word)]
    code, out, _ = run(capsys, "--sites", sites, *options, "--schedule", "atomic", "echo x")
    assert (code, out) == (0, "".join(f"{name} | x\n" for name in names))


def test_hosts_behind_ssh_get_what_their_words_say(capsys, hosts, tmp_path) -> None:
    config = tmp_path / "config"
    config.write_text("")
    code, out, _ = run(
        capsys, "--timeout", "7", "--ssh-config", str(config), "--ssh", "w1,ada@w2:2222",
        "--max-parallel", "1", "echo x",
    )  # fmt: skip
    assert (code, out) == (0, "w1          | x\nada@w2:2222 | x\n")
    first, second = hosts.read_text().splitlines()
    assert f"-F {config}" in first
    assert "ConnectTimeout=7" in first
    assert first.partition(" -- ")[2].startswith("w1 ")
    assert "-l ada -p 2222" in second


def test_one_that_cannot_be_reached_is_exit_code_3_where_nothing_failed(capsys, hosts) -> None:
    code, out, err = run(capsys, "--ssh", "w1,down", "echo x")
    assert (code, out) == (3, "w1   | x\n")
    assert "down = unreachable: ssh: no route to down\n" in err
    assert run(capsys, "--ssh", "w1,down", "false")[0] == 1


def test_without_an_ssh_client_nothing_begins(capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = run(capsys, "--ssh", "w1", "ls")
    assert (code, err) == (1, "Error: no ssh client is found: OpenSSH's has to be in the PATH\n")


def test_members_that_allow_it_run_it_and_others_say_what_to_do(capsys, own_mesh) -> None:
    with meshcluster.join(["db"], name="no"), meshcluster.join(["app"], name="yes") as yes:
        allow_commands(yes)
        code, out, _ = run(capsys, "-t", "app", "--timeout", "20", "echo x; echo $((6 * 7))")
        assert (code, out) == (0, "yes | x\nyes | 42\n")
        code, out, err = run(capsys, "-t", "db", "echo x")
        assert (code, out) == (3, "")
        assert "meshcluster join --allow-commands" in err
        code, out, err = run(capsys, "-t", "web", "--timeout", "0.3", "echo x")
        assert (code, out) == (4, "")
        assert "there are " in err
        assert "(roles: app, db)" in err


def test_members_are_reached_by_ssh_where_that_is_said(capsys, own_mesh, hosts) -> None:
    with meshcluster.join(["app"], name="m"):
        code, out, _ = run(capsys, "-t", "app", "--via-ssh", "echo x")
    assert (code, out) == (0, "m | x\n")
    assert " -- 127.0.0.1 " in hosts.read_text()


def test_where_there_is_no_member_it_is_said_where_was_looked(capsys, own_mesh) -> None:
    code, _, err = run(capsys, "-t", "app", "--timeout", "0.1", "ls")
    assert (code, err) == (
        4,
        "meshcluster: nobody is there in cluster 'default' on this host (the LAN: --ttl 1)\n",
    )


# --- how it goes on, and what is left of it ----------------------------------------------------


def test_portions_wait_for_one_another_and_enough_failures_end_it(capsys, sites) -> None:
    code, _, err = run(
        capsys, "--sites", sites, "-t", "*", "--batches", "1", "--max-fail", "0", "false"
    )
    assert code == 1
    assert "a ok=0 failed=1" in err
    assert err.count("skipped=1") == 2


def test_as_json_there_are_lines_endings_and_the_result(capsys, sites) -> None:
    code, out, err = run(capsys, "--sites", sites, "-t", "app", "--json", "echo $((1 + 1))")
    assert (code, err) == (0, "")
    found = objects(out)
    assert sorted((each["what"], each.get("site", "")) for each in found) == [
        ("ended", "a"), ("ended", "b"), ("line", "a"), ("line", "b"), ("result", ""),
    ]  # fmt: skip
    assert {each["text"] for each in found if each["what"] == "line"} == {"2"}
    assert found[-1]["counts"]["ok"] == 2


def test_recap_is_a_matter_of_taste(capsys) -> None:
    assert run(capsys, "--local", "--no-recap", "true") == (0, "", "")
    assert "RECAP" in run(capsys, "--local", "--recap", "--json", "true")[2]


def test_reports_are_written(capsys, sites, tmp_path) -> None:
    junit, gantt = tmp_path / "j.xml", tmp_path / "g.svg"
    reports = ("--junit", str(junit), "--gantt", str(gantt))
    assert run(capsys, "--sites", sites, "-t", "app", *reports, "true")[0] == 0
    assert '<testcase classname="run" name="a"' in junit.read_text()
    assert gantt.read_text().startswith("<svg")
