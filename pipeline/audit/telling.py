# SPDX-License-Identifier: GPL-2.0-or-later
"""What an audit found, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from pipeline.audit.audit import Report
from pipeline.audit.findings import Finding
from pipeline.errors import AuditError, PipelineError
from pipeline.progress import Progress

# Of one kind, as many are shown; the JSON document has all.
_SHOWN = 20


def tell(reports: Sequence[Report], progress: Progress) -> None:
    for report in reports:
        if report.found:
            progress.table(_title(report), ("is", "kind", "what", "why"), list(_rows(report.found)))
        else:
            progress.heading(_title(report))
        for mend, kinds in _mends(report.found).items():
            progress.note(f"{', '.join(kinds)}: {mend}")
        for sentence in report.unseen:
            progress.note(f"not looked at: {sentence}")


def error(reports: Sequence[Report], *, strict: bool) -> AuditError | None:
    """What is wrong in one sentence, or `None`; with `strict`, warnings count."""
    found = [each for report in reports for each in report.found]
    wrong = [each for each in found if strict or each.severity == "error"]
    if not wrong:
        return None
    more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    first = wrong[0]
    return AuditError("mirror-wrong", f"{first.kind}: {first.subject}: {first.why}{more}", hint=first.mend)


def document(reports: Sequence[Report], wrong: PipelineError | None, *, quick: bool) -> dict[str, Any]:
    """The audit for programs."""
    from pipeline.document import error_document  # late: all of a run comes with it

    return {
        "status": "failed" if wrong else "ok",
        "quick": quick,
        "places": [_place(report) for report in reports],
        "error": error_document(wrong) if wrong else None,
    }


def failed_document(wrong: PipelineError) -> dict[str, Any]:
    """The document of a failure before anything was looked at."""
    return document((), wrong, quick=False)


def _place(report: Report) -> dict[str, Any]:
    return {
        "target": report.target,
        "place": report.place,
        "revision": report.revision,
        "repomd_sha256": report.repomd_sha256,
        "packages": report.packages,
        "snapshots": report.snapshots,
        "age_days": None if report.age_days is None else round(report.age_days, 3),
        "errors": sum(each.severity == "error" for each in report.found),
        "warnings": sum(each.severity == "warning" for each in report.found),
        "findings": [_finding(each) for each in report.found],
        "not_looked_at": list(report.unseen),
    }


def _finding(each: Finding) -> dict[str, str]:
    return {
        "kind": each.kind,
        "severity": each.severity,
        "subject": each.subject,
        "why": each.why,
        "mend": each.mend,
    }


def _title(report: Report) -> str:
    age = "" if report.age_days is None else f", {report.age_days:.1f} days old"
    well = "" if report.found else ": all is well"
    return f"{report.place}: revision {report.revision}{age}, {report.packages} packages{well}"


def _rows(found: Iterable[Finding]) -> Iterable[list[str]]:
    for kind, group in groupby(found, key=lambda each: each.kind):
        same = list(group)
        yield from ([each.severity, each.kind, each.subject, each.why] for each in same[:_SHOWN])
        if len(same) > _SHOWN:
            yield ["", kind, f"… and {len(same) - _SHOWN} more", "--json has all"]


def _mends(found: Iterable[Finding]) -> dict[str, list[str]]:
    """What mends what, each mend once."""
    mends: dict[str, list[str]] = {}
    for each in found:
        kinds = mends.setdefault(each.mend, [])
        if each.kind not in kinds:
            kinds.append(each.kind)
    return mends
