"""Runs as they may have been."""

from meshcluster.jobs.outcomes import Failure, Outcome, Pair, RunResult

TRACEBACK = """Traceback (most recent call last):
  File "deploy.py", line 12, in restart
    check(port)
ValueError: port 80 is taken
"""


def run(*outcomes, jobs=("deploy", "test"), **settings):
    """A run of these outcomes, which took until the last of them ended."""
    ends = [each.ended for each in outcomes if each.ended is not None]
    known = {"schedule": "site-sequential", "began": 1.8e9, "seconds": max(ends, default=0.0)}
    return RunResult("b1-1", "b1", 1, jobs=jobs, outcomes=list(outcomes), **(known | settings))


def outcome(job, site, status="ok", began=None, ended=None, position=0, **settings):
    pair = Pair(position, job, site)
    id = f"b1-1-{position}" if began is not None else ""
    return Outcome(pair, status, began=began, ended=ended, id=id, **settings)


def deployment():
    """Three sites, five jobs; one fails on one of them, and what follows there is not begun."""
    jobs = ("stop", "copy", "migrate", "start", "check")
    times = {"stop": 0.6, "copy": 2.3, "migrate": 1.4, "start": 0.9, "check": 0.5}
    outcomes = []
    for place, site in enumerate(("lion", "cheetah", "puma")):
        now, bad = 0.0, ""
        for position, job in enumerate(jobs):
            if bad:
                outcomes.append(
                    outcome(job, site, "skipped", position=position, reason=f"{bad} failed")
                )
                continue
            then = now + times[job] * (1 + 0.2 * place)
            if site == "puma" and job == "migrate":
                failure = Failure(1, "ValueError", "port 80 is taken", TRACEBACK)
                bad = job
                outcomes.append(
                    outcome(job, site, "failed", now, then, position,
                            reason="ValueError: port 80 is taken", failures=(failure,))
                )  # fmt: skip
            else:
                outcomes.append(outcome(job, site, "ok", now, then, position))
            now = then
    return run(*outcomes, jobs=jobs)


def crowd(many, *, bad=(), status="failed", reason="exit status 1"):
    """Many sites of one job, one after the other; ``bad``: numbers of those that are not ok."""
    return run(
        *(
            outcome("test", f"web{n}", status, n, n + 0.75, reason=reason)
            if n in bad
            else outcome("test", f"web{n}", "ok", n, n + 0.9)
            for n in range(many)
        ),
        jobs=("test",),
    )
