# SPDX-License-Identifier: GPL-2.0-or-later
"""One invocation: which chains to run or plan, and how they ended."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import results
from pipeline.chain import Chain
from pipeline.context import JobContext, TargetContext
from pipeline.engines.base import Engine
from pipeline.engines.choice import engine_of, engine_or_given
from pipeline.engines.given import GivenEngine
from pipeline.errors import Interrupted, NetworkError, PipelineError
from pipeline.flow import JOB_STAGES, STAGES, TARGET_STAGES, Stage, needed_for
from pipeline.matrix import Failure, Matrix, stops
from pipeline.mirrors import lease
from pipeline.mirrors.destination import find_destination
from pipeline.mirrors.snapshot import publisher
from pipeline.model import Image, Job, JobOutcome, Publication, StageOutcome
from pipeline.progress import Progress
from pipeline.reasons import reason
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.farm.farm import Farm


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetOutcome:
    """How the jobs of one target ended, and what stands on its mirror.

    `error` is the first of the `failures` of its jobs, or what its own stages met.
    """

    target: str
    jobs: tuple[JobOutcome, ...]
    publication: Publication | None = None
    error: PipelineError | None = None
    failed_stage: str = ""
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Run:
    """What to do up to `last_stage`; each attempt has log folders of its own name.

    `images` are what those jobs were built in that came from other machines: none of it is built here. With a `farm`,
    its workers do what needs an engine.
    """

    settings: Settings
    progress: Progress
    last_stage: str
    attempt: str
    images: Mapping[Job, Image] = field(default_factory=dict)
    farm: Farm | None = None
    _engines: dict[str, Engine] = field(default_factory=dict)

    def perform(self, jobs: Iterable[Job], *, keep_going: bool = False) -> tuple[TargetOutcome, ...]:
        """Run what is needed: all jobs side by side, then the repository of each target whose jobs all ended well.

        A failure ends the run; with `keep_going` only what needs it is left out.
        """
        outcomes: list[TargetOutcome] = []
        all_jobs = tuple(jobs)
        try:
            unusable = dict(self._unusable(all_jobs))
            usable = [] if unusable and not keep_going else [job for job in all_jobs if job.target not in unusable]
            matrix = self._matrix(usable, keep_going=keep_going)
            matrix.perform()
            for target, target_jobs in _by_target(all_jobs).items():
                if target in unusable:
                    outcomes.append(unusable[target])
                elif usable and not any(stops(outcome.error, keep_going=keep_going) for outcome in outcomes):
                    outcomes.append(self._finish(target, target_jobs, matrix))
        finally:
            self._tell_missing_tests(all_jobs, outcomes)
        return tuple(outcomes)

    def refuse(self, jobs: Iterable[Job], error: PipelineError) -> None:
        """No test result of an earlier run stays where this one was refused. The caller holds the lock."""
        for job in jobs:
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
        all_jobs = tuple(jobs)
        matrix = self._matrix(all_jobs)
        matrix.plan()
        outcomes: list[JobOutcome] = []
        for target, target_jobs in _by_target(all_jobs).items():
            chains = [matrix.chains[job] for job in target_jobs]
            anew = next((f"{_whose(job, target_jobs)}{name} is made anew" for job in target_jobs
                         for name in matrix.chains[job].anew), "")  # fmt: skip
            signed = tuple(chain.records.get("sign") for chain in chains)
            chain = Chain(target, self._target_context(target), self._wanted(TARGET_STAGES), sign=signed)
            chain.plan(anew)
            planned = [self._foreseen(_outcome(job, matrix), matrix.chains[job]) for job in target_jobs]
            outcomes.extend(_with_stages(planned, chain.outcomes))
        return tuple(outcomes)

    def _matrix(self, jobs: Iterable[Job], *, keep_going: bool = False) -> Matrix:
        wanted = self._wanted(JOB_STAGES)
        chains = {job: Chain(str(job), self.job_context(job), wanted) for job in jobs}
        return Matrix(settings=self.settings, chains=chains, keep_going=keep_going, farm=self.farm)

    def _foreseen(self, planned: JobOutcome, chain: Chain) -> JobOutcome:
        """The planned job with the releases that it would get and that were never published, as far as can be told."""
        srpm = chain.records.get("fetch")
        if srpm is None or "reserve" not in needed_for(self.last_stage):
            return planned
        tree, image = (chain.records.get(name) for name in STAGES["reserve"].needs)
        try:
            foreseen = (
                STAGES["reserve"]
                .module()
                .foresee(srpm, tree, image, context=chain.context, held=chain.records.get("reserve"))
            )
        except NetworkError as error:
            self.progress.warning(f"{planned.job}: {error.message}, so which release it would be is not known")
            return planned
        return replace(planned, evr=planned.evr or str(foreseen.next), unpublished=foreseen.unpublished)

    def _finish(self, target: str, jobs: tuple[Job, ...], matrix: Matrix) -> TargetOutcome:
        """Make and publish the repository of a target, if all its jobs ended well."""
        done = [_outcome(job, matrix) for job in jobs]
        signed = tuple(matrix.chains[job].records.get("sign") for job in jobs)
        chain = Chain(target, self._target_context(target), self._wanted(TARGET_STAGES), sign=signed)
        failures = matrix.failures(jobs)
        if failures:
            # A repository without one of its packages is no release: it stays as it was.
            first = failures[0]
            whose = _whose(first.job, jobs) if first.job else ""
            chain.skip("interrupted" if isinstance(first.error, Interrupted) else f"{whose}{first.stage} failed")
            return TargetOutcome(
                target=target,
                jobs=_with_stages(done, chain.outcomes),
                error=first.error,
                failed_stage=first.stage,
                failures=failures,
            )
        failed, failed_stage = self._run_locked(target, chain)
        return TargetOutcome(
            target=target,
            jobs=_with_stages(done, chain.outcomes),
            publication=chain.records.get("publish"),
            error=failed,
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
            chain.fail(locked)
            return locked, "repo"
        return chain.error, chain.failed_stage

    def _unusable(self, jobs: tuple[Job, ...]) -> Iterator[tuple[str, TargetOutcome]]:
        """The outcomes of targets whose commands have nowhere to run; other targets are not their business."""
        for target, target_jobs in _by_target(jobs).items():
            try:
                self._engine(target)
            except PipelineError as error:
                wanted = (*self._wanted(JOB_STAGES), *self._wanted(TARGET_STAGES))
                failed = StageOutcome(stage="image", result="failed", reason=error.message, hint=error.hint)
                left = [StageOutcome(stage=each.name, result="skipped", reason="image failed") for each in wanted[1:]]
                self.progress.ended(target, failed)
                self.progress.skipped(target, left)
                outcomes = tuple(JobOutcome(job=job, stages=(failed, *left)) for job in target_jobs)
                yield target, TargetOutcome(target=target, jobs=outcomes, error=error, failed_stage="image")

    def _engine(self, target: str) -> Engine:
        """One for all jobs of a target, and for its own stages. Raises: EngineError."""
        if self.farm is not None:
            return self.farm.engine(target)
        if target not in self._engines:
            given = next((image for job, image in self.images.items() if job.target == target), None)
            engine = engine_or_given(self.settings, target, given) if given else engine_of(self.settings, target)
            self._engines[target] = engine
        return self._engines[target]

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
            target=self.settings.target_of(job),
            engine=GivenEngine(self.images[job]) if job in self.images else self._engine(job.target),
            progress=self.progress,
            home_dir=home_dir,
            log_path=home_dir / "logs" / self.attempt / "stage.log",
            job=job,
            package=self.settings.packages[job.package],
        )

    def _target_context(self, target: str) -> TargetContext:
        home_dir = self.settings.out_path / target
        return TargetContext(
            settings=self.settings,
            target_name=target,
            target=self.settings.target(target),
            engine=self._engine(target),
            progress=self.progress,
            home_dir=home_dir,
            log_path=home_dir / "logs" / self.attempt / "stage.log",
        )


def _whose(job: Job, jobs: Collection[Job]) -> str:
    """The package's name before what is said of it, where there are others."""
    return f"{job.package}: " if len(jobs) > 1 else ""


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


def _outcome(job: Job, matrix: Matrix) -> JobOutcome:
    chain = matrix.chains[job]
    records = chain.records
    srpm, reserved, tree = records.get("fetch"), records.get("reserve"), records.get("patch")
    evr = str(reserved.evr) if reserved else ""
    return JobOutcome(
        job=job,
        needs=matrix.needs.get(job),
        because=matrix.because.get(job),
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
