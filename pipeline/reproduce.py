# SPDX-License-Identifier: GPL-2.0-or-later
"""A release built a second time, from the same spec and sources in another directory, and compared."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline import command, document, files, lock, rpmcompare
from pipeline.context import JobContext
from pipeline.errors import BuildError, EngineError, PipelineError
from pipeline.flow import STAGES
from pipeline.ledger import Ledger, parts
from pipeline.model import BuildResult, File, Job, JobOutcome, Rpm, Tree
from pipeline.order.made import Made
from pipeline.progress import Progress
from pipeline.rpmcompare import Difference, Verdict
from pipeline.run import Run, empty_scratch, new_attempt
from pipeline.settings import Settings

# Older ones write the time of the build, and of what %doc copies, whatever they are told.
# Source: rpm's release notes: SOURCE_DATE_EPOCH came with 4.14; 4.16 is the oldest that was tried.
_REPRODUCES = (4, 16)
_QUICK_SECONDS = 60
_DIFFOSCOPE_SECONDS = 600
_SHOWN = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Twin:
    """One package, what it is against its second making, and what the two differ in."""

    nevra: str
    verdict: Verdict
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The packages of one job. `rpm_version` is the one that built them; `kept` has what differs, made anew."""

    job: Job
    evr: str
    rpm_version: str
    twins: tuple[Twin, ...]
    kept: str = ""

    @property
    def must_be_identical(self) -> bool:
        return _version(self.rpm_version) >= _REPRODUCES

    @property
    def faults(self) -> tuple[Twin, ...]:
        """The packages that are not what they must be."""
        good = ("identical",) if self.must_be_identical else ("identical", "same contents")
        return tuple(twin for twin in self.twins if twin.verdict not in good)


def run(settings: Settings, progress: Progress, jobs: Sequence[Job], *, wait: bool = True) -> tuple[Report, ...]:
    """The report of each job, whose release is built first if it is not there.

    Raises: PipelineError of the stage that failed, LockedError.
    """
    work = Run(settings=settings, progress=progress, last_stage="build", attempt=new_attempt())
    with lock.held(settings.out_path, progress, wait=wait):
        empty_scratch(settings.out_path)
        try:
            outcomes = work.perform(jobs)
            document.write_results(outcomes, settings)
            failed = next((outcome.error for outcome in outcomes if outcome.error), None)
            if failed is not None:
                raise failed
            return tuple(examine(_context_of(done, work)) for outcome in outcomes for done in outcome.jobs)
        finally:
            empty_scratch(settings.out_path)


def _context_of(done: JobOutcome, work: Run) -> JobContext:
    """The job's context with what it was built on."""
    made = Made(settings=work.settings)
    needs = tuple(made.dependency(done.job, need) for need in done.needs or ())
    return replace(work.job_context(done.job), needs=needs)


def examine(context: JobContext) -> Report:
    """The report of one job that is built."""
    stage = STAGES["build"]
    ledger = Ledger(context.home_dir, context.out_path)
    built = ledger.last(stage.name, stage.record)
    given = [ledger.last(name, STAGES[name].record) for name in stage.needs]
    again = _elsewhere(context)
    for record in (*given, context.needs):
        _hand_over(record, context.out_path, again.out_path)
    _let_time_pass(context.out_path / built.srpm.file.path)
    with context.progress.working(str(context.job), "build again"):
        second: BuildResult = stage.module().run(*given, context=again)
    twins = tuple(compare_all(built, context.out_path, second, again.out_path))
    return Report(
        job=context.job,
        evr=str(built.srpm.evr),
        rpm_version=_rpm_version(context),
        twins=twins,
        kept=_keep(twins, second, again.out_path, context),
    )


def compare_all(first: BuildResult, first_dir: Path, second: BuildResult, second_dir: Path) -> list[Twin]:
    """Every package of either build against its twin in the other."""
    before, after = ({rpm.nevra: rpm for rpm in build.all_rpms} for build in (first, second))
    twins = []
    for nevra in dict.fromkeys([*before, *after]):
        if nevra in before and nevra in after:
            verdict, found = rpmcompare.compare(
                first_dir / before[nevra].file.path, second_dir / after[nevra].file.path
            )
            twins.append(Twin(nevra=nevra, verdict=verdict, differences=found))
        else:
            which = "first" if nevra in before else "second"
            lack = Difference(where="package", what=f"made by the {which} build only")
            twins.append(Twin(nevra=nevra, verdict="different", differences=(lack,)))
    return twins


def failure(reports: Sequence[Report]) -> PipelineError | None:
    """The error that the reports amount to, or `None`."""
    faults = [(report, twin) for report in reports for twin in report.faults]
    if not faults:
        return None
    report, twin = faults[0]
    number = len(faults)
    others = f", and {number - 1} more package{'s' if number > 2 else ''}" if number > 1 else ""
    why = f"; rpm {report.rpm_version} can make the same bytes" if twin.verdict == "same contents" else ""
    return BuildError(
        "not-reproducible",
        f"built twice, {twin.nevra} differs in {_some(twin)}{others}{why}",
        hint=f"find what in the spec or the build takes a time, a path or a chance from the machine; {report.kept} "
        "has the second making",
    )


def tell(reports: Sequence[Report], progress: Progress) -> None:
    for report in reports:
        progress.table(
            f"{report.job} {report.evr}, built twice",
            ["package", "verdict"],
            [[twin.nevra, twin.verdict] for twin in report.twins],
        )
        for twin in report.twins:
            shown = twin.differences[:_SHOWN]
            for each in shown:
                progress.heading(f"{twin.nevra}: {each}")
            if len(twin.differences) > len(shown):
                progress.heading(f"{twin.nevra}: {len(twin.differences) - len(shown)} more")
        same = sum(twin.verdict == "identical" for twin in report.twins)
        old = "" if report.must_be_identical else f"; rpm {report.rpm_version} cannot make all bytes the same"
        progress.heading(f"{report.job}: {same} of {len(report.twins)} packages are bit-identical{old}")


def json_document(reports: Sequence[Report]) -> dict[str, Any]:
    """The reports for programs; `schema/reproduce.schema.json` is the contract."""
    error = failure(reports)
    return {
        "status": "failed" if error else "ok",
        "jobs": [
            {
                "target": report.job.target,
                "package": report.job.package,
                "evr": report.evr,
                "rpm": report.rpm_version,
                "must_be_identical": report.must_be_identical,
                "packages": [
                    {
                        "nevra": twin.nevra,
                        "verdict": twin.verdict,
                        "differences": [
                            {"where": each.where, "what": each.what, "of_making": each.of_making}
                            for each in twin.differences
                        ],
                    }
                    for twin in report.twins
                ],
                "kept": report.kept,
            }
            for report in reports
        ],
        "error": document.error_document(error) if error else None,
    }


def _elsewhere(context: JobContext) -> JobContext:
    """The same job with an out directory of another path, and one of another length."""
    out_path = context.scratch_dir / "again" / "in" / "another" / "directory"
    return replace(
        context,
        settings=context.settings.model_copy(update={"out_path": out_path}),
        home_dir=out_path / context.job.target / context.job.package,
        log_path=context.log_path.with_name("build-again.log"),
    )


def _let_time_pass(path: Path) -> None:
    """Wait until the clock shows another second than when the file was made, which most of the time it does."""
    time.sleep(max(0.0, min(1.0, int(path.stat().st_mtime) + 1 - time.time())))


def _hand_over(record: object, here: Path, there: Path) -> None:
    """Put what a record names into another out directory; its files bear other times there."""
    for part in parts(record):
        path = there / part.path
        if isinstance(part, Tree):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.symlink_to(here / part.path)
        elif isinstance(part, File):
            files.copy_whole(here / part.path, path)
            path.touch()


def _keep(twins: Sequence[Twin], second: BuildResult, second_dir: Path, context: JobContext) -> str:
    """Where what differs lies for a look, with what diffoscope says of the first; empty if nothing does."""
    folder = context.home_dir / "reproduced"
    files.remove_tree(folder)
    differing = {twin.nevra: twin for twin in twins if twin.verdict != "identical"}
    made: list[Rpm] = [rpm for rpm in second.all_rpms if rpm.nevra in differing]
    for rpm in made:
        files.copy_whole(second_dir / rpm.file.path, folder / rpm.file.path.name)
    first = next((rpm for rpm in made if differing[rpm.nevra].verdict == "different"), made[0] if made else None)
    if first is None:
        return str(folder) if differing else ""
    before = next((path for path in context.home_dir.glob(f"*RPMS/**/{first.file.path.name}")), None)
    if before is not None:
        _ask_diffoscope(before, folder / first.file.path.name, folder / "diffoscope.txt", context)
    return str(folder)


def _ask_diffoscope(first: Path, second: Path, told_path: Path, context: JobContext) -> None:
    """Source: diffoscope(1): exit code 1 when it found differences."""
    if not command.is_on_path("diffoscope"):
        context.progress.note("with diffoscope on PATH, the lines that differ would be told as well")
        return
    argv = ["diffoscope", "--text", str(told_path), str(first), str(second)]
    try:
        command.run(argv, timeout_seconds=_DIFFOSCOPE_SECONDS, accept=(0, 1), log_path=context.log_path)
    except PipelineError as error:
        context.progress.warning(f"diffoscope: {error.message}")
        return
    context.progress.note(f"diffoscope on {second.name}: {told_path}")


def _rpm_version(context: JobContext) -> str:
    """The version of the rpmbuild in the engine. Raises: EngineError."""
    with context.engine.workspace(context.scratch_dir) as workspace:
        told = workspace.run(["rpmbuild", "--version"], timeout_seconds=_QUICK_SECONDS, capture=True).stdout
    found = re.search(r"\d+(\.\d+)+", told)
    if not found:
        raise EngineError("rpm-version", f"rpmbuild tells no version: {told.strip()!r}", hint="look at the image's rpm")
    return found.group()


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _some(twin: Twin) -> str:
    """The first few differences in words."""
    told = "; ".join(str(each) for each in twin.differences[:3])
    return f"{told} and {len(twin.differences) - 3} more" if len(twin.differences) > 3 else told
