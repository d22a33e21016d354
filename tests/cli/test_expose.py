"""``meshcluster expose``: functions of this directory, called until it is told to end."""

import signal
import sys
import types

import click
import pytest

from meshcluster import Cluster, HookRejected
from meshcluster.cli import main as cli
from meshcluster.cli.expose import expose, refuse_unproven, targets, thing_of
from meshcluster.rpc.letters import MAILBOX

SHOP = """
import time

class Till:
    def total(self, price: int, count: int = 1) -> int:
        return price * count

class Key:
    def __init__(self, teeth): ...

def greet(name): return f"hello {name}"

def rest(file):
    open(file, "w").close()
    time.sleep(0.5)
    return "rested"

till = Till()
number = 3
"""


@pytest.fixture
def shop(tmp_path, monkeypatch) -> str:
    """A module in the directory where we are."""
    (tmp_path / "shop_of_tests.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "shop_of_tests"
    sys.modules.pop("shop_of_tests", None)


def found(*given: str) -> list[tuple[str | None, object]]:
    ctx = click.Context(click.Command("expose"))
    return targets(ctx, click.Argument(["things"]), given)


def test_it_finds_functions_objects_and_makes_an_object_of_a_class(shop) -> None:
    greet, total, made = found(f"{shop}:greet", f"sum={shop}:till.total", f"{shop}:Till")
    assert (greet[0], greet[1]("you")) == (None, "hello you")
    assert (total[0], total[1](2, 3)) == ("sum", 6)
    assert type(made[1]).__name__ == "Till"


@pytest.mark.parametrize(("given", "told"), [
    ("nowhere_at_all:x", "no module 'nowhere_at_all' is found"),
    ("shop_of_tests:nope", "shop_of_tests has no 'nope'; it has Till, Key, greet, rest"),
    ("shop_of_tests:Till.nope", "shop_of_tests:Till has no 'nope'; it has total"),
    ("shop_of_tests:number.nope", "shop_of_tests:number has no 'nope'; it has nothing to call"),
    ("shop_of_tests:Key", r"shop_of_tests:Key\(\) fails .*'teeth'.*: expose an object"),
    ("shop_of_tests", "'shop_of_tests' is not MODULE:FUNC or NAME=MODULE:FUNC"),
    ("=shop_of_tests:greet", "is not MODULE:FUNC"),
])  # fmt: skip
def test_what_is_not_there_is_a_wrong_usage_that_says_what_is(shop, given, told) -> None:
    with pytest.raises(click.BadParameter, match=told):
        found(given)


def test_a_module_that_misses_another_one_keeps_its_traceback(shop, tmp_path) -> None:
    (tmp_path / "broken_of_tests.py").write_text("import nowhere_at_all")
    found(f"{shop}:greet")  # the directory is looked at from here on
    with pytest.raises(ModuleNotFoundError, match="nowhere_at_all"):
        thing_of("broken_of_tests", "x")


def test_what_cannot_be_exposed_is_a_wrong_usage(shop, capsys) -> None:
    for arguments, told in (
        ([f"{shop}:greet", f"greet={shop}:till.total"], "'greet' is exposed already"),
        ([f"{shop}:till.total", "--limit", "0"], "from 1 to"),
        ([], "Missing argument"),
    ):
        assert cli.run(["expose", *arguments]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert told in err


def test_it_tells_what_others_see_of_it(shop) -> None:
    things = found(f"{shop}:Till", f"{shop}:greet")
    assert expose(Cluster(), things, limit=2, idempotent=True, in_loop=False) == [
        ("Till.total", ["(price: int, count: int = ...) -> int", "idempotent"]),
        ("greet", ["(name)", "idempotent"]),
    ]


def test_nothing_is_run_for_those_who_have_no_key_of_ours() -> None:
    def message(mailbox: str, *, authenticated: bool):
        service = types.SimpleNamespace(authenticated=authenticated)
        return types.SimpleNamespace(mailbox=mailbox, service=service)

    with pytest.raises(HookRejected, match="--secret-file"):
        refuse_unproven(message(MAILBOX, authenticated=False))
    refuse_unproven(message(MAILBOX, authenticated=True))
    refuse_unproven(message("another", authenticated=False))


@pytest.mark.process
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_told_to_end_it_ends_what_runs(shop, start, tmp_path, number, code) -> None:
    member = start("expose", "--name", "till-1", "--idempotent", f"{shop}:Till", f"{shop}:rest")
    assert (
        member.line("Till.total") == "Till.total\t(price: int, count: int = ...) -> int\tidempotent"
    )
    assert member.line("rest") == "rest\t(file)\tidempotent"
    call = start("call", "rest", str(tmp_path / "begun"))
    while not (tmp_path / "begun").exists():
        assert call.process.poll() is None
    assert member.end(number) == code
    assert (call.wait(), call.rest()) == (0, ["rested"])
    assert member.err == call.err == ""
