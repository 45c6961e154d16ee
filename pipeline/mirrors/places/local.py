# SPDX-License-Identifier: GPL-2.0-or-later
"""A repository in a folder of this machine: it is read where it lies."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PublishError
from pipeline.mirrors import layout, switching
from pipeline.mirrors.places.base import Destination


@dataclass(frozen=True, kw_only=True, slots=True)
class Directory(Destination):
    """A place on this machine; `address` is the folder's path."""

    @property
    def is_local(self) -> bool:
        return True

    def standing_dir(self) -> Path:
        """Where the state that stands on this machine lies: in its snapshot, which no switch changes."""
        root = Path(self.address)
        try:
            link = (root / layout.REPODATA).readlink()
        except OSError:
            return root
        # Somebody's own link may lead to a folder of any name: it is read as it stands.
        return (root / link).parent if layout.revision_in(str(link)) is not None else root

    def read(self, names: Collection[str], log_path: Path | None) -> dict[str, bytes]:
        folder, found = self.standing_dir() / layout.REPODATA, {}
        for name in names:
            try:
                found[name] = self._read_file(folder / name)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._failed("read", error) from None
        return found

    def fetch(self, names: Iterable[str], into_dir: Path, log_path: Path | None) -> None:
        into_dir.mkdir(parents=True, exist_ok=True)
        for name in names:
            try:
                shutil.copy2(Path(self.address) / name, into_dir / name.rpartition("/")[2])
            except OSError as error:
                raise self._failed("read", error) from None

    def missing(self, names: Collection[str], log_path: Path | None) -> tuple[str, ...]:
        return tuple(name for name in names if not os.path.isfile(f"{self.address}/{name}"))  # noqa: PTH113  # 10,000

    def names_in(self, name: str, log_path: Path | None) -> tuple[str, ...]:
        try:
            return tuple(sorted(path.name for path in (Path(self.address) / name).iterdir()))
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as error:
            raise self._failed("read", error) from None

    def switch(self, revision: int, log_path: Path | None) -> None:
        try:
            switching.point(Path(self.address) / layout.REPODATA, layout.link_to(revision))
        except OSError as error:
            raise self._failed("written", error) from None

    def make_folder(self) -> None:
        """Readers may enter it, whatever our umask is."""
        path = Path(self.address)
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        try:
            for folder in reversed(missing):
                folder.mkdir(exist_ok=True)
                folder.chmod(0o755)
        except OSError as error:
            raise self._failed("written", error) from None

    def _read_file(self, path: Path) -> bytes:
        """What a file has, and nothing else: to open a pipe would wait for somebody who writes to it."""
        if not stat.S_ISREG(path.stat().st_mode):
            raise self.failure("read", f"{path} is no file")
        return path.read_bytes()

    def _failed(self, done: str, error: OSError) -> PublishError:
        return self.failure(done, f"{error.strerror} at {error.filename}")
