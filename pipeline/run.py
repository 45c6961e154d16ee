# SPDX-License-Identifier: GPL-2.0-or-later
"""One invocation: which chains to run or plan, and how they ended."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

from pipeline import results
from pipeline.chain import Chain
from pipeline.context import JobContext, TargetContext
from pipeline.engines.base import Engine
from pipeline.engines.choice import engine_of, engine_or_given
from pipeline.engines.given import GivenEngine
from pipeline.errors import Interrupted, NetworkError, PipelineError
from pipeline.flow import JOB_STAGES, STAGES, TARGET_STAGES, Stage, needed_for
from pipeline.mirrors import lease
from pipeline.mirrors.destination import find_destination
from pipeline.mirrors.snapshot import publisher
from pipeline.model import Image, Job, JobOutcome, Publication, StageOutcome
from pipeline.progress import Progress
from pipeline.reasons import reason
from pipeline.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetOutcome:
    """How the jobs of one target ended, and what stands on its mirror."""

    target: str
    jobs: tuple[JobOutcome, ...]
    publication: Publication | None = None
    error: PipelineError | None = None
    failed_stage: str = ""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What to do up to `last_stage`; each attempt has log folders of its own name.

    `images` are what those jobs were built in that came from other machines: none of it is built here.
    """

    settings: Settings
    progress: Progress
    last_stage: str
    attempt: str
    images: Mapping[Job, Image] = field(default_factory=dict)

    def perform(self, jobs: Iterable[Job], *, keep_going: bool = False) -> tuple[TargetOutcome, ...]:
        """Run what is needed. A failure ends the run; with `keep_going` only what needs it is left out."""
        outcomes: list[TargetOutcome] = []
        all_jobs = tuple(jobs)
        for job in all_jobs:
            results.set_aside(self._home_dir(job), needed_for(self.last_stage))
        try:
            for target, target_jobs in _by_target(all_jobs).items():
                outcomes.append(self._perform_target(target, target_jobs, keep_going=keep_going))
                if _stops(outcomes[-1].error, keep_going=keep_going):
                    break
        finally:
            self._tell_missing_tests(all_jobs, outcomes)
        return tuple(outcomes)

    def refuse(self, jobs: Iterable[Job], error: PipelineError) -> None:
        """No test result of an earlier run stays where this one was refused. The caller holds the lock."""
        for job in jobs:
            results.set_aside(self._home_dir(job), needed_for(self.last_stage))
            results.tell_missing(self._home_dir(job), needed_for(self.last_stage), (), error.message)

    def _tell_missing_tests(self, jobs: Iterable[Job], outcomes: Iterable[TargetOutcome]) -> None:
        stages = {each.job: each.stages for outcome in outcomes for each in outcome.jobs}
        for job in jobs:
            try:
                why = "the run ended before"
                results.tell_missing(self._home_dir(job), needed_for(self.last_stage), stages.get(job, ()), why)
            except OSError as error:
                self.progress.warning(f"test results could not be written: {error.strerror or error}")

    def plan(self, jobs: Iterable[Job]) -> tuple[JobOutcome, ...]:
        """What `perform` would do: stages are `cached`, or `run` with the reason."""
        outcomes: list[JobOutcome] = []
        for target, target_jobs in _by_target(jobs).items():
            planned: list[JobOutcome] = []
            signed = []
            anew = ""
            for job in target_jobs:
                chain = Chain(str(job), self.job_context(job), self._wanted(JOB_STAGES))
                anew = chain.plan() or anew
                planned.append(self._foreseen(_outcome(job, chain), chain))
                signed.append(chain.records.get("sign"))
            chain = Chain(target, self._target_context(target), self._wanted(TARGET_STAGES), sign=tuple(signed))
            chain.plan(anew)
            outcomes.extend(_with_stages(planned, chain.outcomes))
        return tuple(outcomes)

    def _foreseen(self, planned: JobOutcome, chain: Chain) -> JobOutcome:
        """The planned job with the releases that it would get and that were never published, as far as can be told."""
        srpm = chain.records.get("fetch")
        if srpm is None or "reserve" not in needed_for(self.last_stage):
            return planned
        tree, image = (chain.records.get(name) for name in STAGES["reserve"].needs)
        try:
            foreseen = STAGES["reserve"].module().foresee(srpm, tree, image, context=self.job_context(planned.job))
        except NetworkError as error:
            self.progress.warning(f"{planned.job}: {error.message}, so which release it would be is not known")
            return planned
        return replace(planned, evr=planned.evr or str(foreseen.next), unpublished=foreseen.unpublished)

    def _perform_target(self, target: str, jobs: tuple[Job, ...], *, keep_going: bool) -> TargetOutcome:
        try:
            self._engine_of(target)
        except PipelineError as error:
            return self._unusable(target, jobs, error)
        done: list[JobOutcome] = []
        signed = []
        failed: Chain | None = None
        for job in jobs:
            chain = Chain(str(job), self.job_context(job), self._wanted(JOB_STAGES))
            chain.run(keep_going=keep_going)
            done.append(_outcome(job, chain))
            signed.append(chain.records.get("sign"))
            if failed is None or isinstance(chain.error, Interrupted):
                failed = chain if chain.error else None
            if _stops(chain.error, keep_going=keep_going):
                break
        wanted = self._wanted(TARGET_STAGES)
        if failed:
            # A repository without one of its packages is no release: it stays as it was.
            skipped = [
                StageOutcome(stage=stage.name, result="skipped", reason=_why_skipped(failed)) for stage in wanted
            ]
            for outcome in skipped:
                self.progress.ended(target, outcome)
            jobs_done = _with_stages(done, skipped)
            return TargetOutcome(target=target, jobs=jobs_done, error=failed.error, failed_stage=failed.failed_stage)
        chain = Chain(target, self._target_context(target), wanted, sign=tuple(signed))
        failure, failed_stage = self._run_locked(target, chain)
        return TargetOutcome(
            target=target,
            jobs=_with_stages(done, chain.outcomes),
            publication=chain.records.get("publish"),
            error=failure,
            failed_stage=failed_stage,
        )

    def _run_locked(self, target: str, chain: Chain) -> tuple[PipelineError | None, str]:
        """Run the target's stages as the only publisher, from reading the mirror to the switch; the first error."""
        if not self._wanted(TARGET_STAGES) or chain.holds():
            return chain.error, chain.failed_stage
        try:
            place = find_destination(self.settings, target)
            log_path = self._target_context(target).log_path.with_name("repo.log")
            with lease.held(place, publisher(), self.progress, log_path=log_path):
                chain.run()
        except PipelineError as locked:
            row = StageOutcome(stage="repo", result="failed", reason=locked.message, hint=locked.hint)
            chain.outcomes.append(row)
            return locked, "repo"
        return chain.error, chain.failed_stage

    def _unusable(self, target: str, jobs: tuple[Job, ...], error: PipelineError) -> TargetOutcome:
        """The outcome of a target whose commands have nowhere to run; other targets are not its business."""
        rows = [
            StageOutcome(stage=stage.name, result="skipped", reason="image failed")
            for stage in (*self._wanted(JOB_STAGES), *self._wanted(TARGET_STAGES))
        ]
        rows[0] = StageOutcome(stage="image", result="failed", reason=error.message, hint=error.hint)
        for row in rows:
            self.progress.ended(target, row)
        outcomes = tuple(JobOutcome(job=job, stages=tuple(rows)) for job in jobs)
        return TargetOutcome(target=target, jobs=outcomes, error=error, failed_stage="image")

    def _wanted(self, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
        names = needed_for(self.last_stage)
        return tuple(stage for stage in stages if stage.name in names)

    def _home_dir(self, job: Job) -> Path:
        return self.settings.out_path / job.target / job.package

    def job_context(self, job: Job) -> JobContext:
        home_dir = self._home_dir(job)
        return JobContext(
            settings=self.settings,
            target_name=job.target,
            target=self.settings.target(job.target),
            engine=GivenEngine(self.images[job]) if job in self.images else engine_of(self.settings, job.target),
            progress=self.progress,
            home_dir=home_dir,
            log_path=home_dir / "logs" / self.attempt / "stage.log",
            job=job,
            package=self.settings.packages[job.package],
        )

    def _engine_of(self, target: str) -> Engine:
        """What a target's own stages have."""
        given = next((image for job, image in self.images.items() if job.target == target), None)
        return engine_or_given(self.settings, target, given) if given else engine_of(self.settings, target)

    def _target_context(self, target: str) -> TargetContext:
        home_dir = self.settings.out_path / target
        return TargetContext(
            settings=self.settings,
            target_name=target,
            target=self.settings.target(target),
            engine=self._engine_of(target),
            progress=self.progress,
            home_dir=home_dir,
            log_path=home_dir / "logs" / self.attempt / "stage.log",
        )


def _why_skipped(failed: Chain) -> str:
    return "interrupted" if isinstance(failed.error, Interrupted) else f"{failed.failed_stage} failed"


def _stops(error: PipelineError | None, *, keep_going: bool) -> bool:
    return error is not None and (not keep_going or isinstance(error, Interrupted))


def new_attempt() -> str:
    """A name for this run's logs: they sort by time, and two runs never share one."""
    return f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-{os.getpid()}"


def empty_scratch(out_path: Path) -> None:
    """Remove what a killed run left half-made; the caller holds the lock of the out directory."""
    shutil.rmtree(out_path / ".work", ignore_errors=True)


def _by_target(jobs: Iterable[Job]) -> dict[str, tuple[Job, ...]]:
    grouped: dict[str, tuple[Job, ...]] = {}
    for job in jobs:
        grouped[job.target] = (*grouped.get(job.target, ()), job)
    return grouped


def _outcome(job: Job, chain: Chain) -> JobOutcome:
    records = chain.records
    srpm, reserved, tree = records.get("fetch"), records.get("reserve"), records.get("patch")
    evr = str(reserved.evr) if reserved else ""
    return JobOutcome(
        job=job,
        reason=reason(chain.outcomes, evr),
        source=srpm.origin if srpm else "",
        nevra=f"{srpm.name}-{reserved.evr}.src" if srpm and reserved else "",
        evr=evr,
        stages=tuple(chain.outcomes),
        unit=records.get("unit"),
        contracts=records.get("contracts"),
        lint=records.get("lint"),
        build=records.get("build"),
        changes=records.get("changes"),
        patches=tree.patches if tree else (),
        image=records.get("image"),
        srpm=srpm,
        provenance=records.get("provenance"),
    )


def _with_stages(jobs: Iterable[JobOutcome], more: Iterable[StageOutcome]) -> tuple[JobOutcome, ...]:
    """The stages that a target did for all its jobs, told with each of them."""
    added = tuple(more)
    return tuple(replace(job, stages=(*job.stages, *added)) for job in jobs)
