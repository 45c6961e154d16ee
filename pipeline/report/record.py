# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's outcomes -> its file in `out/history/`: all that a page needs, also when logs and packages are gone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline import checkout, files, progress, release
from pipeline.document import run_document
from pipeline.flow import TARGET_STAGES
from pipeline.model import Changes, Job, JobOutcome, LintReport, StageOutcome, UnitOutcome
from pipeline.report import history
from pipeline.run import TargetOutcome
from pipeline.settings import Settings
from pipeline.sources.address import redacted

_LONGEST_LINE = 2_000
_LONGEST_TEXT = 40_000
_OF_TARGET = frozenset(stage.name for stage in TARGET_STAGES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What the outcomes do not say of a run; `reproduce` makes the command line that runs up to a stage."""

    attempt: str
    started: datetime
    finished: datetime
    last_stage: str
    words: tuple[str, ...]
    command: str
    reproduce: Callable[[str], str]


def write(told: Told, outcomes: Sequence[TargetOutcome], settings: Settings) -> Path:
    """Leave the run's file, and remove those that are too many. The caller holds the lock of the out directory."""
    path = settings.out_path / history.FOLDER / f"{told.attempt}.json"
    files.write_whole(path, json.dumps(document(told, outcomes, settings)) + "\n")
    history.prune(settings.out_path, path)
    return path


def document(told: Told, outcomes: Sequence[TargetOutcome], settings: Settings) -> dict[str, Any]:
    """The run as JSON values, with no password of a URL in any of them."""
    here = checkout.read(settings.root_dir)
    jobs = [job for outcome in outcomes for job in outcome.jobs]
    made = {
        "format": history.FORMAT,
        "attempt": told.attempt,
        "started": told.started.isoformat(timespec="milliseconds"),
        "finished": told.finished.isoformat(timespec="milliseconds"),
        "last_stage": told.last_stage,
        "words": list(told.words),
        "command": told.command,
        "checkout": {"commit": here.commit, "state": here.state},
        "run": _with_near_logs(run_document(outcomes, settings), settings.out_path),
        "details": [_details(job, settings.out_path) for job in jobs],
        "failures": list(_failures(told, jobs, settings.out_path)),
    }
    cleaned: dict[str, Any] = _redacted(made)
    return cleaned


def _with_near_logs(run: dict[str, Any], out_path: Path) -> dict[str, Any]:
    """The run document with logs that are relative to the out directory, which may be moved."""
    for row in (row for job in run["jobs"] for row in job["stages"]):
        row["log"] = _near(row["log"], out_path)
    if run["error"]:
        run["error"]["log"] = _near(run["error"]["log"], out_path)
    return run


def _near(path: str, out_path: Path) -> str:
    return path.removeprefix(f"{out_path}/")


def _details(job: JobOutcome, out_path: Path) -> dict[str, Any]:
    source, image = job.srpm, job.image
    return {
        "target": job.job.target,
        "package": job.job.package,
        "release": release.number_in(job.evr.rpartition("-")[2]) if job.evr else None,
        "authors": [patch.author for patch in job.patches],
        "tests": _tests(job),
        "findings": _findings(job.lint) if job.lint else None,
        "changes": _changes(job.changes, out_path) if job.changes else None,
        "source": {"origin": source.origin, "nevra": source.nevra, "sha256": source.file.sha256} if source else None,
        "image": {"engine": image.engine, "reference": image.reference, "digest": image.digest} if image else None,
        "statements": [str(each.path) for each in job.provenance.statements] if job.provenance else [],
    }


def _tests(job: JobOutcome) -> dict[str, Any] | None:
    if job.unit is None:
        return None
    return {
        "python": job.unit.python,
        "pristine": _names(job.unit.pristine),
        "patched": _names(job.unit.patched),
    }


def _names(outcome: UnitOutcome) -> dict[str, list[str]]:
    return {"passed": sorted(outcome.passed), "failed": sorted(outcome.failed)}


def _findings(lint: LintReport) -> list[dict[str, Any]]:
    return [
        {
            "subject": row.subject,
            "level": row.level,
            "check": row.check,
            "detail": row.detail,
            "allowed": row in lint.allowed,
        }
        for row in lint.findings
    ]


def _changes(changes: Changes, out_path: Path) -> dict[str, Any] | None:
    """What the release's own papers say; `None` where they cannot be read any more."""
    try:
        text = (out_path / changes.text.path).read_text(encoding="utf-8", errors="replace")
        found = json.loads((out_path / changes.document.path).read_text(encoding="utf-8"))
        parts = {name: _difference(found[name]) for name in ("vendor", "last")}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return {"path": str(changes.text.path), "text": _cut(text, _LONGEST_TEXT), **parts}


def _difference(part: dict[str, Any] | None) -> dict[str, str] | None:
    return {"before": part["before"], "summary": part["summary"]} if part else None


def _failures(told: Told, jobs: Sequence[JobOutcome], out_path: Path) -> Iterator[dict[str, Any]]:
    """Each stage that failed; a stage that a target did for all its jobs is told once."""
    seen = set()
    for job in jobs:
        for row in (row for row in job.stages if row.result == "failed"):
            # Where nothing can run at all, no job got as far as a stage of its own.
            whole = row.stage in _OF_TARGET or (row.stage == "image" and job.image is None)
            key = (job.job.target, "" if whole else job.job.package, row.stage, row.reason)
            if key not in seen:
                seen.add(key)
                yield _failure(told, job.job, "" if whole else job.job.package, row, out_path)


def _failure(told: Told, job: Job, package: str, row: StageOutcome, out_path: Path) -> dict[str, Any]:
    home_dir = out_path / job.target / ("" if row.stage in _OF_TARGET else job.package)
    # One that was interrupted names no log, though the stage may have begun one.
    log_path = Path(row.log) if row.log else home_dir / "logs" / told.attempt / f"{row.stage}.log"
    lines = _last_lines(log_path)
    return {
        "target": job.target,
        "package": package,
        "stage": row.stage,
        "message": row.reason,
        "hint": row.hint,
        "log": _near(row.log or (str(log_path) if lines else ""), out_path),
        "lines": lines,
        "reproduce": told.reproduce(row.stage),
    }


def _last_lines(log_path: Path) -> list[str]:
    """The end of a log, kept since logs may be cleaned away; nothing where it cannot be read."""
    try:
        return [_cut(line, _LONGEST_LINE) for line in progress.tail(log_path)] if log_path.is_file() else []
    except OSError:
        return []


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]} … ({len(text) - longest} more characters)"


def _redacted(part: Any) -> Any:
    """The same JSON values with passwords in URLs replaced; a text that is no UTF-8 is shown as far as it goes."""
    if isinstance(part, str):
        return redacted(part.encode("utf-8", errors="replace").decode("utf-8"))
    if isinstance(part, list):
        return [_redacted(each) for each in part]
    if isinstance(part, dict):
        return {name: _redacted(each) for name, each in part.items()}
    return part
