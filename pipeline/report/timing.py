# SPDX-License-Identifier: GPL-2.0-or-later
"""How long each stage took, against what it took before. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from pipeline.memo import by_identity
from pipeline.report.records import History, JobRow

_LAST = 10
# What the ledger says of all stages of a first run says nothing of any of them.
_FIRST = "not done before"


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One stage's bar; `width`, and `mark` where there is a median, are per cent of the longest."""

    stage: str
    result: str
    width: float
    mark: float | None
    words: str
    why: str


def bars(job: JobRow, before: Sequence[History]) -> tuple[Bar, ...]:
    """A bar for each stage that came to be done or looked up; `before` are earlier runs, newest first."""
    rows = [row for row in job.stages if row.result != "skipped"]
    usual = {row.stage: times(job, row.stage, before) for row in rows}
    shown = [row.seconds for row in rows] + [median(found) for found in usual.values() if found]
    longest = max([*shown, 0.001])
    return tuple(
        Bar(
            stage=row.stage,
            result=row.result,
            width=_percent(row.seconds, longest),
            mark=_percent(median(usual[row.stage]), longest) if usual[row.stage] else None,
            why=row.reason if row.result == "ok" and row.reason != _FIRST else "",
            words=", ".join(each for each in (_taken(row.result, row.seconds), _usual(usual[row.stage])) if each),
        )
        for row in rows
    )


def times(job: JobRow, stage: str, before: Sequence[History]) -> list[float]:
    """The last ten times of a stage of the same job, in seconds, newest first; cached and failed ones do not count."""
    found = (
        row.seconds for each in earlier(job, before) for row in each.stages if row.stage == stage and row.result == "ok"
    )
    return [seconds for _, seconds in zip(range(_LAST), found, strict=False)]


def earlier(job: JobRow, before: Sequence[History]) -> Sequence[JobRow]:
    """The same job in earlier runs, in their order."""
    return _by_job(before).get((job.target, job.package), ())


@by_identity(2)  # each stage of each job asks
def _by_job(before: Sequence[History]) -> dict[tuple[str, str], list[JobRow]]:
    jobs: dict[tuple[str, str], list[JobRow]] = {}
    for job in (job for run in before for job in run.run.jobs):
        jobs.setdefault((job.target, job.package), []).append(job)
    return jobs


def seconds(count: float) -> str:
    """A time for people."""
    # The clock may have been set back meanwhile.
    count = max(count, 0.0)
    if count >= 60:
        return f"{int(count) // 60} min {int(count) % 60} s"
    return f"{count:.0f} s" if count >= 10 else f"{count:.1f} s" if count >= 0.1 else "< 0.1 s"


def _taken(result: str, taken: float) -> str:
    if result == "cached":
        return "cached"
    return f"failed after {seconds(taken)}" if result == "failed" else seconds(taken)


def _usual(found: Sequence[float]) -> str:
    if not found:
        return ""
    return (
        f"median of the last {len(found)}: {seconds(median(found))}"
        if len(found) > 1
        else (f"the time before: {seconds(found[0])}")
    )


def _percent(part: float, whole: float) -> float:
    return round(100 * max(part, 0.0) / whole, 1)
