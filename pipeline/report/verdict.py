# SPDX-License-Identifier: GPL-2.0-or-later
"""A run in one sentence. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.report.records import Details, Failure, History, JobRow


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """`sign` says in one letter what the colour says."""

    kind: Literal["ok", "cached", "failed"]
    sign: str
    words: str


def of(run: History) -> Verdict:
    """What came of a run: what failed first, and then what is published or done."""
    if run.failures or run.run.error:
        stages = [f"{each.stage} of {_whose(run, each)}" for each in run.failures] or ["no stage at all"]
        word = "Interrupted at" if run.interrupted else "Failed at stage" if len(stages) == 1 else "Failed at stages"
        good = _done(run, [job for job in run.pairs if not _broken(job[0])])
        return Verdict(kind="failed", sign="✗", words=f"{word} {_listed(stages)}{f'; {good}' if good else ''}")
    words = _done(run, list(run.pairs)) or "nothing to do"
    cached = all(row.result == "cached" for job in run.run.jobs for row in job.stages)
    return Verdict(kind="cached" if cached else "ok", sign="✓", words=f"{words[0].upper()}{words[1:]}")


def label(failure: Failure) -> str:
    """Whose stage it is: a job's, or a target's own."""
    return f"{failure.target}/{failure.package}" if failure.package else failure.target


def release_of(job: JobRow, details: Details) -> str:
    return f"release {details.release}" if details.release is not None else job.evr or "no release"


def _done(run: History, jobs: list[tuple[JobRow, Details]]) -> str:
    published = {each.target: each.changed for each in (run.run.mirror.repositories if run.run.mirror else ())}
    told = []
    for job, details in jobs:
        what = f"{release_of(job, details)} of {_job_name(run, job)}"
        if job.target in published:
            told.append(f"{what} published" if published[job.target] else f"nothing changed: {what} stands")
        elif all(row.result == "cached" for row in job.stages):
            told.append(f"nothing changed: `{run.last_stage}` of {_job_name(run, job)} holds as it was")
        else:
            told.append(f"{run.last_stage} of {_job_name(run, job)} done")
    return _listed(told)


def _whose(run: History, failure: Failure) -> str:
    return _name(run, failure.target, failure.package) if failure.package else failure.target


def _job_name(run: History, job: JobRow) -> str:
    return _name(run, job.target, job.package)


def _name(run: History, target: str, package: str) -> str:
    """The target, and the package only where a target has several."""
    alone = sum(each.target == target for each in run.run.jobs) == 1
    return target if alone else f"{target}/{package}"


def _broken(job: JobRow) -> bool:
    return any(row.result in ("failed", "skipped") for row in job.stages)


def _listed(parts: list[str]) -> str:
    parts = list(dict.fromkeys(parts))
    return ", ".join(parts[:3]) + (f" and {len(parts) - 3} more" if len(parts) > 3 else "")
