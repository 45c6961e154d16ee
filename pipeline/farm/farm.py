# SPDX-License-Identifier: GPL-2.0-or-later
"""Jobs done elsewhere: what they need is sent, a worker does their stages, and what they made lies here then."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline import crew, results
from pipeline.context import JobContext
from pipeline.engines.given import GivenEngine
from pipeline.errors import FarmError, PipelineError, interrupted
from pipeline.farm import agreement, pool, remote, trouble
from pipeline.farm.letters import Answer, Asked
from pipeline.farm.pool import Pool
from pipeline.farm.shelf import Shelf
from pipeline.farm.trouble import Places
from pipeline.farm.turns import Patience, Turns
from pipeline.farm.version import version_of
from pipeline.flow import Stage
from pipeline.ledger import digest_of
from pipeline.model import Dependency, Image, Job, StageOutcome
from pipeline.parcels.packing import pack
from pipeline.parcels.unpacking import unpack
from pipeline.progress import Progress
from pipeline.settings import Settings

# After the first worker, so many others are asked.
_MORE_TRIES = 3
_LOOK_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Brought:
    """How a job's stages ended at a worker; with an `error` those behind it are skipped, or not told at all."""

    outcomes: tuple[StageOutcome, ...]
    error: PipelineError | None = None


class Farm:
    """The workers, for one run. Each call may come from a thread of its own."""

    def __init__(self, found: Pool, settings: Settings, shelf: Shelf, progress: Progress, *, run: str) -> None:
        self._pool = found
        self._settings = settings
        self._shelf = shelf
        self._progress = progress
        self._run = run
        self._version = version_of(settings.root_dir)
        self._turns = Turns()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._images: dict[str, Image] = {}
        self._sent: dict[tuple[Job, str], str] = {}
        self._full: set[str] = set()
        self._missed: set[str] = set()
        self._begun_at: dict[str, str] = {}
        found.listen(run, self._begun)

    def engine(self, target: str) -> GivenEngine:
        """What workers have for a target, for the stages here. Raises: FarmError when they cannot be used for it."""
        with self._lock:
            if target not in self._images:
                told = self._pool.facts(self._settings.engine_override)
                resource = self._settings.resource(target)
                self._images[target] = agreement.image_of(target, resource, told, self._version)
                for each in told:
                    if each.no_disk and each.image(target):
                        self._leave_out(each.worker, each.no_disk)
            return GivenEngine(self._images[target])

    def bring(self, context: JobContext, stages: Sequence[Stage], attempt: str) -> tuple[StageOutcome, ...]:
        """How these stages of the job ended at a worker; their results lie in the out directory, for the ledger.

        Raises: FarmError when nobody could do them; the error of the stage that failed, as here; Interrupted.
        """
        brought = self.ask(context, stages, attempt)
        if brought.error is not None:
            raise brought.error
        return brought.outcomes

    def ask(self, context: JobContext, stages: Sequence[Stage], attempt: str, *, keep_going: bool = False) -> Brought:
        """As `bring`, but a stage that fails is told with the others. Raises: FarmError, Interrupted."""
        parcels = self._send(context, stages)
        try:
            answer = self._answer(replace(self._asked(context, stages, attempt, parcels), keep_going=keep_going))
        finally:
            # Those that others are built on are sent once and stay until the end.
            self._shelf.drop(*set(parcels).difference(self._sent.values()))
        return self._take(answer, context, stages)

    def stop(self) -> None:
        """Give up all that is under way, as soon as it can be: whoever waits is told that it was interrupted."""
        self._stopped.set()

    def _asked(self, context: JobContext, stages: Sequence[Stage], attempt: str, parcels: tuple[str, ...]) -> Asked:
        settings = context.settings
        return Asked(
            job=context.job,
            stages=tuple(stage.name for stage in stages),
            attempt=attempt,
            run=self._run,
            version=self._version,
            image=self.engine(context.target_name).identify(),
            parcels=parcels,
            needs=context.needs,
            source=str(settings.source_override or ""),
            engine=settings.engine_override,
            offline=settings.offline,
        )

    def _send(self, context: JobContext, stages: Sequence[Stage]) -> tuple[str, ...]:
        """Lay the job's state, and that of what it is built on, into the store."""
        for stage in stages:
            results.give_back(context.home_dir, stage.name)
        own = (self._put(context.home_dir, context),) if (context.home_dir / "ledger").is_dir() else ()
        return (*(self._put_once(need, context) for need in context.needs), *own)

    def _put_once(self, need: Dependency, context: JobContext) -> str:
        job = Job(package=need.package, target=context.target_name)
        key = (job, digest_of(need))
        with self._lock:
            if key not in self._sent:
                self._sent[key] = self._put(context.home_dir.with_name(need.package), context)
            return self._sent[key]

    def _put(self, home_dir: Path, context: JobContext) -> str:
        path = context.scratch_dir / f"parcel-{uuid.uuid4().hex[:12]}"
        try:
            pack(home_dir, context.out_path, path)
            return self._shelf.put(path)
        finally:
            path.unlink(missing_ok=True)

    def _answer(self, asked: Asked) -> Answer:
        """What a worker said that did the job; one that could not is told by name, and the job goes to another."""
        avoided, resource = set(self._full), self._settings.resource(asked.job.target)
        for tries_left in reversed(range(_MORE_TRIES + 1)):
            answer = self._ask_one(asked, avoided)
            if answer.kind == "done":
                return answer
            if answer.kind == "stopped":
                self._refuse_if_stopped()
            else:
                avoided.add(answer.worker)
            if answer.kind == "no-disk":
                self._leave_out(answer.worker, answer.why)
            if answer.kind == "died" and not self._pool.slots(resource, avoided):
                avoided.discard(answer.worker)  # there is nobody else, and what was killed may live the next time
            if not tries_left or not self._pool.slots(resource, avoided):
                raise FarmError(
                    answer.kind if answer.kind != "died" else "worker-lost",
                    f"{asked.job}: the worker {answer.worker} could not do it, and no other is left: {answer.why}",
                    hint=answer.hint or "start another worker, then run the same again",
                )
            where = "is done once more" if answer.worker not in avoided else "goes to another worker"
            self._progress.warning(f"{asked.job} {where}: at {answer.worker} {answer.why}")
        raise AssertionError("the last try ends above")

    def _begun(self, told: dict[str, str]) -> None:
        """A worker begins a job. dask gives one anew whose worker died, and says so to nobody."""
        before = self._begun_at.get(told["ticket"])
        self._begun_at[told["ticket"]] = told["name"]
        if before is not None:
            why = f"the worker {before} went away while it did it"
            self._progress.warning(f"{told['job']} is begun again at {told['name']}: {why}")

    def _leave_out(self, worker: str, why: str) -> None:
        if worker not in self._full:
            self._full.add(worker)
            self._progress.warning(f"the worker {worker} is left out: {why}")

    def _ask_one(self, asked: Asked, avoided: set[str]) -> Answer:
        resource = self._settings.resource(asked.job.target)
        patience = Patience(self._settings.farm.wait_seconds, resource)

        def look(slots: int) -> None:
            self._refuse_if_stopped()
            patience.look(slots)

        def slots() -> int:
            there = self._pool.slots(resource, avoided)
            self._tell_of_none(resource, there)
            return there

        with self._turns.turn(resource, slots, look):
            self._refuse_if_stopped()
            ticket = uuid.uuid4().hex[:12]
            future = self._pool.executor(resource, avoided).submit(remote.work, replace(asked, ticket=ticket))
            try:
                return self._wait(future, lambda: look(slots()), asked)
            finally:
                future.cancel()  # what is done does not mind

    def _tell_of_none(self, resource: str, slots: int) -> None:
        """Say once that all workers are gone for whom something waits, and again when that comes again."""
        with self._lock:
            is_new = not slots and resource not in self._missed
            (self._missed.discard if slots else self._missed.add)(resource)
        if is_new:
            seconds = self._settings.farm.wait_seconds
            self._progress.warning(
                f"no worker with the resource {resource} is there: one is waited for, up to {seconds:g} seconds"
            )

    def _wait(self, future: Future[Answer], look: Callable[[], None], asked: Asked) -> Answer:
        while True:
            try:
                return future.result(timeout=_LOOK_SECONDS)
            except TimeoutError:
                if not future.done():
                    look()
            except CancelledError:
                self._refuse_if_stopped()
                raise pool.lost(self._settings.farm) from None
            except PipelineError:
                raise
            except Exception as error:  # dask's own, and whatever another version says
                died = type(error).__name__ == "KilledWorker"
                raise FarmError(
                    "job-lost",
                    f"{asked.job} cannot be done by the farm: {type(error).__name__}: {' '.join(str(error).split())}",
                    hint="look at the workers' logs: they ended while they did it, one after the other"
                    if died
                    else "look whether all machines of the farm have this version: docs/farm.md says how to update it",
                ) from error

    def _refuse_if_stopped(self) -> None:
        """Raises: Interrupted when this run shall end."""
        if self._stopped.is_set() or crew.current().is_ended:
            raise interrupted()

    def _take(self, answer: Answer, context: JobContext, stages: Sequence[Stage]) -> Brought:
        places = Places(root_dir=self._settings.root_dir, out_path=context.out_path)
        if answer.parcel:
            self._unpack(answer, context)
        outcomes = tuple(trouble.read(outcome, places, answer.worker) for outcome in answer.outcomes)
        held = {row.stage for row in outcomes if row.result != "skipped"}
        results.set_aside(context.home_dir, [stage.name for stage in stages if stage.name not in held])
        for text in answer.warnings:
            self._progress.warning(f"{context.job} at {answer.worker}: {places.read(text)}")
        error = trouble.error_of(answer.trouble, places) if answer.trouble else None
        return Brought(outcomes=outcomes, error=error)

    def _unpack(self, answer: Answer, context: JobContext) -> None:
        path = context.scratch_dir / f"parcel-{uuid.uuid4().hex[:12]}"
        try:
            self._shelf.get(answer.parcel, path)
            found = unpack(path, context.out_path)
        finally:
            path.unlink(missing_ok=True)
            self._shelf.drop(answer.parcel)
        if found != context.job:
            raise FarmError(
                "parcel-other",
                f"the worker {answer.worker} was asked for {context.job} and sent {found}",
                hint=f"start the worker {answer.worker} anew; what it sent is made anew by the next run",
            )
