"""A worker begins where nothing is installed, with what it is sent and nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from meshcluster.ssh.far import boot as boot_module
from meshcluster.ssh.far import framing
from meshcluster.ssh.far.boot import Sources
from meshcluster.ssh.server import BOOT
from meshcluster.ssh.shipping import OURS, shipment

FAR = Path(boot_module.__file__).parent
ALONE = ("-I", "-S")  # without the user's and installed packages


# --- modules that were sent ---------------------------------------------------------------------


@pytest.fixture
def found(monkeypatch):
    """``found({"name": (is_package, text)})`` are modules that can be imported now."""

    def found(modules):
        monkeypatch.setattr(sys, "meta_path", [Sources(modules), *sys.meta_path])
        for name in modules:
            monkeypatch.delitem(sys.modules, name, raising=False)
        return Sources(modules)

    before = set(sys.modules)
    yield found
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_modules_and_packages_are_imported(found):
    found(
        {
            "sent_package": (True, "from .inside import value"),
            "sent_package.inside": (False, "from sent_single import value"),
            "sent_single": (False, "value = 5"),
        }
    )
    import sent_package

    assert sent_package.value == 5
    assert sent_package.inside.__package__ == "sent_package"


def test_what_was_not_sent_is_looked_for_elsewhere(found):
    sources = found({"sent_package": (True, "")})
    assert sources.find_spec("sent_package.missing") is None
    assert sources.find_spec("json") is None
    with pytest.raises(ModuleNotFoundError, match=r"sent_package\.missing"):
        __import__("sent_package.missing")


def test_what_was_sent_comes_before_what_is_installed(found, monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    found({"colorsys": (False, "mine = True")})
    import colorsys

    assert colorsys.mine


def test_it_is_told_what_it_has(found):
    sources = found({"sent_package": (True, "text")})
    assert sources.is_package("sent_package")
    assert sources.get_source("sent_package") == "text"
    spec = sources.find_spec("sent_package")
    assert spec.origin == "<sent>/sent_package.py"


# --- a worker's first moments -------------------------------------------------------------------


def begun(python, first, *flags):
    """Has it boot with this, and then end; status, what it said, its standard error."""
    done = subprocess.run(
        [python, *flags, "-c", BOOT], input=first, capture_output=True, timeout=60
    )
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.mark.process
def test_it_needs_nothing_but_python(python):
    status, said, stderr = begun(python, shipment(), *ALONE)
    assert (status, stderr) == (0, "")
    assert said.startswith(framing.HELLO + b" 1 ")
    assert json.loads(said.partition(b"\n")[2])["pid"] > 0


@pytest.mark.process
def test_all_that_is_sent_compiles_and_is_imported_there(python):
    check = "import sys; sys.path.insert(0, {!r}); import far.{}".format
    for name in (*OURS, "boot"):
        done = subprocess.run(
            [python, *ALONE, "-B", "-W", "error", "-c", check(str(FAR.parent), name)],
            capture_output=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, b""), name


def test_all_that_it_imports_is_sent():
    files = {path.stem for path in FAR.glob("*.py")} - {"__init__", "boot"}
    assert files == set(OURS)


@pytest.mark.process
@pytest.mark.parametrize("version", ["3.6", "3.7"])
def test_a_python_that_is_too_old_is_told_of_in_a_sentence(version):
    from_home = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    if not from_home:
        pytest.skip(f"there is no Python {version} here")
    status, said, stderr = begun(str(from_home[0]), shipment())
    assert (status, said) == (1, b"")
    assert stderr.startswith(f"meshcluster worker: Python {version}")
    assert stderr.endswith("3.8 or later\n")


@pytest.mark.process
def test_its_path_comes_first(python, tmp_path):
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "placed.py").write_text(f"print({folder!r})\ndef call(v): pass")
    path = [str(tmp_path / "one"), str(tmp_path / "other")]
    status, said, stderr = begun(python, shipment(path=path, callback="placed:call"))
    assert status == 0
    assert "one" in stderr + said.decode()
    assert "other" not in stderr + said.decode()


@pytest.mark.process
def test_with_pickle_it_has_that_serializer(opened):
    pytest.importorskip("cloudpickle")
    far = opened([sys.executable, "-c", BOOT], shipment(pickle=True))
    assert far.hello()["serializer"] == "pickle"


@pytest.mark.process
@pytest.mark.parametrize("end", [0, 1, 100, -10])
def test_a_shipment_that_is_cut_off_begins_nothing(end):
    status, said, stderr = begun(sys.executable, shipment()[:end])
    assert (status, said) == (1, b"")
    assert stderr


@pytest.mark.process
def test_the_environment_is_the_users_own(opened):
    far = opened([sys.executable, "-c", BOOT], shipment(), env={**os.environ, "MARK": "5"})
    far.hello()
    far.run(1, "os:getenv", "MARK")
    assert far.result(1) == "5"
