"""Who looks for the promises of a module finds them in the same place under tests/."""

LIMIT_LINES = 30
WITHOUT_TEST = {
    "meshcluster/announcers/base.py": "an interface: tests/contracts/test_announcers.py keeps it",
    "meshcluster/cli/demo_member.py": "run as three processes by tests/cli/test_demo.py",
    "meshcluster/node/effects.py": "values only: tests/node/test_node.py sees each come out",
    "meshcluster/protocols/base.py": "interfaces: tests/contracts/test_handlers.py keeps them",
}


def mirror_of(source, root):
    folder = source.path.parent.relative_to(root / "meshcluster")
    return root / "tests" / folder / f"test_{source.path.name}"


def test_each_module_has_its_test_file(package, root):
    missing = [
        f"{source.name} wants {mirror_of(source, root).relative_to(root)}"
        for source in package
        if source.path.name != "__init__.py"
        and len(source.code_lines) > LIMIT_LINES
        and source.name not in WITHOUT_TEST
        and not mirror_of(source, root).is_file()
    ]
    assert not missing


def test_no_exception_outlives_its_module(root):
    assert [name for name in WITHOUT_TEST if not (root / name).is_file()] == []
