"""What packages offer under names; each kind has a registry of its own besides."""

import os
import subprocess
import sys
import zipfile

import pytest

from meshcluster.errors import PluginError
from meshcluster.plugins import Plugins

GROUP = "meshcluster.tests"


def plugins(**built_in):
    return Plugins("thing", GROUP, built_in)


def test_ours_are_named_first_and_those_of_others_after_them(install):
    install("spare_package", GROUP, "alpha", "spare_package:value", "value = 7")
    found = plugins(zeta="json:loads")
    assert (found.names, found.others) == (("zeta", "alpha"), ("alpha",))
    assert (found.load("alpha"), found.load("zeta").__name__) == (7, "loads")


def test_where_nothing_is_offered_the_error_says_so():
    with pytest.raises(PluginError, match="no thing 'x' here: there are none"):
        plugins().target("x")


def test_a_name_claimed_twice_names_both_packages(install):
    install("one_package", GROUP, "echo", "one_package:value")
    install("other_package", GROUP, "echo", "elsewhere:value")
    with pytest.raises(PluginError, match=r"one_package \(one.*\) and other_package \(elsewhere:v"):
        plugins().target("echo")


def test_a_name_of_our_own_that_a_package_claims_names_it(install):
    install("evil_package", GROUP, "tidy", "evil_package:value")
    with pytest.raises(PluginError, match=r"meshcluster itself \(json:loads\) and evil_package"):
        plugins(tidy="json:loads").load("tidy")


BROKEN = {
    "raises_package": "1 / 0",
    "imports_package": "import nothing_like_this",
    "lacks_package": "other = 1",
}


@pytest.mark.parametrize("package", BROKEN)
def test_whatever_an_import_raises_is_one_error_that_names_it(install, package):
    install(package, GROUP, "broken", f"{package}:value", BROKEN[package])
    with pytest.raises(PluginError, match=rf"thing 'broken' \({package}:value\) cannot be loaded"):
        plugins().load("broken")


def alone(program, *places):
    """What a program prints in a process of its own, with these places on its path."""
    path = os.pathsep.join([*map(str, places), *sys.path])
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": path},
    )  # fmt: skip
    return told.stdout.strip()


def test_where_nobody_offers_anything_what_reads_all_packages_is_not_imported():
    program = (
        "import sys; from meshcluster.plugins import Plugins; "
        "print(Plugins('fruit', 'nobody.offers', {}).names, 'importlib.metadata' in sys.modules)"
    )
    assert alone(program) == "() False"


def test_an_archive_on_the_path_is_looked_into(tmp_path):
    archive = tmp_path / "fruit.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("fruit-1.dist-info/METADATA", "Name: fruit\nVersion: 1\n")
        file.writestr("fruit-1.dist-info/entry_points.txt", "[of.fruit]\npear = fruit:pear\n")
    program = (
        "from meshcluster.plugins import Plugins; print(Plugins('fruit', 'of.fruit', {}).names)"
    )
    assert alone(program, archive) == "('pear',)"
