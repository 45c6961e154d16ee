# SPDX-License-Identifier: GPL-2.0-or-later
"""Stages, each behind those that it needs, side by side where they need nothing of each other.

Each is done, or taken from the ledger, or planned.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, NamedTuple

from pipeline import crew, parallel, results, slots
from pipeline.context import TargetContext
from pipeline.errors import CommandFailed, Interrupted, PipelineError, interrupted, words_of
from pipeline.flow import Stage
from pipeline.inputs import difference
from pipeline.ledger import Found, Ledger, digest_of
from pipeline.model import StageOutcome


class _Looked(NamedTuple):
    """What a stage would be done with, and what the ledger has of it."""

    inputs: dict[str, str]
    found: Found


_turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


class Chain:
    """The stages of one job, or of one target, with their records, outcomes and the first error."""

    def __init__(self, label: str, context: TargetContext, stages: Iterable[Stage], **records: Any) -> None:
        self._label = label
        self.context = context
        self._stages = {stage.name: stage for stage in stages}
        self._ledger = Ledger(context.home_dir, context.out_path)
        self._ended: dict[str, StageOutcome] = {}
        self._elsewhere: dict[str, StageOutcome] = {}
        self._looked: dict[str, _Looked] = {}
        self._shown = results.Shown()
        self.records: dict[str, Any] = records
        self.error: PipelineError | None = None
        self.failed_stage = ""

    @property
    def stages(self) -> Collection[str]:
        """The names of its stages."""
        return self._stages.keys()

    def left(self, upto: Collection[str] | None = None) -> list[str]:
        """The stages that have not ended, of all or of these."""
        return [name for name in self._stages if name not in self._ended and (upto is None or name in upto)]

    @property
    def outcomes(self) -> list[StageOutcome]:
        """How the stages ended that did, in the order of the flow."""
        return [self._ended[name] for name in self._stages if name in self._ended]

    def run(self, *, keep_going: bool = False, upto: Collection[str] | None = None) -> None:
        """Do what does not hold, of all stages or of those that are named `upto`, which need no others.

        Behind a failure no stage begins any more; with `keep_going`, only what needs it is left out.
        """
        wanted = {name: self._stages[name] for name in self.left(upto)}
        if not wanted:
            return
        with self._context_told() as context:

            def work(name: str) -> None:
                self._run_stage(wanted[name], context, keep_going=keep_going)

            try:
                self._take_what_holds(wanted, context)
                needs = {name: (*wanted[name].needs, *wanted[name].gates) for name in self.left(wanted)}
                # Its threads wait most of the time: what they run waits for a place of its own.
                parallel.run_ordered(work, needs, width=len(needs) if slots.width() > 1 else 1)
            except KeyboardInterrupt as caught:
                self._stopped(caught, wanted)

    def _take_what_holds(self, wanted: Mapping[str, Stage], context: TargetContext) -> None:
        """Look up one stage behind the other until one does not hold; most runs find nothing changed, and end here."""
        held: list[StageOutcome] = []
        for name, stage in wanted.items():
            if self.error or not all(before in self.records for before in (*stage.needs, *stage.gates)):
                break
            started = time.monotonic()
            try:
                looked = self._look(stage, context)
            except (PipelineError, OSError):
                break  # it is met again, and told, where the stage is done
            if looked.found.record is None:
                self._looked[name] = looked
                break
            held.append(self._held(stage, looked.found, time.monotonic() - started))
        self._ended |= {outcome.stage: outcome for outcome in held}
        context.progress.ended(self._label, *held)

    def skip(self, why: str, upto: Collection[str] | None = None) -> None:
        """Tell of the stages that did not come to be looked at that they will not."""
        left = [StageOutcome(stage=name, result="skipped", reason=why) for name in self.left(upto)]
        self._ended |= {row.stage: row for row in left}
        self.context.progress.skipped(self._label, left)

    def fail(self, error: PipelineError, stage: str = "") -> bool:
        """Let what stands in its way be the failure of a stage, by default the next one; whether that was to come."""
        name = stage or next(iter(self.left()), "")
        if name not in self._stages or name in self._ended:
            return False
        self._note(error, name)
        self._end(_failure(name, error), self.context)
        return True

    def has(self, stage: str) -> bool:
        """Whether a stage ended well, in this run or an earlier one."""
        return stage in self._ended and self._ended[stage].result in ("ok", "cached")

    @property
    def is_good(self) -> bool:
        """Whether all its stages ended, and well."""
        return all(map(self.has, self._stages))

    def _note(self, error: PipelineError, stage: str) -> None:
        if self.error is None or isinstance(error, Interrupted):
            self.error, self.failed_stage = error, stage

    @contextmanager
    def _context_told(self) -> Iterator[TargetContext]:
        """The context, whose progress tells of this chain alone."""
        with self.context.progress.chapter(self._label) as progress:
            progress.log_state_to(self.context.log_path.with_name("state.log"))
            yield replace(self.context, progress=progress)

    def _run_stage(self, stage: Stage, chain_context: TargetContext, *, keep_going: bool) -> None:
        with chain_context.progress.section() as progress:
            context = replace(chain_context, progress=progress)
            blocked = self._blocked(stage, keep_going=keep_going)
            if blocked:
                self._end(StageOutcome(stage=stage.name, result="skipped", reason=blocked), context)
                return
            started = time.monotonic()
            try:
                outcome = self._do(stage, context)
            except (PipelineError, KeyboardInterrupt) as caught:
                outcome = self._failed(stage, caught)
            if outcome is not self._elsewhere.get(stage.name):
                outcome = replace(outcome, seconds=time.monotonic() - started)
            self._end(outcome, context)

    def _stopped(self, caught: KeyboardInterrupt, wanted: Collection[str]) -> None:
        """Ctrl-C came while this thread waited: those at work have told it, if there were any."""
        if not isinstance(self.error, Interrupted):
            error, left = interrupted().with_traceback(caught.__traceback__), self.left(wanted)
            self._note(error, self.failed_stage)
            if left:
                self.fail(error, left[0])
        self.skip("interrupted", upto=wanted)

    def plan(self, reason: str = "", *, upto: Collection[str] | None = None) -> str:
        """Tell what `run` would do. `reason` is why nothing before holds; returns why nothing behind does."""
        anew = {*self.anew}
        for stage in [self._stages[name] for name in self.left(upto)]:
            waits_for = [name for name in stage.needs if name in anew]
            why = reason or (f"{', '.join(waits_for)} is made anew" if waits_for else "")
            found = Found(record=None, reason=why) if why else self._foresee(stage)
            if found.record is None:
                anew.add(stage.name)
                self._ended[stage.name] = StageOutcome(stage=stage.name, result="run", reason=found.reason)
            else:
                self.records[stage.name] = found.record
                self._ended[stage.name] = _cached(stage, found)
        return reason or next((f"{name} is made anew" for name in self.anew), "")

    @property
    def anew(self) -> list[str]:
        """The stages that a plan would do, in the order of the flow."""
        return [row.stage for row in self.outcomes if row.result == "run"]

    def holds(self, upto: Collection[str] | None = None) -> bool:
        """Whether there is nothing to do; it is told then as `run` tells it, else it is as if nobody had asked."""
        before, ended = dict(self.records), dict(self._ended)
        started = time.monotonic()
        try:
            self.plan(upto=upto)
            held = not self.anew
        except PipelineError:
            held = False  # `run` meets it again, and tells it
        if not held:
            self.records, self._ended = before, ended
            return False
        planned = [outcome for outcome in self.outcomes if outcome.stage not in ended]
        for outcome in planned:
            results.give_back(self.context.home_dir, outcome.stage)
        with self._context_told() as context:
            for outcome in planned:
                self._end(replace(outcome, seconds=(time.monotonic() - started) / len(planned)), context)
        return True

    def take(self, outcomes: Iterable[StageOutcome], error: PipelineError | None = None) -> None:
        """Let these be how stages ended that were done elsewhere: `run` finds their records, and tells them so."""
        for outcome in outcomes:
            if outcome.result in ("ok", "cached"):
                self._elsewhere[outcome.stage] = outcome
            elif outcome.result == "failed":
                if error is not None:
                    self._note(error, outcome.stage)
                self._end(outcome, self.context)

    def _blocked(self, stage: Stage, *, keep_going: bool) -> str:
        """Why a stage cannot be done; empty if it can."""
        if crew.current().is_ended:
            return "interrupted"
        if self.error is None:
            return ""
        if isinstance(self.error, Interrupted) or not keep_going:
            return f"{self.failed_stage} failed" if not isinstance(self.error, Interrupted) else "interrupted"
        undone = [row.stage for row in [*self._ended.values()] if row.result in ("failed", "skipped")]
        return next((f"it needs {name}" for name in (*stage.needs, *stage.gates) if name in undone), "")

    def _failed(self, stage: Stage, caught: PipelineError | KeyboardInterrupt) -> StageOutcome:
        error = caught if isinstance(caught, PipelineError) else interrupted().with_traceback(caught.__traceback__)
        if crew.current().is_ended and not isinstance(error, Interrupted):  # its command was ended, not wrong
            error = interrupted().with_traceback(caught.__traceback__)
        self._note(error, stage.name)
        return _failure(stage.name, error)

    def _do(self, stage: Stage, chain_context: TargetContext) -> StageOutcome:
        context = self._context_of(stage, chain_context)
        started = time.monotonic()
        with (
            context.progress.working(self._label, stage.name),
            _own_error(stage, context),
            _turn(stage),
            slots.having(stage.patience),
        ):
            looked = None if stage.alone else self._looked.pop(stage.name, None)  # others may have done it meanwhile
            inputs, found = looked or self._look(stage, context)
            if found.record is not None:
                return self._held(stage, found, time.monotonic() - started)
            self._shown.begin(context.home_dir, self._stages)
            record = stage.module().run(*self._given(stage), context=context)
            inputs = self._inputs_behind(stage, inputs, context)
            self.records[stage.name] = record
            now = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
            self._ledger.keep(stage.name, record, inputs, finished=now, seconds=time.monotonic() - started)
        log = str(context.log_path) if context.log_path.exists() else ""
        return StageOutcome(stage=stage.name, result="ok", reason=found.reason, log=log)

    def _inputs_behind(self, stage: Stage, before: dict[str, str], context: TargetContext) -> dict[str, str]:
        """What the record is of, now that the stage is done: what it was asked for may have been changed meanwhile."""
        now = self._inputs(stage, context)
        changed = difference(before, now)
        if changed and not stage.changes_its_inputs:
            raise stage.error(
                "changed-meanwhile",
                f"{stage.name} was at work when its input changed: {changed}",
                hint="run the same again: nothing of it was kept",
            )
        return now

    def _look(self, stage: Stage, context: TargetContext) -> _Looked:
        """What the stage would be done with now, and what there is of it."""
        inputs = self._inputs(stage, context)
        self._shown.look_at(context.home_dir, stage.name)
        found = self._ledger.find(stage.name, stage.record, inputs)
        if getattr(found.record, "junit", None) is None:
            results.forget(context.home_dir, stage.name)
        return _Looked(inputs, found)

    def _held(self, stage: Stage, found: Found, seconds: float) -> StageOutcome:
        self.records[stage.name] = found.record
        return self._elsewhere.get(stage.name) or replace(_cached(stage, found), seconds=seconds)

    def _inputs(self, stage: Stage, context: TargetContext) -> dict[str, str]:
        own: dict[str, str] = stage.module().inputs(*self._given(stage), context=context)
        before = {name: digest_of(self.records[name]) for name in stage.needs}
        return {"stage version": str(stage.version), **before, **own}

    def _foresee(self, stage: Stage) -> Found:
        """What there is of a stage, with all left where it lies: test results of a run before the last, too."""
        inputs, moved = self._inputs(stage, self.context), results.moved(self.context.home_dir, stage.name)
        return self._ledger.find(stage.name, stage.record, inputs, moved)

    def _given(self, stage: Stage) -> tuple[Any, ...]:
        return tuple(self.records[name] for name in stage.needs)

    def _context_of(self, stage: Stage, context: TargetContext) -> TargetContext:
        return replace(context, log_path=context.log_path.with_name(f"{stage.name}.log"))

    def _end(self, outcome: StageOutcome, context: TargetContext) -> None:
        self._ended[outcome.stage] = outcome
        context.progress.ended(self._label, outcome)


def _cached(stage: Stage, found: Found) -> StageOutcome:
    return StageOutcome(stage=stage.name, result="cached", reason=found.reason, finished=found.finished)


def _failure(stage: str, error: PipelineError) -> StageOutcome:
    log = str(error.log_path or "")
    return StageOutcome(stage=stage, result="failed", reason=error.message, log=log, hint=error.hint)


@contextmanager
def _turn(stage: Stage) -> Iterator[None]:
    """Wait until no other job is at a stage of which only one may be done at a time."""
    with _turns[stage.name] if stage.alone else nullcontext():
        yield


@contextmanager
def _own_error(stage: Stage, context: TargetContext) -> Iterator[None]:
    """What a stage did not foresee becomes its own error: a failed command, a full disk, a lost right.

    Whatever fails names the stage's log, if there is one: it has what led there.
    """
    try:
        yield
    except CommandFailed as error:
        raise stage.error(
            error.reference,
            error.message,
            hint=error.hint or "the log has the command's own words",
            log_path=error.log_path or context.log_path,
            reproduce=error.reproduce,
        ) from error
    except PipelineError as error:
        if error.log_path is None and not isinstance(error, Interrupted) and context.log_path.exists():
            error.log_path = context.log_path
        raise
    except OSError as error:
        raise stage.error(
            "input-output",
            words_of(error),
            hint="free space or mend the rights there, then run the same again: nothing half-made is taken for done",
            log_path=context.log_path,
        ) from error
