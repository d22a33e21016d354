"""The example package is installed, found by its entry point, and keeps the contract."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "examples" / "protocol_package"

pytestmark = pytest.mark.process


def run(*arguments, **environment):
    ran = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    return ran.returncode, ran.stdout + ran.stderr


@pytest.fixture
def installed(tmp_path):
    """Where pip has put it, without a network."""
    code, said = run(
        "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "--quiet",
        "--disable-pip-version-check", "--target", tmp_path / "site", PACKAGE,
    )  # fmt: skip
    if code and ("No module named pip" in said or "hatchling" in said):
        lay_out(tmp_path / "site")
    else:
        assert code == 0, said
    return tmp_path / "site"


def lay_out(site):
    """What pip does, where there is nothing to build with: the files, and what names them."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    (folder,) = project["entry-points"]["meshcluster.protocols"].values()
    folder = folder.partition(":")[0]
    shutil.copytree(PACKAGE / folder, site / folder)
    info = site / f"{folder}-{project['version']}.dist-info"
    info.mkdir()
    name, version = project["name"], project["version"]
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    points = [
        f"[{group}]\n" + "".join(f"{scheme} = {target}\n" for scheme, target in named.items())
        for group, named in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(points))


def path_with(folder):
    return os.pathsep.join([str(folder), str(PACKAGE.parents[1])])


def test_two_members_talk_and_are_found_by_what_was_installed(installed, own_mesh):
    program = (
        "import meshcluster, os, pathlib, threading\n"
        "shelf = pathlib.Path(os.environ['MESHCLUSTER_RUNTIME_DIR'], 'shelf')\n"
        "join = lambda tag: meshcluster.join([tag], protocols=['paced'], announcers=['shelf'])\n"
        "with join('one') as one, join('other') as other:\n"
        "    heard = threading.Event()\n"
        "    other.hook('event')(lambda event: (print(event.data, event.protocol), heard.set()))\n"
        "    one.wait_for_services()\n"
        "    one.send('hello', resolve='other')\n"
        "    assert heard.wait(20)\n"
        "    ids = sorted(path.stem for path in shelf.glob('*/*.json'))\n"
        "    print(ids == sorted(each.wait_for_services()[0].id for each in (one, other)))\n"
        "print(list(shelf.glob('*/*')))\n"
    )
    said = "hello paced\nTrue\n[]\n"
    assert run("-c", program, PYTHONPATH=path_with(installed)) == (0, said)


def test_it_keeps_the_contract(installed, tmp_path):
    code, said = run(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, "-c", os.devnull,
        "-o", "asyncio_mode=auto", PACKAGE / "test_paced.py",
        PYTHONPATH=path_with(installed), PYTHONDONTWRITEBYTECODE="1", PYTEST_ADDOPTS="",
    )  # fmt: skip
    assert code == 0, said
    assert " passed" in said
