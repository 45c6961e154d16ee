# SPDX-License-Identifier: GPL-2.0-or-later
"""What is left behind at a run's end: its history, and the page. Neither can change how the run ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.progress import Progress
from pipeline.report import page, record
from pipeline.run import TargetOutcome
from pipeline.settings import Settings


def conclude(
    told: record.Told, outcomes: Sequence[TargetOutcome], settings: Settings, progress: Progress
) -> Path | None:
    """Record the run and make the page, whose path is returned; what goes wrong is a warning.

    The caller holds the lock of the out directory.
    """
    try:
        record.write(told, outcomes, settings)
        written = page.write(settings.out_path)
    except Exception as error:  # whatever it is, what was published is published, and what failed is to be told
        progress.warning(f"no report of this run: {type(error).__name__}: {error}")
        return None
    warn(written, progress)
    return written.path


def again(out_path: Path, progress: Progress) -> None:
    """Make the page again, if there is one, since what it links to is no more."""
    if (out_path / page.NAME).is_file():
        try:
            page.write(out_path)
        except Exception as error:  # as above
            progress.warning(f"the report is as it was: {type(error).__name__}: {error}")


def warn(written: page.Written, progress: Progress) -> None:
    """Tell what of the history could not be read."""
    for name in written.unreadable:
        progress.warning(f"the report leaves out {name}")
