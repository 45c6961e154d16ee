# SPDX-License-Identifier: GPL-2.0-or-later
"""A repository on another machine, behind an rsync daemon or ssh."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pipeline.mirrors import layout, rsync, web
from pipeline.mirrors.places.base import Destination


@dataclass(frozen=True, kw_only=True, slots=True)
class Remote(Destination):
    """A place that rsync reads and writes."""

    def read(self, names: Collection[str], log_path: Path | None) -> dict[str, bytes]:
        with self._folder() as folder:
            argv = rsync.plan_read(f"{self.address}/{layout.REPODATA}/", names, folder, ssh_command=self.ssh_command)
            rsync.run(argv, doing=self._cannot("read"), timeout_seconds=self.timeout_seconds,
                      log_path=log_path, may_be_missing=True)  # fmt: skip
            for path in filter(Path.is_dir, folder.iterdir()):
                raise self.failure("read", f"{layout.REPODATA}/{path.name} there is no file")
            return {path.name: path.read_bytes() for path in folder.iterdir()}

    def fetch(self, names: Iterable[str], into_dir: Path, log_path: Path | None) -> None:
        into_dir.mkdir(parents=True, exist_ok=True)
        sources = [f"{self.address}/{name}" for name in names]
        self._run(rsync.plan_fetch(sources, into_dir, ssh_command=self.ssh_command), "read", log_path)

    def missing(self, names: Collection[str], log_path: Path | None) -> tuple[str, ...]:
        with self._folder() as folder, self._listed(names) as list_path:
            argv = rsync.plan_seek(f"{self.address}/", folder, list_path, ssh_command=self.ssh_command)
            found = rsync.run(argv, doing=self._cannot("read"), timeout_seconds=self.timeout_seconds,
                              log_path=log_path, accept=(0, 23))  # fmt: skip
        there = set(found.stdout.splitlines()) if found else set()
        return tuple(name for name in names if name not in there)

    def names_in(self, name: str, log_path: Path | None) -> tuple[str, ...]:
        argv = rsync.plan_list(f"{self.address}/{name}/", ssh_command=self.ssh_command)
        found = rsync.run(argv, doing=self._cannot("read"), timeout_seconds=self.timeout_seconds,
                          log_path=log_path, may_be_missing=True)  # fmt: skip
        return rsync.read_list(found.stdout) if found else ()


@dataclass(frozen=True, kw_only=True, slots=True)
class WriteOnly(Destination):
    """A place that rsync may write and not read (`rrsync -wo`): it is read by its url, as readers read it."""

    @property
    def can_be_listed(self) -> bool:
        return False

    def read(self, names: Collection[str], log_path: Path | None) -> dict[str, bytes]:
        with self._folder() as folder:
            for name in names:
                web.fetch_if_there(f"{self.url}/{layout.REPODATA}/{name}", folder / name, self.timeout_seconds)
            return {path.name: path.read_bytes() for path in folder.iterdir()}

    def fetch(self, names: Iterable[str], into_dir: Path, log_path: Path | None) -> None:
        into_dir.mkdir(parents=True, exist_ok=True)
        for name in names:
            web.fetch(f"{self.url}/{quote(name)}", into_dir / name.rpartition("/")[2], self.timeout_seconds)

    def missing(self, names: Collection[str], log_path: Path | None) -> tuple[str, ...]:
        return tuple(name for name in names if not web.is_there(f"{self.url}/{quote(name)}"))

    def names_in(self, name: str, log_path: Path | None) -> tuple[str, ...]:
        return ()

    def link_text(self, name: str, log_path: Path | None) -> str:
        return ""
