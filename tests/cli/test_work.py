"""``meshcluster work``: where lines are done, what is sent there, and what it says when they cannot
be.
"""

import json
import os
import signal
import sys

import psutil
import pytest

import meshcluster
from meshcluster.cli import main as cli
from meshcluster.cli.work import own_module

WAIT_SECONDS = 20.0


@pytest.fixture
def mesh(own_mesh):
    """A member of this process that squares, and one that does not."""
    with meshcluster.join(["compute"], name="one") as one, meshcluster.join(["idle"], name="two"):
        one.expose(lambda x: x * x, name="square")
        yield one


def write(folder, modules: dict[str, str]) -> None:
    for name, code in modules.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)


# --- usage -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arguments", "right"), [
    (["math:sqrt"], "where? one of --ssh HOST,... or --local N or --resolve WORD"),
    (["math:sqrt", "--ssh", "w1", "--local", "2"], "where?"),
    (["math:sqrt", "--local", "2", "-r", "x"], "where?"),
    (["--local", "2"], "Missing argument 'MODULE:FUNC'"),
    (["sqrt", "--local", "2"], "'sqrt' is not MODULE:FUNC, such as math:sqrt"),
    (["math:", "--local", "2"], "'math:' is not MODULE:FUNC"),
    ([":sqrt", "--local", "2"], "':sqrt' is not MODULE:FUNC"),
    (["math:sqrt(x)", "--local", "2"], "'math:sqrt(x)' is not MODULE:FUNC"),
    (["jobs/math.py:sqrt", "--local", "2"], "a module's name, such as math, not its file"),
    (["math:sqrt", "--local", "0"], "a whole number from 1 to 1024"),
    (["math:sqrt", "--local", "two"], "a whole number from 1 to 1024"),
    (["math:sqrt", "--local", "2", "--limit", "0"], "seconds, from 0.001"),
    (["math:sqrt", "--local", "2", "--attempts", "0"], "a whole number from 1 to 1000"),
    (["math:sqrt", "--local", "2", "--slots", "2"], "--slots says nothing with --local"),
    (["square", "-r", "x", "--client", "ssh"], "--client says nothing with --resolve"),
    (["math:sqrt", "--ssh", ","], "which host?"),
    (["math:sqrt", "--ssh", "w1, w1"], "'w1' twice: --slots 2 has two workers at each host"),
    (["math:sqrt", "--ssh", "w1:port"], "'w1:port' is no server: [USER@]HOST[:PORT]"),
    (["math:sqrt", "--ssh", "-oProxyCommand=x"], "a host's name or address"),
    (["math:sqrt", "--ssh", "w1", "--client", "'"], "No closing quotation"),
    (["math:sqrt", "--ssh", "w1", "--client", ""], "which program?"),
    (["math:sqrt", "--ssh", "w1", "--module", "nowhere_at_all"], "no module 'nowhere_at_all'"),
    (["math:sqrt", "--ssh", "w1", "--module", "math"], "'math' is not one file of Python"),
    (["math:sqrt", "--local", "2", "numbers"], "unexpected extra argument (numbers)"),
])  # fmt: skip
def test_wrong_usage_says_what_would_be_right(capsys, jobs, arguments, right) -> None:
    assert cli.run(["work", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert right in err


# --- what is sent along ------------------------------------------------------------------------


def test_only_what_is_in_this_directory_itself_is_sent(jobs, tmp_path, monkeypatch) -> None:
    """A virtual environment may be below it."""
    write(tmp_path, {"pack_of_tests/__init__": "", "lib/far_of_tests": ""})
    monkeypatch.syspath_prepend(tmp_path / "lib")
    assert own_module(f"{jobs}:double") == [jobs]
    assert own_module("pack_of_tests.deep:x") == ["pack_of_tests"]
    assert own_module("far_of_tests:x") == own_module("math:sqrt") == []
    assert own_module("nowhere_at_all:x") == []


def test_a_folder_that_cannot_be_sent_says_what_it_lacks(jobs, tmp_path, capsys) -> None:
    write(tmp_path, {"bare_of_tests/jobs": ""})
    assert cli.run(["work", "--ssh", "w1", "bare_of_tests.jobs:x"]) == 2
    assert "bare_of_tests is here but has no __init__.py" in capsys.readouterr().err


@pytest.mark.process
def test_a_package_is_sent_whole(jobs, client, command, tmp_path) -> None:
    modules = {
        "__init__": "", "till/__init__": "", "till/total": "def of(x): return [x]",
        "price": "from .till.total import of as wrapped",
    }  # fmt: skip
    write(tmp_path / "shop_of_tests", modules)
    done = command("work", "--ssh", "w1", "--client", client, "shop_of_tests.price:wrapped",
                   given=b"1\n2")  # fmt: skip
    assert done == (0, "[1]\n[2]\n", "")


@pytest.mark.process
def test_another_module_is_sent_when_it_is_named(jobs, client, command, tmp_path) -> None:
    code = f"import {jobs}\ndef twice(x): return {jobs}.double(x)"
    write(tmp_path, {"uses_of_tests": code})
    usual = ("work", "--ssh", "w1", "--client", client, "uses_of_tests:twice")
    assert command(*usual, "--module", jobs, given=b"4") == (0, "8\n", "")
    done = command(*usual, given=b"4")
    assert (done.code, done.out) == (4, "")
    assert done.err == (
        "w1 has no worker: ended with exit status 1 before it said hello: "
        f"ModuleNotFoundError: No module named '{jobs}' "
        '(File "<sent>/uses_of_tests.py", line 1, in <module>)\n'
        "meshcluster: no worker can be had\n"
        "  -> does python3 -c 'import uses_of_tests' work there? Only the module of FUNC is sent "
        "by itself, others by --module\n"
    )


@pytest.mark.process
def test_processes_of_this_machine_see_its_files(jobs, command, tmp_path) -> None:
    write(tmp_path, {"bare_of_tests/where": "def of(x): return __file__"})
    done = command("work", "--local", "1", "bare_of_tests.where:of", given=b"1")
    assert done == (0, f"{tmp_path}/bare_of_tests/where.py\n", "")


# --- hosts -------------------------------------------------------------------------------------


@pytest.mark.process
def test_what_is_printed_comes_on_stderr_behind_its_host(jobs, client, command) -> None:
    done = command("work", "--ssh", "w1", "--client", client, f"{jobs}:say", given=b"1\n2")
    assert done == (0, "1\n2\n", "w1: now 1\nw1: now 2\n")


@pytest.mark.process
def test_hosts_and_slots_are_places_of_workers(jobs, client, start, tmp_path) -> None:
    """Four lines are under way at once, two at each."""
    names = [str(tmp_path / name) for name in "abcd"]
    path = tmp_path / "names"
    path.write_text("\n".join(names))
    with path.open() as lines:
        work = start("work", "--ssh", "w1", "--ssh", "w2", "--slots", "2", "--client", client,
                     "--json", f"{jobs}:wait_for", given=lines)  # fmt: skip
    while not all(os.path.exists(f"{name}-begun") for name in names):
        assert work.process.poll() is None
    for name in names:
        open(name, "w").close()
    servers = [json.loads(work.line())["server"] for _ in names]
    assert sorted(servers) == ["w1", "w1", "w2", "w2"]
    assert work.wait() == 0


@pytest.mark.process
def test_a_host_that_cannot_be_reached_is_named_once_and_others_work(jobs, client, command) -> None:
    done = command("work", "--ssh", "down,w2", "--client", client, f"{jobs}:double",
                   given=b"1\n2\n3\n4\n")  # fmt: skip
    assert (done.code, done.out) == (0, "2\n4\n6\n8\n")
    told = "down has no worker: ended with exit status 255 before it said hello: ssh: no route to"
    assert done.err.count(told) == done.err.count("\n") == 1


@pytest.mark.process
@pytest.mark.parametrize(("options", "why"), [
    (("--ssh", "down"), "down has no worker: ended with exit status 255 before it said hello: ssh"),
    (("--ssh", "w1", "--python", "no-python"), "no-python: not found"),
    (("--ssh", "w1", "--client", "no-client"), "w1 has no worker: cannot start 'no-client'"),
])  # fmt: skip
def test_nobody_to_do_it_is_exit_code_4_and_says_why(jobs, client, command, options, why) -> None:
    given = () if "--client" in options else ("--client", client)
    done = command("work", *options, *given, f"{jobs}:double", given=b"1\n2\n")
    assert (done.code, done.out) == (4, "")
    assert why in done.err
    assert done.err.endswith("meshcluster: no worker can be had\n")


@pytest.mark.process
@pytest.mark.parametrize(("name", "why"), [
    ("nowhere_at_all:x", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
    ("jobs_of_tests:dubble", "AttributeError: module 'jobs_of_tests' has no attribute 'dubble'"),
    ("jobs_of_tests:os.sep", "TypeError: jobs_of_tests:os.sep is no function but a str"),
    ("torn_of_tests:x", "SyntaxError: "),
    ("needy_of_tests:x", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
])  # fmt: skip
def test_a_function_that_no_worker_finds_is_told_once_not_for_each_line(
    jobs, command, tmp_path, name, why
) -> None:
    write(tmp_path, {"torn_of_tests": "def x(:", "needy_of_tests": "import nowhere_at_all"})
    done = command("work", "--local", "1", name, given=b"1\n2\n3\n")
    assert (done.code, done.out) == (4, "")
    first, second, *hint = done.err.splitlines()
    assert first.startswith("local has no worker: ")
    assert why in first
    assert second == "meshcluster: no worker can be had"
    there = why.startswith(("Attribute", "Type"))
    module = name.partition(":")[0]
    assert hint == ([] if there else [f"  -> does python3 -c 'import {module}' work here?"])


# --- members -----------------------------------------------------------------------------------


@pytest.mark.process
def test_members_do_it_with_what_they_expose(mesh, command) -> None:
    done = command("work", "--resolve", "compute", "square", given=b"2\n3")
    assert done == (0, "4\n9\n", "")
    done = command("work", "-r", "compute", "--json", "square", given=b"2")
    assert done.document == {"line": 1, "item": 2, "result": 4, "server": "one", "attempts": 1}


@pytest.mark.process
def test_what_a_member_raises_is_told_as_elsewhere(mesh, command) -> None:
    done = command("work", "-r", "one", "square", given=b'"x"\n2\n')
    assert (done.code, done.out) == (1, "4\n")
    assert done.err.startswith("line 1: TypeError: can't multiply sequence")


@pytest.mark.process
def test_members_that_are_not_there_or_do_not_expose_it_are_exit_code_4(mesh, command) -> None:
    done = command("work", "-r", "two", "square", given=b"2")
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("meshcluster: square: nobody among ")
    done = command("work", "-r", "one", "sqare", given=b"2")
    assert done.err.endswith("one: it does not expose sqare; there are square\n")
    done = command("work", "-r", "three", "--timeout", "0.5", "square", given=b"2")
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("meshcluster: nobody has 'three' in cluster 'default' on this host")


# --- its end -----------------------------------------------------------------------------------


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.process
@pytest.mark.parametrize("where", ["here", "there"])
@pytest.mark.parametrize(
    ("number", "code", "told"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 3, "ended")],
)
def test_told_to_end_it_leaves_no_process(
    jobs, client, start, tmp_path, where, number, code, told
) -> None:
    place = ("--local", "2") if where == "here" else ("--ssh", "w1", "--client", client)
    path, begun = tmp_path / "lines", tmp_path / "never-begun"
    path.write_text(f'"{tmp_path}/never"\n' * 5)
    with path.open() as lines:
        work = start("work", *place, f"{jobs}:wait_for", given=lines)
    while not (begun.exists() and begun.read_text()):
        assert work.process.poll() is None
    pid = int(begun.read_text())
    children = psutil.Process(work.process.pid).children(recursive=True)
    assert pid in [each.pid for each in children]
    assert work.end(number) == code
    assert work.rest() == []
    assert work.err.startswith(f"{told}: 0 lines in ")
    _, left = psutil.wait_procs(children, timeout=WAIT_SECONDS)
    assert [each for each in left if is_alive(each.pid)] == []


@pytest.mark.process
def test_ctrl_c_while_nobody_types_ends_it(jobs, terminal) -> None:
    screen = terminal("work", "--local", "1", f"{jobs}:double")
    screen.until("lines from the terminal; Ctrl-D ends them\n")
    screen.press(b"\x03")
    done = screen.done()
    assert (done.code, "Traceback" in done.out) == (130, False)


@pytest.mark.process
def test_an_input_that_cannot_be_read_is_exit_code_1(jobs, start, tmp_path) -> None:
    with (tmp_path / "written").open("w") as file:
        work = start("work", "--local", "1", f"{jobs}:double", given=file)
    assert (work.wait(), work.rest()) == (1, [])
    assert work.err == "meshcluster: [Errno 9] Bad file descriptor"


def test_this_directory_is_looked_at_first(jobs, tmp_path) -> None:
    write(tmp_path, {"wave": ""})  # Python has one
    assert own_module("wave:open") == ["wave"]
    assert sys.path[0] == str(tmp_path)
