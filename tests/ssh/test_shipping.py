"""What a worker is sent: our own modules and the users', whole; what cannot be sent is named."""

import json
import sys

import pytest

from meshcluster.errors import ConfigError
from meshcluster.ssh.shipping import OURS, PACKAGE, shipment, sources_of


@pytest.fixture
def written(tmp_path, monkeypatch):
    """``written({"package/module.py": "text"})`` are files that can be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def written(files):
        for name, text in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text if isinstance(text, bytes) else text.encode())

    yield written
    for name in set(sys.modules) - before:
        del sys.modules[name]


def told(*args, **named):
    """A shipment, read as a worker reads it."""
    data = shipment(*args, **named)
    length, _, rest = data.partition(b"\n")
    boot, rest = rest[: int(length)], rest[int(length) :]
    assert b"def boot()" in boot
    length, _, rest = rest.partition(b"\n")
    assert len(rest) == int(length)
    return json.loads(rest)


def test_our_own_modules_are_sent_under_another_name_than_ours():
    sources = told()["sources"]
    assert sorted(sources) == sorted([PACKAGE, *(f"{PACKAGE}.{name}" for name in OURS)])
    assert sources[PACKAGE][0] is True
    assert sources[f"{PACKAGE}.worker"][0] is False
    assert not [name for name, (_, text) in sources.items() if "import meshcluster" in text]


def test_what_else_a_worker_is_told():
    found = told(callback="a:b", setup="c:d", path=["/x", "/y"])
    found.pop("sources")
    assert found == {
        "package": PACKAGE, "path": ["/x", "/y"], "pickle": False,
        "callback": "a:b", "setup": "c:d",
    }  # fmt: skip


def test_a_module_is_sent_as_its_text(written):
    written({"one_module.py": "value = 'ä'\n"})
    assert sources_of("one_module") == {"one_module": (False, "value = 'ä'\n")}
    assert told(["one_module"])["sources"]["one_module"] == [False, "value = 'ä'\n"]


def test_a_package_is_sent_with_all_that_is_in_it(written):
    written(
        {
            "a_package/__init__.py": "top",
            "a_package/module.py": "module",
            "a_package/deep/__init__.py": "deep",
            "a_package/deep/deeper/__init__.py": "deeper",
            "a_package/deep/deeper/last.py": "last",
            "a_package/data.txt": "no source",
        }
    )
    # Nothing of it is run: it is no Python at all.
    assert sources_of("a_package") == {
        "a_package": (True, "top"),
        "a_package.module": (False, "module"),
        "a_package.deep": (True, "deep"),
        "a_package.deep.deeper": (True, "deeper"),
        "a_package.deep.deeper.last": (False, "last"),
    }


def test_a_module_of_a_package_takes_what_it_is_in_along(written):
    written({"b_package/__init__.py": "x = 1", "b_package/one.py": "1", "b_package/two.py": "2"})
    assert sources_of("b_package.one") == {
        "b_package": (True, "x = 1"),
        "b_package.one": (False, "1"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "# coding: latin-1\nname = 'ä'\n".encode("latin-1"),
        b"\xef\xbb\xbfname = '\xc3\xa4'\n",
        b"name = '\xc3\xa4'\r\n",
    ],
    ids=["latin-1", "with a mark", "lines of Windows"],
)
def test_a_source_is_read_as_python_reads_it(written, text):
    written({"encoded.py": text, "holder/__init__.py": "", "holder/encoded.py": text})
    for name in ("encoded", "holder.encoded"):
        space = {}
        exec(compile(sources_of(name)[name][1], "sent", "exec"), space)
        assert space["name"] == "ä"
    assert "holder.encoded" in sources_of("holder")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("no_such_module_here", "there is no module 'no_such_module_here'"),
        ("no_such_package.module", "there is no module 'no_such_package'"),
        ("json.no_such_module", "there is no module 'json.no_such_module'"),
        ("json.decoder.deeper", "cannot be"),
        ("sys", "'sys' is not one file of Python"),
        ("", "cannot be found"),
        (".relative", "cannot be found"),
        ("two..dots", "there is no module 'two.'|cannot be found|there is no module 'two'"),
        ("no\0name", "no module|cannot be found"),
    ],
)
def test_what_cannot_be_sent_is_named(name, why):
    with pytest.raises(ConfigError, match=f"^modules: .*({why})"):
        shipment([name])


def test_a_package_without_an_init_is_no_file_that_could_be_sent(written):
    written({"spread/module.py": ""})
    with pytest.raises(ConfigError, match="'spread' is not one file of Python"):
        sources_of("spread")


def test_a_package_that_fails_as_it_is_imported_is_named(written):
    written({"broken_package/__init__.py": "1 / 0", "broken_package/module.py": ""})
    with pytest.raises(ConfigError, match=r"'broken_package\.module' cannot be found: division"):
        sources_of("broken_package.module")


def test_a_source_that_cannot_be_read_is_named(written):
    written({"no_text.py": b"x = '\xff'"})
    with pytest.raises(ConfigError, match="'no_text'"):
        sources_of("no_text")


def test_pickle_takes_its_module_along():
    pytest.importorskip("cloudpickle")
    found = told(pickle=True)
    assert found["pickle"] is True
    assert "cloudpickle.cloudpickle" in found["sources"]
