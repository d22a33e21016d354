"""The command: quick, helpful when it is used wrongly, and its exit code says what came of it."""

import subprocess
import sys
from pathlib import Path

import click
import psutil
import pytest

from meshcluster.cli import main as cli
from meshcluster.version import VERSION
from tests.waiting import until

HEAVY = ("asyncio", "msgspec", "dataclasses", "meshcluster.config")


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    code = cli.run(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def test_it_says_its_version(capsys) -> None:
    assert run(capsys, "--version") == (0, f"meshcluster, version {VERSION}\n", "")


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_its_help_names_commands_options_environment_and_exit_codes(capsys, arguments) -> None:
    code, out, _ = run(capsys, *arguments)
    assert code == 0
    for word in (*cli.COMMANDS, "--ttl", "--json", "MESHCLUSTER_CLUSTER", "130 interrupted"):
        assert word in out


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_each_command_has_help_with_examples(capsys, name) -> None:
    code, out, _ = run(capsys, name, "--help")
    assert code == 0
    assert "Options of every command" in out
    assert "Examples:" in out
    assert f"  meshcluster {name}" in out


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(name) -> None:
    found = cli.group.get_command(click.Context(cli.group), name)
    assert found is not None
    assert (found.help or "").startswith(cli.COMMANDS[name].rstrip("."))


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("version",), ("join", "-h")])
def test_what_needs_no_mesh_imports_none_of_it(arguments) -> None:
    code = (
        "import sys, meshcluster.cli.main as cli\n"
        f"assert cli.run({list(arguments)}) == 0\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    bare = f"import sys, click, json, platform; print([n for n in {HEAVY} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    base = subprocess.run([sys.executable, "-c", bare], capture_output=True, text=True, check=True)
    assert done.stderr == base.stdout, "nothing beside what click needs"


@pytest.mark.parametrize(
    ("arguments", "right"),
    [
        (("dmeo",), "Did you mean 'demo'?"),
        (
            ("frobnicate",),
            "There are join, members, query, queue, send, call, expose, work, run, jobs, doctor,",
        ),
        (("--ttl", "lan", "members"), "a whole number from 0 to 255"),
        (("members", "--ttl", "256"), "a whole number from 0 to 255"),
        (("members", "--port", "0"), "a whole number from 1 to 65535"),
        (("members", "--timeout", "nan"), "seconds, from 0.001"),
        (("members", "--timeout", "0"), "seconds, from 0.001"),
        (("members", "--cluster", ""), "a text of 1 to 64 characters"),
        (("members", "--cluster", "a\x1b[2Jb"), "printable characters only"),
        (("members", "--resolv", "x"), "--resolve"),
        (("members", "web"), "unexpected extra argument"),
        (("query",), "Missing argument 'TEXT'"),
        (("query", "a", "b"), "unexpected extra argument"),
        (("query", "\udcff"), "not UTF-8"),
        (("send",), "Missing argument 'TEXT'"),
        (("keygen", "a", "b"), "unexpected extra argument"),
        (("run", "ls"), "where? -t ROLE"),
        (("run", "-t", "app"), "Missing argument 'CMD...'"),
        (("jobs",), "Missing argument 'FILE.py'"),
        (("join", "--tag", ""), "a text of 1 to 64 characters"),
        (("join", "--name", "x" * 65), "a text of 1 to 64 characters"),
        (("join", "--exec", ""), "a program and its arguments"),
        (("join", "--exec", "no-such-program -x"), "no program 'no-such-program' is found"),
        (("join", "--exec", "echo 'oops"), "No closing quotation"),
    ],
)
def test_wrong_usage_says_what_would_be_right_and_touches_no_network(
    capsys, runtime_dir, arguments, right
) -> None:
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert right in err
    assert list(runtime_dir.iterdir()) == []


def test_what_stands_after_the_command_wins_then_before_it_then_the_environment(
    capsys, monkeypatch
) -> None:
    monkeypatch.setenv("MESHCLUSTER_TTL", "nonsense")
    code, _, err = run(capsys, "version")
    assert (code, "MESHCLUSTER_TTL" in err) == (2, True)
    assert run(capsys, "--ttl", "1", "version")[0] == 0
    assert run(capsys, "--ttl", "1", "version", "--json")[1].startswith("{")
    monkeypatch.delenv("MESHCLUSTER_TTL")
    assert run(capsys, "--json", "version")[1].startswith("{")


def test_the_docs_know_every_command_option_variable_and_exit_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "command.md").read_text(encoding="utf-8")
    context = click.Context(cli.group)
    for name in cli.COMMANDS:
        assert f"`{name}" in page
        found = cli.group.get_command(context, name)
        assert found is not None
        family = getattr(found, "commands", {}).values()
        options = [
            each
            for one in (found, *family)
            for each in one.params
            if isinstance(each, click.Option)
        ]
        assert all(f"`{option.opts[0]}" in page for option in options)
    for word in ("CLUSTER", "TTL", "PORT", "TIMEOUT", "GROUP", "RUNTIME_DIR", "SECRET_FILE"):
        assert f"MESHCLUSTER_{word}" in page
    for code in (cli.OK, cli.FAILED, cli.USAGE, cli.INCOMPLETE, cli.NOBODY, cli.INTERRUPTED):
        assert f"| {code} |" in page


def test_it_speaks_the_shells_language_of_completion(capsys, monkeypatch) -> None:
    monkeypatch.setenv("_MESHCLUSTER_COMPLETE", "bash_source")
    code, out, _ = run(capsys)
    assert code == 0
    assert "_meshcluster_completion" in out


@pytest.mark.process
def test_a_trouble_is_one_line_and_exit_code_1(command, monkeypatch, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MESHCLUSTER_RUNTIME_DIR", str(tmp_path / "file"))
    done = command("members")
    assert done.code == 1
    assert done.err.startswith("meshcluster: runtime directory ")
    assert "set MESHCLUSTER_RUNTIME_DIR" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.process
@pytest.mark.parametrize("arguments", ["--help", "--version", "version --json"])
def test_who_does_not_read_us_is_no_trouble(arguments) -> None:
    line = f"{sys.executable} -m meshcluster {arguments} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.process
@pytest.mark.parametrize(
    ("arguments", "redirected", "code"),
    [
        ("version", ">&-", 0),
        ("version", ">/dev/full", 1),
        ("members --timeout 0.2", "<&-", 4),
        ("members --timeout 0.2", "2>&-", 4),
        ("members --timeout 0.2", "<&- >&- 2>&-", 4),
    ],
)
def test_files_that_are_closed_or_full_break_nothing(arguments, redirected, code) -> None:
    line = f"{sys.executable} -m meshcluster {arguments} {redirected}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert done.returncode == code
    assert done.stderr.count("\n") <= 1
    assert "Traceback" not in done.stderr


@pytest.mark.process
def test_ctrl_c_while_it_looks_is_exit_code_130(terminal) -> None:
    screen = terminal("query", "x", "-r", "nobody", "--timeout", "20")
    until(psutil.Process(screen.process.pid).net_connections)
    screen.press(b"\x03")
    done = screen.done()
    assert done.code == 130
    assert "Traceback" not in done.out


def test_ctrl_c_that_an_import_has_wrapped_is_exit_code_130_too(capsys, monkeypatch) -> None:
    def interrupted(ctx):
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    monkeypatch.setattr(cli.group, "invoke", interrupted)
    assert run(capsys, "version") == (130, "", "")


@pytest.mark.process
def test_ctrl_c_in_what_an_import_executes_is_exit_code_130_too(command, tmp_path) -> None:
    """Python by itself would end by the signal, for an ``exec`` was interrupted."""
    file = tmp_path / "jobs.py"
    file.write_text("exec('raise KeyboardInterrupt')")
    assert command("jobs", str(file)) == (130, "", "")
