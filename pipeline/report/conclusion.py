# SPDX-License-Identifier: GPL-2.0-or-later
"""What is left behind at a run's end: results, history, page. None of it can change how the run ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from pipeline import document
from pipeline.errors import PipelineError
from pipeline.progress import Progress
from pipeline.report import page, record
from pipeline.run import TargetOutcome
from pipeline.settings import Settings

T = TypeVar("T")


def conclude(
    told: record.Told, outcomes: Sequence[TargetOutcome], settings: Settings, progress: Progress
) -> Path | None:
    """Write the results, record the run and make the page, whose path is returned; what goes wrong is a warning.

    The caller holds the lock of the out directory.
    """
    for name, write in document.results(outcomes, settings):
        attempt(f"{name} is not written", write, progress)
    attempt("no history of this run", lambda: record.write(told, outcomes, settings), progress)
    written = attempt("no report of this run", lambda: page.write(settings.out_path, told.attempt), progress)
    if written is None:
        return None
    warn(written, progress)
    return written.path


def again(out_path: Path, progress: Progress) -> None:
    """Make the page again, if there is one, since what it links to is no more."""
    if (out_path / page.NAME).is_file():
        attempt("the report is as it was", lambda: page.write(out_path), progress)


def warn(written: page.Written, progress: Progress) -> None:
    """Tell what of the history could not be read."""
    for name in written.unreadable:
        progress.warning(f"the report leaves out {name}")


def attempt(otherwise: str, work: Callable[[], T], progress: Progress) -> T | None:
    """What the work returns, or a warning: whatever it is, what was published is published, and what failed is told."""
    try:
        return work()
    except PipelineError as error:
        why = f"{error.message}; {error.hint}" if error.hint else error.message
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    progress.warning(f"{otherwise}: {why}")
    return None
