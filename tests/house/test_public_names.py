"""Each package says in one place what it offers: `__init__.py` re-exports and nothing else."""

import ast
import importlib


def inits(package):
    return [source for source in package if source.path.name == "__init__.py"]


def bound_names(tree):
    """The public names that the imports of a file bind."""
    names = set()
    for node in imports(tree):
        names.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
    names.discard("TYPE_CHECKING")
    return {name for name in names if not name.startswith("_") or name == "__version__"}


def imports(tree):
    """The imports of a file, also those for type checkers, where names are imported lazily."""
    for node in tree.body:
        inner = node.body if is_for_type_checkers(node) else [node]
        yield from (each for each in inner if isinstance(each, ast.Import | ast.ImportFrom))


def is_for_type_checkers(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def is_allowed(node):
    if isinstance(node, ast.Assign):
        return [ast.unparse(target) for target in node.targets] == ["__all__"]
    if is_for_type_checkers(node):
        return all(map(is_allowed, node.body + node.orelse))
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_text or isinstance(node, ast.Import | ast.ImportFrom)


def test_init_holds_only_imports(package):
    wrong = [
        f"{source.name}:{node.lineno}"
        for source in inits(package)
        for node in source.tree.body
        if not is_allowed(node)
    ]
    assert not wrong


def test_all_is_a_sorted_tuple_of_what_is_imported(package):
    for source in inits(package):
        module = importlib.import_module(source.module)
        offered = getattr(module, "__all__", None)
        assert isinstance(offered, tuple), f"{source.name}: __all__ is not a tuple"
        assert list(offered) == sorted(set(offered)), f"{source.name}: __all__ is not sorted"
        assert set(offered) == bound_names(source.tree), f"{source.name}: __all__ and imports"
        missing = [name for name in offered if not hasattr(module, name)]
        assert not missing, f"{source.name} offers what it does not have"
