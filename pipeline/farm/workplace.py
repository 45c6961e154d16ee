# SPDX-License-Identifier: GPL-2.0-or-later
"""What a worker's process knows of itself: its checkout, its folder, and the version that it was started with."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import FarmError
from pipeline.farm.version import Version

_MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Workplace:
    """Where one worker works; each job has a folder of its own below `work_dir`, removed at its end."""

    name: str
    root_dir: Path
    work_dir: Path
    version: Version
    least_free_mib: int
    targets: tuple[str, ...]

    @property
    def jobs_dir(self) -> Path:
        return self.work_dir / "jobs"

    def free_mib(self) -> int:
        return shutil.disk_usage(self.work_dir).free // _MIB

    def lacks_disk(self) -> str:
        """Why no job may begin here; empty if one may."""
        free_mib = self.free_mib()
        if free_mib >= self.least_free_mib:
            return ""
        return f"{self.work_dir} has {free_mib} MiB free, and [farm] least_free_mib is {self.least_free_mib}"


class _Office:
    """The one workplace of this process: what the scheduler sends finds it here."""

    place: Workplace | None = None
    note: Callable[[str], None] = staticmethod(lambda text: None)
    ending = threading.Event()


def settle(place: Workplace, note: Callable[[str], None] = lambda text: None) -> None:
    """This process works there from now on, and tells its own people by `note` what it does."""
    _Office.place = place
    _Office.note = staticmethod(note)
    _Office.ending.clear()


def current() -> Workplace:
    """Raises: FarmError in a process that is no worker of ours."""
    if _Office.place is None:
        raise FarmError(
            "no-workplace",
            "it was not started by the pipeline, so it has no checkout to work in",
            hint="start it by `.venv/bin/nox -s worker`, or with the preload that docs/farm.md has",
        )
    return _Office.place


def note(text: str) -> None:
    _Office.note(text)


def leave() -> None:
    """Jobs that are being done are given up."""
    _Office.ending.set()


def is_ending() -> bool:
    return _Office.ending.is_set()
