# SPDX-License-Identifier: GPL-2.0-or-later
"""Which test results a CI is shown: those of this run, or a red case that says why there are none.

Once something of a job is done anew, results of an earlier run lie aside until the stage that made them is found to
hold.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from pathlib import Path

from pipeline.errors import UnitError
from pipeline.model import StageOutcome

# The stages that write `junit/<name>.xml`.
_STAGES = ("unit", "contracts")


class Shown:
    """The results of one job, in the course of a run. Its stages may run side by side."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looked_at: set[str] = set()

    def look_at(self, home_dir: Path, stage: str) -> None:
        """Have a stage's results where they were, to see whether they hold."""
        with self._lock:
            self._looked_at.add(stage)
            give_back(home_dir, stage)

    def begin(self, home_dir: Path, stages: Collection[str]) -> None:
        """Something is done anew: take away what an earlier run left of the stages that nobody looked at."""
        with self._lock:
            set_aside(home_dir, {*stages} - self._looked_at)


def set_aside(home_dir: Path, stages: Collection[str]) -> None:
    """Take away what an earlier run of these stages left. What lies aside already is older than that, and holds."""
    for name in _shown(stages):
        path, aside = _path(home_dir, name), _aside(home_dir, name)
        if aside.exists():
            path.unlink(missing_ok=True)
        elif path.exists():
            aside.parent.mkdir(parents=True, exist_ok=True)
            path.replace(aside)


def give_back(home_dir: Path, stage: str) -> None:
    """Lay a stage's results where they were, to see whether they hold."""
    if stage in _STAGES and _aside(home_dir, stage).exists():
        _path(home_dir, stage).parent.mkdir(parents=True, exist_ok=True)
        _aside(home_dir, stage).replace(_path(home_dir, stage))


def moved(home_dir: Path, stage: str) -> dict[str, str]:
    """Where a stage's results lie that were taken away, for whoever only wants to know whether they hold."""
    if stage not in _STAGES or not _aside(home_dir, stage).exists():
        return {}
    return {str(_path(home_dir, stage)): str(_aside(home_dir, stage))}


def forget(home_dir: Path, stage: str) -> None:
    """Remove a stage's results, which do not hold."""
    if stage in _STAGES:
        _path(home_dir, stage).unlink(missing_ok=True)


def tell_missing(home_dir: Path, stages: Collection[str], outcomes: Iterable[StageOutcome], why: str) -> None:
    """Write a red case for each of these stages that did not end well and left none; `why` is for those not reached."""
    ended = {outcome.stage: outcome for outcome in outcomes}
    for name in _shown(stages):
        outcome = ended.get(name)
        if outcome is None or outcome.result == "skipped":
            set_aside(home_dir, [name])
        well = outcome is not None and outcome.result in ("ok", "cached")
        if not well and not _path(home_dir, name).exists():
            _write(home_dir, name, outcome.reason if outcome else why)


def _write(home_dir: Path, name: str, why: str) -> None:
    from pipeline import junit  # late: most runs have nothing to tell

    junit.write(_path(home_dir, name), [junit.not_run(name, UnitError("not-run", f"not run: {why}"))])


def _shown(stages: Collection[str]) -> list[str]:
    return [name for name in _STAGES if name in stages]


def _path(home_dir: Path, name: str) -> Path:
    return home_dir / "junit" / f"{name}.xml"


def _aside(home_dir: Path, name: str) -> Path:
    # No CI collects anything there.
    return home_dir / "ledger" / f"{name}.xml"
