"""What ``meshcluster doctor`` says on a host."""

import json

from .host import Host


def examine(host: Host, *options: str) -> dict[tuple[str, str], dict[str, str]]:
    """The checks that ``doctor --json`` makes, by what and of what; its exit code is right."""
    done = host.meshcluster("doctor", "--json", *options)
    assert done.stdout, done.stderr
    document = json.loads(done.stdout)
    broken = [each for each in document["checks"] if each["state"] == "broken"]
    assert document["broken"] == len(broken)
    assert done.returncode == (1 if broken else 0)
    assert all(each["next"] for each in broken)
    return {(each["check"], each["of"]): each for each in document["checks"]}


def broken(checks: dict[tuple[str, str], dict[str, str]]) -> list[tuple[str, str]]:
    """Those that are broken."""
    return sorted(key for key, each in checks.items() if each["state"] == "broken")
