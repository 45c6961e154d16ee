# SPDX-License-Identifier: GPL-2.0-or-later
"""Stages one behind the other: each is done, or taken from the ledger, or planned."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from pipeline import results
from pipeline.context import TargetContext
from pipeline.errors import CommandFailed, Interrupted, PipelineError, interrupted
from pipeline.flow import Stage
from pipeline.ledger import Found, Ledger, digest_of
from pipeline.model import StageOutcome


class Chain:
    """The stages of one job, or of one target, with their records, outcomes and the first error."""

    def __init__(self, label: str, context: TargetContext, stages: Iterable[Stage], **records: Any) -> None:
        self._label = label
        self._context = context
        self._stages = tuple(stages)
        self._ledger = Ledger(context.home_dir, context.out_path)
        self.records: dict[str, Any] = records
        self.outcomes: list[StageOutcome] = []
        self.error: PipelineError | None = None
        self.failed_stage = ""

    def run(self, *, keep_going: bool = False) -> None:
        """Do what does not hold. Behind a failure the rest is skipped; with `keep_going`, only what needs it is."""
        progress = self._context.progress
        progress.log_state_to(self._context.log_path.with_name("state.log"))
        with progress.fold(self._label):
            for stage in self._stages:
                self._run_stage(stage, keep_going=keep_going)

    def _run_stage(self, stage: Stage, *, keep_going: bool) -> None:
        blocked = self._blocked(stage, keep_going=keep_going)
        if blocked:
            self._end(StageOutcome(stage=stage.name, result="skipped", reason=blocked))
            return
        started = time.monotonic()
        try:
            outcome = self._do(stage)
        except (PipelineError, KeyboardInterrupt) as caught:
            outcome = self._failed(stage, caught)
        self._end(replace(outcome, seconds=time.monotonic() - started))

    def plan(self, reason: str = "") -> str:
        """Tell what `run` would do. `reason` is why nothing before holds; returns why nothing behind does."""
        anew: list[str] = []
        for stage in self._stages:
            waits_for = [name for name in stage.needs if name in anew]
            why = reason or (f"{', '.join(waits_for)} is made anew" if waits_for else "")
            found = Found(record=None, reason=why) if why else self._look_up(stage, self._inputs(stage))
            if found.record is None:
                anew.append(stage.name)
                self.outcomes.append(StageOutcome(stage=stage.name, result="run", reason=found.reason))
            else:
                self.records[stage.name] = found.record
                self.outcomes.append(_cached(stage, found))
        return reason or (f"{anew[0]} is made anew" if anew else "")

    def holds(self) -> bool:
        """Whether there is nothing to do; it is told then as `run` tells it, else it is as if nobody had asked."""
        before = dict(self.records)
        started = time.monotonic()
        try:
            held = not self.plan()
        except PipelineError:
            held = False  # `run` meets it again, and tells it
        if not held:
            self.records, self.outcomes = before, []
            return False
        planned, self.outcomes = self.outcomes, []
        with self._context.progress.fold(self._label):
            for outcome in planned:
                self._end(replace(outcome, seconds=(time.monotonic() - started) / len(planned)))
        return True

    def _blocked(self, stage: Stage, *, keep_going: bool) -> str:
        """Why a stage cannot be done; empty if it can."""
        if self.error is None:
            return ""
        if isinstance(self.error, Interrupted) or not keep_going:
            return f"{self.failed_stage} failed" if not isinstance(self.error, Interrupted) else "interrupted"
        undone = [row.stage for row in self.outcomes if row.result in ("failed", "skipped")]
        return next((f"it needs {name}" for name in (*stage.needs, *stage.gates) if name in undone), "")

    def _failed(self, stage: Stage, caught: PipelineError | KeyboardInterrupt) -> StageOutcome:
        error = caught if isinstance(caught, PipelineError) else interrupted().with_traceback(caught.__traceback__)
        if self.error is None or isinstance(error, Interrupted):
            self.error, self.failed_stage = error, stage.name
        log = str(error.log_path or "")
        return StageOutcome(stage=stage.name, result="failed", reason=error.message, log=log, hint=error.hint)

    def _do(self, stage: Stage) -> StageOutcome:
        context = self._context_of(stage)
        started = time.monotonic()
        with context.progress.working(self._label, stage.name), _own_error(stage, context):
            inputs = self._inputs(stage)
            results.give_back(context.home_dir, stage.name)
            found = self._look_up(stage, inputs)
            if getattr(found.record, "junit", None) is None:
                results.forget(context.home_dir, stage.name)
            if found.record is not None:
                self.records[stage.name] = found.record
                return _cached(stage, found)
            record = stage.module().run(*self._given(stage), context=context)
            self.records[stage.name] = record
            if stage.changes_its_inputs:
                inputs = self._inputs(stage)
            now = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
            self._ledger.keep(stage.name, record, inputs, finished=now, seconds=time.monotonic() - started)
        log = str(context.log_path) if context.log_path.exists() else ""
        return StageOutcome(stage=stage.name, result="ok", reason=found.reason, log=log)

    def _inputs(self, stage: Stage) -> dict[str, str]:
        own: dict[str, str] = stage.module().inputs(*self._given(stage), context=self._context_of(stage))
        before = {name: digest_of(self.records[name]) for name in stage.needs}
        return {"stage version": str(stage.version), **before, **own}

    def _look_up(self, stage: Stage, inputs: dict[str, str]) -> Found:
        return self._ledger.find(stage.name, stage.record, inputs)

    def _given(self, stage: Stage) -> tuple[Any, ...]:
        return tuple(self.records[name] for name in stage.needs)

    def _context_of(self, stage: Stage) -> TargetContext:
        return replace(self._context, log_path=self._context.log_path.with_name(f"{stage.name}.log"))

    def _end(self, outcome: StageOutcome) -> None:
        self.outcomes.append(outcome)
        self._context.progress.ended(self._label, outcome)


def _cached(stage: Stage, found: Found) -> StageOutcome:
    return StageOutcome(stage=stage.name, result="cached", reason=found.reason, finished=found.finished)


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
        where = f" at {error.filename}" if error.filename else ""
        raise stage.error(
            "input-output",
            f"{error.strerror or error}{where}",
            hint="free space or mend the rights there, then run the same again: nothing half-made is taken for done",
            log_path=context.log_path,
        ) from error
