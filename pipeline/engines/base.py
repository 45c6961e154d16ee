# SPDX-License-Identifier: GPL-2.0-or-later
"""Where commands run: this host, or a podman or docker container.

A stage asks for a workspace, puts files into its folder, runs commands that see the folder under
`inside()`, and takes results out. In a container the folder is always `/workspace`, on this host
`/tmp/vdsm-pipeline-work` where the machine lets us: rpm cannot build below a path with a space in
it, and paths and host names that differ from run to run end up in packages.
"""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.command import CommandResult
from pipeline.errors import EngineError
from pipeline.model import EngineName, Image

# What commands take for the name of their machine: it ends up in packages.
HOST_NAME = "localhost"


@dataclass(kw_only=True)
class Workspace(ABC):
    """A private, empty folder and the way to run commands that see it."""

    dir: Path
    read_only: tuple[Path, ...] = ()

    @abstractmethod
    def inside(self, path: Path) -> str:
        """The path as commands see it, for a path in the workspace or in a read-only folder."""

    @abstractmethod
    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_seconds: float,
        log_path: Path | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        capture: bool = False,
    ) -> CommandResult:
        """Run a command without network. Raises: as `command.run`, and EngineError."""


class Engine(ABC):
    """A kind of place to run commands in."""

    name: EngineName

    @abstractmethod
    def identify(self) -> Image:
        """What decides results here: an image by its digest, or the versions of the host's tools."""

    @contextmanager
    def workspace(self, parent_dir: Path, *, read_only: Sequence[Path] = ()) -> Iterator[Workspace]:
        """A new workspace below `parent_dir`, removed at the end whatever happens."""
        dir_path = self._make_dir(parent_dir)
        try:
            yield self._open(dir_path, tuple(path.resolve() for path in read_only))
        finally:
            shutil.rmtree(dir_path, ignore_errors=True)

    def with_packages(
        self, rpms: Sequence[Path], parent_dir: Path, *, nodeps: bool, log_path: Path | None = None
    ) -> AbstractContextManager[Engine]:
        """An engine like this one whose commands see these RPMs installed; nothing of them stays behind it.

        With `nodeps` it does not matter what else they require. What is made for it lies below `parent_dir`.

        Raises: CommandTimedOut, EngineError.
        """
        raise EngineError(
            "no-packages-here",
            f"engine '{self.name}' cannot be given {', '.join(path.name for path in rpms)} to build on",
            hint="build what needs another package of the run on a host, or in podman or docker",
        )

    def _make_dir(self, parent_dir: Path) -> Path:
        parent_dir.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=parent_dir, prefix="work-")).resolve()

    @abstractmethod
    def _open(self, dir_path: Path, read_only: tuple[Path, ...]) -> Workspace: ...
