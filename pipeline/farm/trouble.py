# SPDX-License-Identifier: GPL-2.0-or-later
"""An error of ours as data, and back: it is the same here as it was at the worker, and its log lies here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pipeline import errors
from pipeline.errors import CommandFailed, PipelineError
from pipeline.model import StageOutcome

_OUTPUT_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """The folders of one machine. What travels has marks in their place, so that texts name folders that are here."""

    root_dir: Path
    out_path: Path

    def marked(self, text: str) -> str:
        # The out directory may lie in the checkout: it goes first.
        return text.replace(str(self.out_path), "\0out\0").replace(str(self.root_dir), "\0root\0")

    def read(self, text: str) -> str:
        return text.replace("\0out\0", str(self.out_path)).replace("\0root\0", str(self.root_dir))


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """A PipelineError in plain values; `kind` is the name of its class."""

    kind: str
    reference: str
    message: str
    hint: str
    log: str
    reproduce: str
    command_exit_code: int = 0
    output: str = ""


def told(error: PipelineError, places: Places) -> Trouble:
    """The error as it can travel."""
    failed = error if isinstance(error, CommandFailed) else None
    return Trouble(
        kind=type(error).__name__,
        reference=error.reference,
        message=places.marked(error.message),
        hint=places.marked(error.hint),
        log=places.marked(str(error.log_path or "")),
        reproduce=places.marked(error.reproduce),
        command_exit_code=failed.command_exit_code if failed else 0,
        output=places.marked(failed.output[-_OUTPUT_BYTES:]) if failed else "",
    )


def error_of(trouble: Trouble, places: Places) -> PipelineError:
    """The error that was told, of its own class."""
    kind = getattr(errors, trouble.kind, None)
    known: type[PipelineError] = (
        kind if isinstance(kind, type) and issubclass(kind, PipelineError) else errors.BuildError
    )
    message, log = places.read(trouble.message), places.read(trouble.log)
    hint, reproduce = places.read(trouble.hint), places.read(trouble.reproduce)
    log_path = Path(log) if log else None
    if issubclass(known, CommandFailed):
        return known(
            trouble.reference,
            message,
            command_exit_code=trouble.command_exit_code,
            output=places.read(trouble.output),
            hint=hint,
            log_path=log_path,
            reproduce=reproduce,
        )
    return known(trouble.reference, message, hint=hint, log_path=log_path, reproduce=reproduce)


def marked(outcome: StageOutcome, places: Places) -> StageOutcome:
    """How a stage ended, as it can travel."""
    reason, hint, log = (places.marked(text) for text in (outcome.reason, outcome.hint, outcome.log))
    return replace(outcome, reason=reason, hint=hint, log=log)


def read(outcome: StageOutcome, places: Places, worker: str) -> StageOutcome:
    """How a stage ended, and where."""
    reason, hint, log = (places.read(text) for text in (outcome.reason, outcome.hint, outcome.log))
    return replace(outcome, reason=reason, hint=hint, log=log, where=worker)
