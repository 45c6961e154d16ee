# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run tells programs: the JSON document, `artifacts.json` and each job's `result.json`.

`schema/run.schema.json` is the contract.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.files import read_regular, write_whole
from pipeline.model import Changes, JobOutcome, Rpm, StageOutcome, UnitOutcome, UnitReport
from pipeline.run import TargetOutcome
from pipeline.settings import Settings

_ARTIFACTS = "artifacts.json"
_LARGEST_BYTES = 100_000_000
_SECONDS = re.compile(r'"seconds": [0-9.e-]+')


def run_document(outcomes: Sequence[TargetOutcome], settings: Settings) -> dict[str, Any]:
    """The document of a run that came as far as its stages."""
    jobs = [job for outcome in outcomes for job in outcome.jobs]
    error = next((outcome.error for outcome in outcomes if outcome.error), None)
    return {
        "status": "failed" if error else "ok",
        "jobs": [job_document(job) for job in jobs],
        "artifacts": [artifact for job in jobs for artifact in artifacts(job)],
        "mirror": _mirror(outcomes, settings),
        "error": error_document(error) if error else None,
    }


def failed_document(error: PipelineError) -> dict[str, Any]:
    """The document of a run that failed before its first stage."""
    return {"status": "failed", "jobs": [], "artifacts": [], "mirror": None, "error": error_document(error)}


def plan_document(jobs: Sequence[JobOutcome]) -> dict[str, Any]:
    """The document of a plan: nothing was done, so there is nothing made to tell."""
    return {
        "status": "ok",
        "jobs": [job_document(job) for job in jobs],
        "artifacts": [],
        "mirror": None,
        "error": None,
    }


def job_document(job: JobOutcome) -> dict[str, Any]:
    contracts = job.contracts
    return {
        "id": job.job.id,
        "needs": None if job.needs is None else [need.id for need in job.needs],
        "target": job.job.target,
        "package": job.job.package,
        "nevra": job.nevra,
        "evr": job.evr,
        "reason": job.reason,
        "unpublished": [str(evr) for evr in job.unpublished],
        "source": job.source,
        "patches": [
            {"file": patch.file.path.name, "subject": patch.subject, "state": patch.state, "offset": patch.offset_lines}
            for patch in job.patches
        ],
        "stages": [_stage(stage) for stage in job.stages],
        "unit": _unit(job.unit) if job.unit else None,
        "contracts": {"kept": len(contracts.kept), "absent": len(contracts.absent)} if contracts else None,
        "lint": {"new": len(job.lint.findings), "inherited": job.lint.inherited_count} if job.lint else None,
        "changes": _changes(job.changes) if job.changes else None,
    }


def artifacts(job: JobOutcome) -> list[dict[str, Any]]:
    """Every package that the job's build made, the source RPM first."""
    return [_artifact(rpm) for rpm in job.build.all_rpms] if job.build else []


def error_document(error: PipelineError) -> dict[str, Any]:
    return {
        "reference": error.reference,
        "message": error.message,
        "hint": error.hint,
        "log": str(error.log_path) if error.log_path else "",
        "exit_code": error.exit_code,
    }


def write_results(outcomes: Sequence[TargetOutcome], settings: Settings) -> None:
    """Write all files of results. Raises: OSError."""
    for _, write in results(outcomes, settings):
        write()


def results(outcomes: Sequence[TargetOutcome], settings: Settings) -> Iterator[tuple[str, Callable[[], None]]]:
    """Files of results by their names in the out directory, each with the work that writes it.

    They are a `result.json` for each job, and `artifacts.json`, brought up to date with what was built.
    """
    jobs = [(job, outcome.error) for outcome in outcomes for job in outcome.jobs]
    if any(job.build for job, _ in jobs):
        yield _ARTIFACTS, partial(_write_artifacts, [job for job, _ in jobs if job.build], settings.out_path)
    for job, error in jobs:
        name = f"{job.job.target}/{job.job.package}/result.json"
        told = error_document(error) if error else None
        content = {**job_document(job), "artifacts": artifacts(job), "error": told}
        yield name, partial(_write, settings.out_path / name, content)


def _write_artifacts(built: Sequence[JobOutcome], out_path: Path) -> None:
    own = tuple(f"{job.job.target}/{job.job.package}/" for job in built)
    others = [row for row in _read_rows(out_path / _ARTIFACTS) if not str(row.get("path", "")).startswith(own)]
    _write(out_path / _ARTIFACTS, [*others, *(artifact for job in built for artifact in artifacts(job))])


def _read_rows(path: Path) -> list[dict[str, Any]]:
    try:
        rows = json.loads(read_regular(path, _LARGEST_BYTES))
    except (OSError, ValueError, RecursionError):
        return []
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _stage(stage: StageOutcome) -> dict[str, Any]:
    return {
        "stage": stage.stage,
        "result": stage.result,
        "seconds": round(stage.seconds, 3),
        "reason": stage.reason,
        "where": stage.where,
        "log": stage.log,
    }


def _changes(changes: Changes) -> dict[str, str]:
    return {"document": str(changes.document.path), "text": str(changes.text.path), "last": changes.last}


def _unit(report: UnitReport) -> dict[str, Any]:
    return {
        "pristine": _counts(report.pristine),
        "patched": _counts(report.patched),
        "matrix": [{"patch": row.patch, "tests": row.tests, "green": list(row.green)} for row in report.matrix],
    }


def _counts(outcome: UnitOutcome) -> dict[str, int]:
    return {"passed": len(outcome.passed), "failed": len(outcome.failed)}


def _artifact(rpm: Rpm) -> dict[str, Any]:
    return {
        "path": str(rpm.file.path),
        "nevra": rpm.nevra,
        "arch": rpm.arch,
        "size_bytes": rpm.file.size_bytes,
        "sha256": rpm.file.sha256,
    }


def _mirror(outcomes: Sequence[TargetOutcome], settings: Settings) -> dict[str, Any] | None:
    """The newest publication, and all of them where a run serves several targets."""
    published = [
        {
            "target": outcome.target,
            "destination": outcome.publication.destination,
            "revision": outcome.publication.revision,
            "changed": _was_done(outcome, "publish") and outcome.publication.changed,
        }
        for outcome in outcomes
        if outcome.publication
    ]
    if not published:
        return None
    return {
        "destination": published[-1]["destination"],
        "revision": published[-1]["revision"],
        "changed": any(row["changed"] for row in published),
        "repositories": published,
    }


def _was_done(outcome: TargetOutcome, stage: str) -> bool:
    return any(row.stage == stage and row.result == "ok" for job in outcome.jobs for row in job.stages)


def _write(path: Path, content: object) -> None:
    """Write it, unless it says what is there but for seconds, which differ each time and say nothing then."""
    text = json.dumps(content, indent=1) + "\n"
    with suppress(OSError, ValueError):
        there = read_regular(path, _LARGEST_BYTES).decode("utf-8")
        if _SECONDS.sub("", there) == _SECONDS.sub("", text) and '"result": "ok"' not in text:
            return
    write_whole(path, text)
