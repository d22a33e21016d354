"""Sums up test reports: summary.py FOLDER [FAILED STEP ...]; fails when anything failed.

FOLDER holds one junit file for each Python. A failed step that runs no tests counts as one more.
"""

import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree


def outcome(case: ElementTree.Element) -> str:
    tags = {child.tag for child in case}
    return "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"


def place(case: ElementTree.Element) -> str:
    return f"{case.get('classname')}::{case.get('name')}"


def reason(skip: ElementTree.Element) -> str:
    expected = "expected to fail " if skip.get("type") == "pytest.xfail" else ""
    return (expected + skip.get("message", "")).strip()


def report(path: Path) -> Counter[str]:
    """Prints one Python's results: the counts, the reasons for skips, the names of failures."""
    # A test that fails and then fails again while it is torn down is listed twice.
    worst: dict[str, str] = {}
    reasons: Counter[str] = Counter()
    for case in ElementTree.parse(path).iter("testcase"):
        result = outcome(case)
        if worst.get(place(case)) != "failed":
            worst[place(case)] = result
        reasons.update(reason(child) for child in case if child.tag == "skipped")
    counts = Counter(worst.values())
    print(
        f"Python {path.stem}: {counts['passed'] + counts['failed']} ran, "
        f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped"
    )
    for why, number in sorted(reasons.items()):
        print(f"  skipped {number}: {why}")
    for name in sorted(name for name, result in worst.items() if result == "failed"):
        print(f"  failed: {name}")
    return counts


def main(folder: str, *steps: str) -> int:
    total: Counter[str] = Counter()
    for path in sorted(Path(folder).glob("*.xml")):
        total += report(path)
    for step in steps:
        print(f"step failed: {step}")
    others = [step for step in steps if not step.startswith("pytest")]
    failed = total["failed"] + len(others) or len(steps)
    print(f"{total['passed']} passed, {failed} failed, {total['skipped']} skipped")
    return 1 if failed or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
