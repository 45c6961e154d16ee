# SPDX-License-Identifier: GPL-2.0-or-later
"""The jobs of a run: made ready side by side, then each done behind those that it is built on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any, cast

from pipeline import parallel, slots
from pipeline.chain import Chain
from pipeline.context import JobContext
from pipeline.errors import Interrupted, OrderError, PipelineError, interrupted
from pipeline.flow import JOB_STAGES, needed_for
from pipeline.model import Job, Relations
from pipeline.order import graph
from pipeline.order.made import Made
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.farm.farm import Farm

# Its stages tell what a job is built on; what needs this one has to wait for that.
_READY = needed_for("relations")
_ORDERED = "reserve"
_BUILT_ON_OTHERS = (_ORDERED, "baseline")
_BEFORE_BUILDS = (_ORDERED, "render")


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """What failed at which stage, of which job if it was one's."""

    error: PipelineError
    stage: str
    job: Job | None = None


@dataclass
class Matrix:
    """The chains of all jobs of a run. What each is built on, and whose failure stopped it, is found out on the way.

    `needs` has no entry for a job of which that is not known. With a `farm`, its workers do what needs an engine.
    """

    settings: Settings
    chains: Mapping[Job, Chain]
    keep_going: bool = False
    farm: Farm | None = None
    needs: dict[Job, tuple[Job, ...]] = field(default_factory=dict)
    because: dict[Job, Job] = field(default_factory=dict)
    unsaid: dict[str, OrderError] = field(default_factory=dict)

    def perform(self) -> None:
        """Run all chains, as far as they can be. Behind ctrl-C each of them has an end that says so."""
        try:
            if self._is_ordered:
                self._each({}, lambda job: self._run(job, upto=_READY))
                self._order()
            self._each(self.needs, self._make)
        except KeyboardInterrupt as caught:
            self._interrupt(interrupted().with_traceback(caught.__traceback__))
        self._refuse_unsaid()
        left = self._why_left()
        for chain in self.chains.values():
            chain.skip(f"{chain.failed_stage} failed" if chain.error else left)

    def plan(self) -> None:
        """Tell what `perform` would do."""
        free = {stage.name for stage in JOB_STAGES if needed_for(stage.name).isdisjoint(_BUILT_ON_OTHERS)}
        for chain in self.chains.values():
            chain.plan(upto=free)
        if self._is_ordered:
            self._order()
        for job in self._in_order():
            self._plan(job)

    def _plan(self, job: Job) -> None:
        anew = [need for need in self._needed_here(job) if "build" in self.chains[need].anew]
        may_be = " and may provide something else" if self.settings.rebuild_on == "provides" else ""
        reason = f"{anew[0].package} is made anew{may_be}" if anew else ""
        try:
            self._give_needs(job)
        except OrderError as error:
            reason = reason or error.message
        if not any("baseline" in self.chains[need].anew for need in anew):
            self.chains[job].plan(upto=[name for name in self.chains[job].left() if _ORDERED not in needed_for(name)])
        self.chains[job].plan(reason)

    @property
    def _is_ordered(self) -> bool:
        return any("relations" in chain.stages for chain in self.chains.values())

    def _each(self, needs: Mapping[Job, tuple[Job, ...]], work: Callable[[Job], None]) -> None:
        # Whoever waits for workers takes no place here; how many of these there are, the farm sees to.
        width = slots.width() if self.farm is None else max(1, len(self.chains))
        parallel.run_ordered(work, {job: needs.get(job, ()) for job in self.chains}, width=width)

    def _run(self, job: Job, *, upto: Collection[str] | None = None) -> None:
        if any(stops(chain.error, keep_going=self.keep_going) for chain in self.chains.values()):
            return
        if self.farm is not None:
            self._let_do(self.farm, job, upto)
        self.chains[job].run(keep_going=self.keep_going, upto=upto)

    def _let_do(self, farm: Farm, job: Job, upto: Collection[str] | None) -> None:
        """Have what needs an engine done by a worker, and before it what that needs of this machine."""
        chain = self.chains[job]
        if upto is None:
            chain.run(keep_going=self.keep_going, upto=_BEFORE_BUILDS)
        wanted = [stage for stage in JOB_STAGES if stage.in_engine and stage.name in chain.left(upto)]
        if not wanted or (chain.error and not self.keep_going) or chain.holds(upto=[each.name for each in wanted]):
            return
        context = cast(JobContext, chain.context)
        try:
            with context.progress.working(str(job), "at the farm"):
                brought = farm.ask(context, wanted, context.log_path.parent.name, keep_going=self.keep_going)
        except PipelineError as error:
            chain.fail(error)
        else:
            chain.take(brought.outcomes, brought.error)

    def _make(self, job: Job) -> None:
        """Do the rest of a job, if all that it is built on is there."""
        lacking = next((need for need in self._needed_here(job) if not self._is_good(need)), None)
        if lacking is not None:
            self.because[job] = self.because.get(lacking, lacking)
            self.chains[job].skip(f"it is built on {lacking}, which failed")
            return
        try:
            self._give_needs(job)
        except OrderError as error:
            self._fail(job, error)
        self._run(job)

    def _fail(self, job: Job, error: OrderError) -> None:
        """Nothing is built of a job of which nobody knows what it is built on."""
        for stage in _BUILT_ON_OTHERS:
            self.chains[job].fail(error, stage)

    def _order(self) -> None:
        """Find what each job is built on; one for which there is no order fails."""
        for target in dict.fromkeys(job.target for job in self.chains):
            known = self._known(target)
            around = Made(settings=self.settings).relations(target, but=known)
            read = {**around, **known}
            unread = [name for name in self.settings.packages
                      if self.settings.builds(name, target) and name not in read]  # fmt: skip
            order = graph.order_among({**read, **graph.guessed(unread, read)})
            for package in known:
                job = Job(package=package, target=target)
                self.needs[job] = tuple(Job(package=name, target=target) for name in order.needs[package])
                if package in order.faults:
                    self._fail(job, order.faults[package])
            for sentence in graph.near_misses(read) if self.settings.targets[target].nodeps else ():
                next(iter(self.chains.values())).context.progress.warning(f"{target}: {sentence}")

    def _known(self, target: str) -> dict[str, Relations]:
        """Package -> what the specs of this run say."""
        return {
            job.package: chain.records["relations"]
            for job, chain in self.chains.items()
            if job.target == target and "relations" in chain.records
        }

    def _refuse_unsaid(self) -> None:
        """Where a build has shown that the order was made without knowing all, those that are built fail."""
        made = Made(settings=self.settings)
        for target in dict.fromkeys(job.target for job in self.chains):
            known = self._known(target)
            built = {job.package: chain.records["build"] for job, chain in self.chains.items()
                     if job.target == target and chain.has("build")}  # fmt: skip
            try:
                if len(known) > 1:
                    made.refuse_unsaid(target, known, built)
            except OrderError as error:
                self.unsaid[target] = error

    def _give_needs(self, job: Job) -> None:
        """Let a job know what it is built on. Raises: OrderError for what is not there."""
        chain = self.chains[job]
        made, with_baseline = Made(settings=self.settings), "baseline" in chain.stages
        needs = tuple(
            made.dependency(job, need, self._records(need), with_baseline=with_baseline)
            for need in self.needs.get(job, ())
        )
        chain.context = replace(cast(JobContext, chain.context), needs=needs)

    def _records(self, job: Job) -> dict[str, Any] | None:
        """What this run has of a job; nothing where it does not build it, so that what was built before counts."""
        records = self.chains[job].records if job in self.chains else {}
        return records if "build" in records else None

    def _needed_here(self, job: Job) -> tuple[Job, ...]:
        """Those jobs of this run that one is built on."""
        return tuple(need for need in self.needs.get(job, ()) if need in self.chains)

    def _in_order(self) -> tuple[Job, ...]:
        return tuple(TopologicalSorter({job: self._needed_here(job) for job in self.chains}).static_order())

    def _is_good(self, job: Job) -> bool:
        return self.chains[job].error is None and job not in self.because

    def failures(self, jobs: Collection[Job]) -> tuple[Failure, ...]:
        """What keeps these jobs from their repository; ctrl-C first, then in their order."""
        failed = list(self._failed(jobs))
        if not failed and not all(self.chains[job].is_good for job in jobs):  # something else ended the run
            failed = list(self._failed(self.chains))
        unsaid = {job.target: self.unsaid[job.target] for job in jobs if job.target in self.unsaid}
        failed += [Failure(error=error, stage="build") for error in unsaid.values()]
        return tuple(sorted(failed, key=lambda each: not isinstance(each.error, Interrupted)))

    def _failed(self, jobs: Iterable[Job]) -> Iterator[Failure]:
        for job in jobs:
            chain = self.chains[job]
            if chain.error:
                yield Failure(error=chain.error, stage=chain.failed_stage, job=job)

    def _interrupt(self, error: Interrupted) -> None:
        """Ctrl-C came while this thread waited: the first of those at work tells it, if they did not."""
        if any(isinstance(chain.error, Interrupted) for chain in self.chains.values()):
            return
        for chain in self.chains.values():
            if chain.fail(error):
                return

    def _why_left(self) -> str:
        """Why a job did not come to all of its stages, if that was not its own doing."""
        failed = [(job, chain.error) for job, chain in self.chains.items() if chain.error]
        if any(isinstance(error, Interrupted) for _, error in failed):
            return "interrupted"
        return f"{failed[0][0]} failed" if failed else "not reached"


def stops(error: PipelineError | None, *, keep_going: bool) -> bool:
    """Whether an error ends the run, and not only what needs what failed."""
    return error is not None and (not keep_going or isinstance(error, Interrupted))
