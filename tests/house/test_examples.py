"""Every example that a reader may copy is run: in README.md, in docs/ and in examples/."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 20
FENCE = re.compile(r"^```python(?P<words>[^\n]*)\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.process


def blocks():
    """The fenced blocks, each with its place; `python no-run` keeps one from being run."""
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = page.read_text(encoding="utf-8") if page.is_file() else ""
        for match in FENCE.finditer(text):
            if "no-run" not in match["words"].split():
                line = text.count("\n", 0, match.start()) + 1
                yield pytest.param(match["code"], id=f"{page.relative_to(ROOT)}:{line}")


def scripts():
    for path in sorted((ROOT / "examples").glob("*.py")):
        yield pytest.param(path, id=path.name)


def runs_forever(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(ast.unparse(node) == "RUN_FOREVER = True" for node in tree.body)


def run(path, folder):
    """Runs a script as a reader would; `runtime_dir` keeps it away from other members."""
    return subprocess.run(
        [sys.executable, path],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )


@pytest.mark.parametrize("code", list(blocks()))
def test_block_runs(code, tmp_path):
    script = tmp_path / "block.py"
    script.write_text(code, encoding="utf-8")
    done = run(script, tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", list(scripts()))
def test_script_runs(path, tmp_path):
    if runs_forever(path):
        compile(path.read_text(encoding="utf-8"), str(path), "exec")
        return
    done = run(path, tmp_path)
    assert done.returncode == 0, done.stdout
