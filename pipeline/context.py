# SPDX-License-Identifier: GPL-2.0-or-later
"""What a stage is given besides its records: settings, the engine, and where to write."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pipeline.engines.base import Engine
from pipeline.model import Dependency, Job
from pipeline.progress import Progress
from pipeline.settings import Settings
from pipeline.settingtables import PackageSettings, TargetSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetContext:
    """For stages that serve all packages of a target; `home_dir` is `out/<target>`."""

    settings: Settings
    target_name: str
    target: TargetSettings
    engine: Engine
    progress: Progress
    home_dir: Path
    log_path: Path

    @property
    def out_path(self) -> Path:
        return self.settings.out_path

    @property
    def scratch_dir(self) -> Path:
        """Where workspaces and half-made things lie; emptied when a run starts."""
        return self.settings.out_path / ".work"


@dataclass(frozen=True, kw_only=True, slots=True)
class JobContext(TargetContext):
    """For stages that serve one package; `home_dir` is `out/<target>/<package>`, `needs` what it is built on."""

    job: Job
    package: PackageSettings
    needs: tuple[Dependency, ...] = ()

    @property
    def patches_dir(self) -> Path:
        return self.settings.root_dir / "patches" / self.job.package

    @property
    def specs_dir(self) -> Path:
        return self.settings.root_dir / "specs" / self.job.package

    @property
    def patched_dir(self) -> Path:
        """Everything that runs against a tree, and the runner."""
        return _patched_dir(self.settings.root_dir)

    @property
    def tests_dir(self) -> Path:
        """The tests that the patched tree must pass."""
        return self.patched_dir / self.job.package

    @property
    def contracts_dir(self) -> Path:
        """The contracts that patched tree and packages must keep."""
        return self.patched_dir / "contracts" / self.job.package

    @property
    def runner_path(self) -> Path:
        return self.patched_dir / "runner.py"


@lru_cache(maxsize=4)  # every job asks for it, several times
def _patched_dir(root_dir: Path) -> Path:
    return (root_dir / "tests" / "patched").resolve()
