# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the refresh of a package lies, and the line to type that has it go on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline import command
from pipeline.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Home:
    """The folders of one package's refresh: the tree, the series as it was at the start, and the new one."""

    settings: Settings
    package: str

    @property
    def patches_dir(self) -> Path:
        """The series that is to be replaced."""
        return self.settings.root_dir / "patches" / self.package

    @property
    def path(self) -> Path:
        return self.settings.out_path / "refresh" / self.package

    @property
    def tree_dir(self) -> Path:
        return self.path / "tree"

    @property
    def series_dir(self) -> Path:
        return self.path / "series"

    @property
    def new_dir(self) -> Path:
        return self.path / "new"

    def line(self, *words: str) -> str:
        """The line to type that has this refresh go on, wherever it lies."""
        settings = self.settings
        elsewhere = settings.out_path != settings.root_dir / settings.out_dir
        out = ["--out", str(settings.out_path)] if elsewhere else []
        package = ["--package", self.package] if len(settings.packages) > 1 else []
        return command.shown([".venv/bin/nox", "-s", "refresh", "--", *words, *package, *out])
