"""``meshcluster call``: the result on stdout, why there is none on stderr and as the exit code."""

import json
import signal
import threading

import click
import pytest

import meshcluster
from meshcluster.cli import main as cli
from meshcluster.cli.call import pairs, values


class Shop:
    def order(self, what: str, count: int = 1) -> str:
        return f"{count}\t{what}"

    def leave(self, reason: str) -> None:
        raise ValueError(reason)

    def lines(self, n: int):
        yield from ({"line": number} for number in range(n))
        raise ValueError("no more")


@pytest.fixture
def mesh(own_mesh):
    """Two members in this process: both give their name, the first has a shop too."""
    with meshcluster.join(["east"], name="one") as one, meshcluster.join(name="two") as two:
        one.expose(Shop())
        one.expose(lambda: "one", name="name", idempotent=True)
        two.expose(lambda: 2, name="name", idempotent=True)
        one.wait_for_exposed("name")
        two.wait_for_exposed("name")
        yield one


@pytest.fixture
def call(capsys):
    """Runs the command here; its exit code, what it wrote and what it complained of."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.run(["call", *arguments])
        return code, *capsys.readouterr()

    return run


def test_arguments_are_json_or_else_text() -> None:
    ctx = click.Context(click.Command("call"))
    given = ("1", '"1"', "one", "[1, {}]", "NaN", "null", "")
    assert values(ctx, click.Argument(["args"]), given) == [1, "1", "one", [1, {}], "NaN", None, ""]
    option = click.Option(["--named"])
    assert pairs(ctx, option, ("a=1", "b=x=y", "c=")) == {"a": 1, "b": "x=y", "c": ""}
    for wrong, told in (("a", "not NAME=VALUE"), ("=1", "not NAME"), ("timeout=1", "by position")):
        with pytest.raises(click.BadParameter, match=told):
            pairs(ctx, option, (wrong,))


def test_the_result_is_a_line(mesh, call) -> None:
    assert call("Shop.order", "tea", "3") == (0, "3\\ttea\n", "")
    assert call("Shop.order", "tea", "--named", "count=2") == (0, "2\\ttea\n", "")
    assert call("name", "--where", "east") == (0, "one\n", "")
    code, out, err = call("name", "-r", "two", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert 0 < found.pop("milliseconds") < 10_000
    assert (len(found.pop("id")), found) == (32, {"function": "name", "name": "two", "result": 2})


def test_of_a_generator_each_item_is_a_line_until_it_raises(mesh, call) -> None:
    code, out, err = call("Shop.lines", "2")
    assert (code, out) == (1, '{"line": 0}\n{"line": 1}\n')
    assert err.startswith("meshcluster: one raised ValueError: no more\n")
    code, out, _ = call("Shop.lines", "2", "--json")
    assert [json.loads(line)["item"] for line in out.splitlines()] == [{"line": 0}, {"line": 1}]


def test_what_it_raised_is_told_and_where(mesh, call) -> None:
    code, out, err = call("Shop.leave", "closed")
    assert (code, out) == (1, "")
    first, second = err.splitlines()
    assert first == "meshcluster: one raised ValueError: closed"
    assert second.startswith("  -> there in File ")
    assert second.endswith(", in leave")


def test_arguments_that_do_not_fit_are_a_wrong_usage(mesh, call) -> None:
    code, out, err = call("Shop.order", "42")
    assert (code, out) == (2, "")
    first, second = err.splitlines()
    assert first.startswith("meshcluster: Shop.order: argument 'what': Expected `str`, got `int`")
    assert second == (
        "  -> each is JSON, or else text; a text that reads as JSON wants quotes: '\"42\"'"
    )
    assert call("Shop.order", '"42"')[:2] == (0, "1\\t42\n")


def test_nobody_who_exposes_it_is_exit_code_4(mesh, call) -> None:
    for arguments, told in (
        (["Shop.odrer"], "did you mean 'Shop.order'? There are: "),
        (["name", "--where", "west"], "none of the 2 that expose it is where=('west',)"),
        (["nothing", "--timeout", "0.2"], "nothing: no result within 0.2 s (from nobody"),
        (["--all", "nothing"], "nothing: nobody exposes it. There are: "),
    ):
        code, out, err = call(*arguments)
        assert (code, out) == (4, "")
        assert told in err
        assert "  -> looked in cluster 'default' on this host" in err


def test_no_result_in_time_is_exit_code_3(mesh, call) -> None:
    over = threading.Event()
    mesh.expose(over.wait, name="wait")
    code, out, err = call("wait", "--timeout", "0.3")
    over.set()
    assert (code, out) == (3, "")
    assert err.splitlines() == [
        "meshcluster: wait: no result within 0.3 s (from one)",
        "  -> it may be done all the same; --timeout waits longer",
    ]


def test_all_of_them_are_rows_and_one_document(mesh, call) -> None:
    code, out, err = call("--all", "name")
    assert (code, sorted(out.splitlines()), err) == (0, ["one\tone", "two\t2"], "")
    code, out, err = call("--all", "Shop.leave", "late", "--json")
    found = json.loads(out)
    assert (code, err) == (1, "one failed: ValueError: late\n")
    ((error,), results) = found["errors"], found["results"]
    assert (error["name"], error["kind"], error["text"]) == ("one", "ValueError", "late")
    assert results == []
    assert call("--all", "Shop.lines", "1")[0] == 2


def test_the_list_has_a_row_for_each_that_members_say_the_same_of(mesh, call) -> None:
    code, out, err = call("--list")
    assert (code, err) == (0, "")
    assert [line.split("\t") for line in out.splitlines()] == [
        ["Shop.leave", "(reason: str) -> None", "", "one"],
        ["Shop.lines", "(n: int)", "stream", "one"],
        ["Shop.order", "(what: str, count: int = ...) -> str", "", "one"],
        ["name", "()", "idempotent", "one two"],
    ]
    with meshcluster.join(name="odd") as odd:
        odd.mailbox("meshcluster.calls", print, offer={"name": [], "\033[2J": ["(\n)"], "x": 1})
        code, out, err = call("--list", "-r", "odd")
    assert (code, out, err) == (0, "\\x1b[2J\t(\\n)\t\todd\nname\t(*args, **kwargs)\t\todd\n", "")
    code, out, _ = call("--list", "--json", "--where", "two")
    (found,) = json.loads(out)
    assert [each["name"] for each in found.pop("members")] == ["two"]
    assert found == {"function": "name", "signature": "()", "traits": ["idempotent"]}


def test_nothing_exposed_or_nobody_there_is_exit_code_4(own_mesh, call) -> None:
    assert call("--list", "--timeout", "0.2")[0] == 4
    with meshcluster.join():
        code, out, err = call("--list")
    assert (code, out) == (4, "")
    assert "nobody exposes anything in cluster 'default'" in err
    assert "meshcluster expose MODULE:FUNC" in err


def test_wrong_usage(call) -> None:
    for arguments in (
        [],
        ["x", "--list"],
        ["x", "--all", "--retries", "1"],
        ["x", "--retries", "y"],
    ):
        assert call(*arguments)[0] == 2


@pytest.mark.process
def test_ctrl_c_gives_it_up_where_it_runs(mesh, start) -> None:
    begun, given_up = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        served = meshcluster.current_call()
        while not served.cancelled:
            given_up.wait(0.01)
        given_up.set()

    mesh.expose(wait)
    caller = start("call", "wait")
    assert begun.wait(20)
    assert caller.end(signal.SIGINT) == 130
    assert given_up.wait(5)
    assert (caller.rest(), caller.err) == ([], "")
