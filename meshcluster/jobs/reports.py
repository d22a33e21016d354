"""A run as other programs read it: JSON, and the XML of JUnit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

from ..lettering import harmless
from .outcomes import STATUSES, Failure, Outcome, Pair, RunResult
from .reading import Reading

VERSION = 1
"""Of what ``as_dict`` makes: it grows when a reader of before would misunderstand it."""

LATEST = 253402300799.0
"""The last second of the year 9999, beyond which there is no date."""


def as_dict(result: RunResult) -> dict[str, Any]:
    """All of a run but ``shared``, as JSON can have it; ``from_dict`` reads it. The order of the
    keys is always the same.
    """
    return {
        "version": VERSION,
        "id": result.id,
        "batch": result.batch,
        "index": result.index,
        "schedule": result.schedule,
        "jobs": list(result.jobs),
        "ok": result.ok,
        "interrupted": result.interrupted,
        "began": result.began,
        "seconds": result.seconds,
        "counts": {status: len(result.having(status)) for status in STATUSES},
        "ignored": list(result.ignored),
        "warnings": list(result.warnings),
        "resolved": [
            {"position": position, "job": job, "sites": list(sites)}
            for (position, job), sites in sorted(result.resolved.items())
        ],
        "outcomes": [_outcome(each) for each in result.outcomes],
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "position": outcome.pair.position,
        "job": outcome.job,
        "site": outcome.site,
        "status": outcome.status,
        "reason": outcome.reason,
        "began": outcome.began,
        "ended": outcome.ended,
        "seconds": outcome.seconds,
        "id": outcome.id,
        "failures": [failure._asdict() for failure in outcome.failures],
    }


def as_json(result: RunResult) -> str:
    """``as_dict`` as text of ASCII alone, indented, with a line end."""
    return json.dumps(as_dict(result), indent=2) + "\n"


def from_dict(mapping: Mapping[str, Any]) -> RunResult:
    """The run that ``as_dict`` was given, without ``shared``. Keys that are not known are passed
    over; "ok", "counts" and "seconds" of outcomes are not read, since they follow from the others.

    Raises:
        ConfigError: it is none; the text says where, and what should be there.
    """
    run = Reading(mapping, "")
    if run.whole("version", 1) > VERSION:
        raise run.wrong("version", f"{VERSION}: it was written by a later version of this program")
    return RunResult(
        id=run.text("id"),
        batch=run.text("batch"),
        index=run.whole("index", 1),
        schedule=run.text("schedule"),
        jobs=run.texts("jobs"),
        outcomes=[_outcome_of(each) for each in run.mappings("outcomes")],
        resolved={
            (each.whole("position"), each.text("job")): each.texts("sites")
            for each in run.mappings("resolved")
        },
        ignored=run.texts("ignored"),
        warnings=run.texts("warnings"),
        began=run.seconds("began"),
        seconds=run.seconds("seconds"),
        interrupted=run.flag("interrupted"),
    )


def _outcome_of(reading: Reading) -> Outcome:
    failures = tuple(
        Failure(
            each.whole("fragment", 1), each.text("kind"), each.text("text"),
            each.text("traceback"), each.status_or_none("returncode"),
        )
        for each in reading.mappings("failures")
    )  # fmt: skip
    return Outcome(
        pair=Pair(reading.whole("position"), reading.text("job"), reading.text("site")),
        status=reading.one_of("status", STATUSES),
        reason=reading.text("reason"),
        failures=failures,
        began=reading.seconds_or_none("began"),
        ended=reading.seconds_or_none("ended"),
        id=reading.text("id"),
    )


def as_junit(result: RunResult) -> str:
    """The XML of JUnit: a ``testsuite`` for each job, also for one that matched no site, a
    ``testcase`` for each site. A job that failed is a ``failure``; one that was lost, or whose site
    could not be reached, is an ``error``; times are UTC. Characters that XML cannot have are
    written out.
    """
    root = ElementTree.Element("testsuites", {"name": _xml(result.id)} | _tally(result.outcomes))
    root.set("time", _seconds(result.seconds))
    root.set("timestamp", _timestamp(result.began))
    suites: dict[tuple[int, str], list[Outcome]] = {key: [] for key in result.resolved}
    for each in result.outcomes:
        suites.setdefault(each.pair[:2], []).append(each)
    seen: dict[str, int] = {}
    for (_, job), outcomes in sorted(suites.items()):
        seen[job] = seen.get(job, 0) + 1
        again = f" ({seen[job]})" if seen[job] > 1 else ""  # a job that is listed twice
        _suite(root, _xml(job) + again, outcomes, result)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n"


def _suite(
    root: ElementTree.Element, name: str, outcomes: Sequence[Outcome], result: RunResult
) -> None:
    began = min((each.began for each in outcomes if each.began is not None), default=0.0)
    ended = max((each.ended for each in outcomes if each.ended is not None), default=began)
    suite = ElementTree.SubElement(root, "testsuite", {"name": name} | _tally(outcomes))
    suite.set("time", _seconds(ended - began))
    suite.set("timestamp", _timestamp(result.began + began))
    known = [("run", result.id), ("batch", result.batch), ("schedule", result.schedule)]
    known += [("interrupted", "true")] if result.interrupted else []
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in (*known, *(("warning", warning) for warning in result.warnings)):
        ElementTree.SubElement(properties, "property", name=key, value=_xml(value))
    for each in outcomes:
        _case(suite, name, each)


def _case(suite: ElementTree.Element, name: str, outcome: Outcome) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=name, name=_xml(outcome.site))
    case.set("time", _seconds(outcome.seconds))
    reason = _xml(outcome.reason)
    if outcome.status == "skipped":
        ElementTree.SubElement(case, "skipped", message=reason)
    elif outcome.status != "ok":
        tag = "failure" if outcome.status == "failed" else "error"
        kind = outcome.failures[0].kind if outcome.failures else outcome.status
        said = ElementTree.SubElement(case, tag, message=reason, type=_xml(kind))
        said.text = "\n".join(_told(outcome, failure) for failure in outcome.failures)


def _told(outcome: Outcome, failure: Failure) -> str:
    """What the message has not said already."""
    head = f"action {failure.fragment}: {failure.kind}: {failure.text}\n"
    head = "" if outcome.says(failure) else head
    return _xml(f"{head}{failure.traceback}".rstrip("\n"))


def _tally(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """The counts that JUnit has, as attributes."""
    had = [each.status for each in outcomes]
    counts = {
        "tests": len(had),
        "failures": had.count("failed"),
        "errors": had.count("lost") + had.count("unreachable"),
        "skipped": had.count("skipped"),
    }
    return {name: f"{count}" for name, count in counts.items()}


def _xml(text: str) -> str:
    return harmless(text, keep="\n\t")


def _seconds(seconds: float) -> str:
    return f"{max(seconds, 0.0):.3f}"


def _timestamp(since_1970: float) -> str:
    known = min(max(since_1970, 0.0), LATEST)
    moment = datetime.fromtimestamp(0, UTC) + timedelta(seconds=int(known))
    return moment.isoformat()
