# SPDX-License-Identifier: GPL-2.0-or-later
"""An engine that somebody else has: what it is stands in records, and no command runs in it here."""

from __future__ import annotations

from pathlib import Path

from pipeline.engines.base import Engine, Workspace
from pipeline.errors import EngineError
from pipeline.model import Image


class GivenEngine(Engine):
    """What workers or runners have for a target. Its stages come from there, and are only looked up here."""

    def __init__(self, image: Image) -> None:
        self.name = image.engine
        self._image = image

    def identify(self) -> Image:
        return self._image

    def _make_dir(self, parent_dir: Path) -> Path:
        raise EngineError(
            "engine-elsewhere",
            f"this stage runs in {self._image.reference or self._image.engine} on other machines, and what came"
            " from there does not hold here",
            hint="see that all have the same checkout and the same source, then run the same again",
        )

    def _open(self, dir_path: Path, read_only: tuple[Path, ...]) -> Workspace:
        raise AssertionError("no folder is made for it")
