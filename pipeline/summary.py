# SPDX-License-Identifier: GPL-2.0-or-later
"""What people read before and after a run: the plan, the closing table, how to install, what failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.errors import Interrupted
from pipeline.flow import JOB_STAGES, TARGET_STAGES, needed_for
from pipeline.matrix import Failure
from pipeline.model import Job, JobOutcome
from pipeline.progress import Progress
from pipeline.run import TargetOutcome
from pipeline.settings import Settings

_OF_TARGETS = {stage.name for stage in TARGET_STAGES}
# Of more jobs than these, people are told less of each.
_FEW = 5


def tell_start(jobs: Sequence[Job], last_stage: str, settings: Settings, progress: Progress) -> None:
    """The jobs, where each comes from, and the stages that they will go through."""
    names = [stage.name for stage in (*JOB_STAGES, *TARGET_STAGES) if stage.name in needed_for(last_stage)]
    progress.expect([str(job) for job in jobs])
    named = ", ".join(str(job) for job in jobs) if len(jobs) <= _FEW else f"{len(jobs)} jobs"
    progress.heading(f"{named}: {' > '.join(names)}")
    for job in jobs:
        sources = " or ".join(str(source) for source in settings.source_list(job))
        progress.detail(f"{job} from {sources}")


def tell_plan(planned: Sequence[JobOutcome], progress: Progress) -> None:
    for job in planned:
        rows = [[stage.stage, stage.result, stage.reason] for stage in job.stages]
        if len(planned) <= _FEW or progress.is_verbose:
            progress.table(f"plan of {job.job}", ("stage", "would", "why"), rows)
        if job.needs:
            progress.note(f"{job.job} is built on {', '.join(need.package for need in job.needs)}")
        # An input that is not known yet may be one that has a release: a patch that was taken back, say.
        unless = ", or the one that its input has" if _is_unknown(job) else ""
        would_be = f"; the release would be {job.evr}{unless}" if job.evr and not _is_done(job) else ""
        progress.heading(f"{job.job}: {job.reason or 'it is to be seen what changed'}{would_be}")
        for evr in job.unpublished:
            progress.heading(f"{job.job}: {evr} was reserved and is not published")


def tell_end(outcomes: Sequence[TargetOutcome], progress: Progress, *, reproduce: Callable[[str], str]) -> None:
    """The closing table, then what to do with the result, or what failed; `reproduce` makes a stage's command."""
    rows = [job_row(job) for outcome in outcomes for job in outcome.jobs]
    progress.table("", ("job", "result", "release", "packages", "tests red/green", "seconds"), rows)
    for outcome in outcomes:
        if outcome.error is not None:
            _tell_failures(outcome, progress, reproduce)
            continue
        for job in outcome.jobs:
            if job.reason:
                progress.heading(f"{job.job}: {job.reason}")
        if outcome.publication:
            _tell_mirror(outcome, progress)


def _tell_failures(outcome: TargetOutcome, progress: Progress, reproduce: Callable[[str], str]) -> None:
    """What failed, all of it where the run went on, and who was not built because of it."""
    assert outcome.error is not None
    several = len(outcome.jobs) > 1
    for each in outcome.failures or (Failure(error=outcome.error, stage=outcome.failed_stage),):
        job = each.job if several else None
        command = reproduce(each.stage)
        progress.failure(
            each.error,
            stage=f"{job or outcome.target}: {each.stage}",
            reproduce=_narrowed(command, job) if job else command,
        )
        if isinstance(each.error, Interrupted):
            return
    for done in outcome.jobs:
        if done.because:
            progress.heading(f"{done.job} was not built: it is built on {done.because}, which failed")


def _narrowed(command: str, job: Job) -> str:
    """The same for one package alone."""
    if " --package " in command or " --only " in command:
        return command
    return f"{command}{'' if ' -- ' in command else ' --'} --package {job.package}"


def _tell_mirror(outcome: TargetOutcome, progress: Progress) -> None:
    assert outcome.publication is not None
    destination = outcome.publication.destination
    progress.heading(f"on the mirror: {destination}, revision {outcome.publication.revision}")
    if Path(destination).is_absolute() and all(".demo" in job.evr for job in outcome.jobs):
        # The real packages need an el6 host; the demo's need nothing but each other.
        names = " ".join(sorted({name for job in outcome.jobs for name in _to_install(job)}))
        place = Path(destination).as_uri()
        progress.note(
            f"try it: dnf -y --refresh --installroot=/tmp/try --releasever=6 --repofrompath=new,{place} --repo=new"
            " --setopt=new.gpgcheck=1 --setopt=new.repo_gpgcheck=1"
            f" --setopt=new.gpgkey={place}/keys.asc install {names}"
        )


def _to_install(job: JobOutcome) -> tuple[str, ...]:
    """The package that has the job's name, else all that were built: a source need not make one of its own name."""
    names = tuple(rpm.name for rpm in job.build.rpms) if job.build else ()
    return (job.job.package,) if job.job.package in names or not names else names


def _is_unknown(job: JobOutcome) -> bool:
    """Whether a plan does not know what a release of it would be made of."""
    return any(stage.stage == "patch" and stage.result == "run" for stage in job.stages)


def _is_done(job: JobOutcome) -> bool:
    return all(stage.result == "cached" for stage in job.stages)


def job_row(job: JobOutcome) -> list[str]:
    """A job in the closing table: name, result, release, packages, tests, seconds."""
    results = {stage.result for stage in job.stages}
    result = "cached" if results == {"cached"} else "ok"
    if results & {"failed", "skipped"}:
        own = {stage.result for stage in job.stages if stage.stage not in _OF_TARGETS}
        result = "failed" if "failed" in results else "not built" if "skipped" in own else "not published"
        if any(stage.result == "failed" and stage.reason.startswith("interrupted") for stage in job.stages):
            result = "interrupted"
    tests = f"{len(job.unit.pristine.failed)}/{len(job.unit.patched.passed)}" if job.unit else "-"
    packages = str(len(job.build.rpms)) if job.build else "-"
    seconds = f"{sum(stage.seconds for stage in job.stages):.1f}"
    return [str(job.job), result, job.evr or "-", packages, tests, seconds]
