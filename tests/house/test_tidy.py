"""Sizes, leftovers and banned words; see CONTRIBUTING.md."""

import ast
import re
import tomllib

FILE_LINES, FUNCTION_LINES, COLUMNS = 400, 60, 100
PRINTS = (
    "meshcluster/cli/",
    "meshcluster/testing/",
    "meshcluster/__main__.py",
    "meshcluster/ssh/far/",  # a worker's last words go by its standard error to who started it
)
LEFTOVERS = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3]) + r")\b")
VAGUE_NAMES = {"utils", "helpers", "common", "misc", "manager"}
UNSAFE_MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
UNSAFE_ALLOWED = {
    "meshcluster/ssh/far/pickling.py": "for who says unsafe_pickle=True; docs/security.md",
}
UNSAFE_CALLS = {"eval", "exec"}
CALLS_ALLOWED = {"meshcluster/__main__.py": "of nothing, for Python to forget an interrupt"}


def calls(source):
    """Every call by a plain name: (name, line)."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, node.lineno


def imported_modules(source):
    """Every module or name that a file imports, with dots, however deep in the file."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = absolute(source, node)
            yield start
            yield from (f"{start}.{alias.name}" for alias in node.names)


def absolute(source, node):
    if not node.level:
        return node.module
    parts = source.module.split(".")
    is_package = source.path.name == "__init__.py"
    base = parts[: len(parts) - node.level + is_package]
    return ".".join([*base, node.module] if node.module else base)


def mentioned_modules(source):
    """Modules that a file names in texts, as a table of built-ins does."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"^meshcluster(?:\.\w+)+", node.value)


def entry_points(root):
    """Modules that are started or read from outside: scripts, plug-ins, `python -m`."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["scripts"], *project.get("entry-points", {}).values()]
    yield from (target.split(":")[0] for group in groups for target in group.values())
    yield from re.findall(r"-m (meshcluster[.\w]+)", (root / "Makefile").read_text("utf-8"))
    yield from ("meshcluster.__main__", "meshcluster.version")  # `python -m`; the build
    yield "meshcluster.ssh.far.boot"  # sent as text: `shipping`


def test_files_are_short(package):
    lengths = {source.name: len(source.code_lines) for source in package}
    assert {name: length for name, length in lengths.items() if length > FILE_LINES} == {}


def test_functions_are_short(package):
    long = {}
    for source in package:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = len(source.code_lines & set(range(node.lineno, node.end_lineno + 1)))
                if length > FUNCTION_LINES:
                    long[f"{source.name}:{node.lineno} {node.name}"] = length
    assert long == {}


def test_lines_fit(everything):
    wide = [
        f"{source.name}:{number}"
        for source in everything
        for number, line in enumerate(source.text.splitlines(), 1)
        if len(line) > COLUMNS
    ]
    assert not wide


def test_nothing_is_left_for_later(everything):
    left = [
        f"{source.name}:{number}"
        for source in everything
        for number, line in enumerate(source.text.splitlines(), 1)
        if LEFTOVERS.search(line)
    ]
    assert not left


def test_nothing_prints(package):
    quiet = [source for source in package if not source.name.startswith(PRINTS)]
    assert not [f"{s.name}:{line}" for s in quiet for name, line in calls(s) if name == "print"]


def test_nothing_unsafe_is_used(package):
    for source in package:
        roots = {module.split(".")[0] for module in imported_modules(source)}
        assert source.name in UNSAFE_ALLOWED or not roots & UNSAFE_MODULES, source.name
        called = {name for name, _ in calls(source)}
        assert source.name in CALLS_ALLOWED or not called & UNSAFE_CALLS, source.name


def test_files_have_names_that_say_something(everything):
    parts = {source.name: set(source.module.split(".")) for source in everything}
    assert not [name for name, words in parts.items() if words & VAGUE_NAMES]


def test_every_module_is_used(package, everything, root):
    """By another module, as an entry point, or, for the public test kit, by a test."""
    used = set(entry_points(root))
    for source in everything:
        found = {*imported_modules(source), *mentioned_modules(source)} - {source.module}
        if source not in package:
            found = {name for name in found if name.startswith("meshcluster.testing")}
        used |= found
    modules = {source.module for source in package if source.path.name != "__init__.py"}
    assert sorted(modules - used) == []
