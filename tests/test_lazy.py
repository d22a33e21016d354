"""Public names are imported when they are asked for; nobody need notice."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import meshcluster
from meshcluster import lazy


def test_its_table_says_what_type_checkers_are_told() -> None:
    tree = ast.parse(Path(meshcluster.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    told = {node.module: tuple(alias.name for alias in node.names) for node in block.body}
    assert told == lazy.HOMES


def test_every_public_name_can_be_had() -> None:
    for name in meshcluster.__all__:
        assert getattr(meshcluster, name) is not None
    assert set(meshcluster.__all__) <= set(dir(meshcluster))


def test_modules_of_the_package_can_be_had_without_importing_them() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import meshcluster; print(meshcluster.config.DEFAULT_PORT)"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert int(done.stdout) > 0


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'clutser'"):
        _ = meshcluster.clutser
    assert not hasattr(meshcluster, "_secret")


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = {"asyncio", "msgspec", "cryptography"}
    code = f"import sys, meshcluster; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
