# SPDX-License-Identifier: GPL-2.0-or-later
"""Import a mailed series: all of it is read, taken apart and tried before the first file is written."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import PatchError, PipelineError
from pipeline.importing import choice, mails, series
from pipeline.importing.mails import PatchMail
from pipeline.importing.series import NewPatch, PackageImport
from pipeline.progress import Progress
from pipeline.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What is to be imported: `version` `None` for the newest; `names` are what tags mean that are no package."""

    mbox: Path
    version: int | None = None
    single: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What came, or would come, to each package."""

    version: int
    former: tuple[int, ...]
    others: int
    packages: tuple[PackageImport, ...]


def run(settings: Settings, wish: Wish) -> Report:
    """The import, done unless it is a dry run. Raises: PatchError, UsageError; nothing is written then."""
    work_dir = settings.out_path / ".work"
    work_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work_dir, prefix="import-") as scratch:
        envelopes = mails.envelopes(wish.mbox, Path(scratch))
        version, former = choice.version_of(envelopes, wish.version)
        mine = [each for each in envelopes if each.version == version and each.number > 0]
        patches = [mail for each in mine if (mail := mails.read(each))]
        chosen = choice.by_package(patches, settings.packages, single=wish.single, names=wish.names)
        report = Report(
            version=version,
            former=former,
            others=len(envelopes)
            - len(patches)
            - sum(each.version in former and each.number > 0 for each in envelopes),
            packages=_plan(settings, chosen, Path(scratch) / "series"),
        )
        if not wish.dry_run:
            error = failure(report)
            if error is not None:
                raise error
            for planned in report.packages:
                series.write(planned)
    return report


def _plan(
    settings: Settings, chosen: Mapping[str, tuple[PatchMail, ...]], scratch_dir: Path
) -> tuple[PackageImport, ...]:
    return tuple(series.plan(settings, package, theirs, scratch_dir) for package, theirs in chosen.items())


def failure(report: Report) -> PipelineError | None:
    """The error that the report amounts to, or `None`."""
    for planned in report.packages:
        for patch in planned.new:
            if patch.verdict is not None and patch.verdict.state == "untried":
                return PatchError(
                    "series-conflicts",
                    f"the series of {planned.package} as it is does not fit {planned.tried_on}",
                    hint="nothing was written; name the tag that it is for, --source git:PATH@TAG, or rebase it first",
                )
            if patch.verdict is not None and patch.verdict.state == "conflict":
                return PatchError(
                    "patch-rejected",
                    f"{_name(patch)} does not fit {planned.package} at {planned.tried_on}: {patch.verdict.detail}",
                    hint="nothing was written; rebase it, or name the tag that it is for: --source git:PATH@TAG",
                )
    return None


def tell(report: Report, progress: Progress, *, dry_run: bool) -> None:
    """A row a patch, then what was left aside."""
    rows = [
        [patch.mail.place, planned.package, patch.name, _author(patch), _fit(patch)]
        for planned in report.packages
        for patch in planned.new
    ]
    progress.table(f"v{report.version} of the series", ("mail", "package", "patch", "author", "fits"), rows)
    for planned in report.packages:
        had = f", {planned.had} were there already" if planned.had else ""
        verb = "would come" if dry_run else "came"
        progress.heading(f"{planned.package}: {_counted(len(planned.new), 'patch')} {verb}{had}{_where(planned)}")
    if report.former:
        progress.note(f"left aside: {', '.join(f'v{each}' for each in report.former)}")
    if report.others:
        progress.note(f"{report.others} mails are no patches: cover letters and replies")
    if any(planned.new for planned in report.packages) and not dry_run:
        progress.note("each patch needs a test in tests/patched/ that names it; `nox -s unit` says which lack one")


def _where(planned: PackageImport) -> str:
    if not planned.new:
        return ""  # there was nothing to try
    if planned.tried_on:
        return f", tried on {planned.tried_on}"
    return ", not tried: its source is not at hand; `nox -s patch` gets it and tries"


def document(report: Report, settings: Settings) -> dict[str, Any]:
    """What `--json` tells; its contract is schema/import_series.schema.json."""
    return {
        "version": report.version,
        "left_aside": list(report.former),
        "no_patches": report.others,
        "packages": [
            {
                "package": planned.package,
                "had": planned.had,
                "tried_on": planned.tried_on,
                "patches": [_row(patch, planned, settings) for patch in planned.new],
            }
            for planned in report.packages
        ],
        "error": None,
    }


def failed_document(error: PipelineError) -> dict[str, Any]:
    """What `--json` tells when nothing was imported."""
    from pipeline.document import error_document

    return {"version": 0, "left_aside": [], "no_patches": 0, "packages": [], "error": error_document(error)}


def _row(patch: NewPatch, planned: PackageImport, settings: Settings) -> dict[str, Any]:
    verdict = patch.verdict
    return {
        "number": patch.mail.envelope.number,
        "total": patch.mail.envelope.total,
        "subject": patch.mail.subject,
        "author": _author(patch),
        "message_id": patch.mail.message_id,
        "file": str((planned.patches_dir / patch.name).relative_to(settings.root_dir)),
        "state": verdict.state if verdict else "untried",
        "detail": verdict.detail if verdict else "",
    }


def _author(patch: NewPatch) -> str:
    return patch.mail.author


def _name(patch: NewPatch) -> str:
    return f"'{patch.mail.subject}' ({patch.mail.place})"


def _fit(patch: NewPatch) -> str:
    if patch.verdict is None:
        return "not tried"
    return patch.verdict.state + (f" {patch.verdict.offset_lines}" if patch.verdict.offset_lines else "")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 'es'}"
