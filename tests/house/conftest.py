"""The project's files as the house rules see them."""

import ast
import io
import tokenize
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
SILENT = (
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
)


@dataclass(frozen=True)
class Source:
    """One Python file: its place, its text, its tree, its lines of code."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def module(self) -> str:
        return self.name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.name)

    @cached_property
    def code_lines(self) -> set[int]:
        """Numbers of the lines that hold code: no blank line, comment or docstring."""
        lines: set[int] = set()
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type not in SILENT:
                lines.update(range(token.start[0], token.end[0] + 1))
        return lines - self._docstring_lines()

    def _docstring_lines(self) -> set[int]:
        lines: set[int] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
                lines.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
        return lines


def sources(*folders: str) -> list[Source]:
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return [Source(path) for path in sorted(files)]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def package() -> list[Source]:
    """Every file of the package."""
    found = sources("meshcluster")
    assert found, "no package to look at"
    return found


@pytest.fixture(scope="session")
def everything(package) -> list[Source]:
    """Every Python file of the project."""
    return package + sources("tests", "examples", "benchmarks")
