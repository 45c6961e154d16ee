# SPDX-License-Identifier: GPL-2.0-or-later
"""One target's repository at one place: what is done there in the same way wherever it is, by rsync.

rsync needs no shell on the other side (`rrsync` will do).
"""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PublishError
from pipeline.mirrors import layout, rsync
from pipeline.sources.address import redacted

# Is told the bytes that were sent so far.
Watch = Callable[[int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination(ABC):
    """One target's repository at one place; `address` is its place in rsync's words, with no slash at its end.

    `url` is where readers have it, empty where that is not told.
    """

    address: str
    url: str = ""
    ssh_command: str = ""
    timeout_seconds: float
    scratch_dir: Path

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return False

    @property
    def can_be_listed(self) -> bool:
        """Whether we may ask it what lies there, by rsync."""
        return True

    def standing_dir(self) -> Path | None:
        """Where the state that stands can be read as it lies; `None` where it has to be fetched."""
        return None

    @abstractmethod
    def read(self, names: Collection[str], log_path: Path | None) -> dict[str, bytes]:
        """Those of the files in `repodata/` that are there; none where nothing was published. Raises: PublishError."""

    @abstractmethod
    def fetch(self, names: Iterable[str], into_dir: Path, log_path: Path | None) -> None:
        """Copy files of the repository, all into one folder here. Raises: PublishError."""

    @abstractmethod
    def missing(self, names: Collection[str], log_path: Path | None) -> tuple[str, ...]:
        """Those of the files that are not there. Raises: PublishError."""

    @abstractmethod
    def names_in(self, name: str, log_path: Path | None) -> tuple[str, ...]:
        """The names in a folder; none where there is no such folder, or none can be read. Raises: PublishError."""

    def fetch_below(self, names: Iterable[str], folder: Path, log_path: Path | None) -> None:
        """Copy files of the repository, each to its own name below a folder here. Raises: PublishError."""
        by_parent: dict[str, list[str]] = {}
        for name in names:
            by_parent.setdefault(name.rpartition("/")[0], []).append(name)
        for parent, inside in by_parent.items():
            self.fetch(inside, folder / parent, log_path)

    def make_folder(self) -> None:  # noqa: B027  # most have nothing to do
        """Make the folders that rsync would not; elsewhere their owner makes them. Raises: PublishError."""

    def send(
        self, source_dir: Path, names: Iterable[str], log_path: Path | None, *, anew: bool, watch: Watch | None = None
    ) -> None:
        """Put files there, each whole or not at all, and remove none. Raises: PublishError."""
        self.make_folder()
        # "." gives a new folder its mode: the umask of the other side made it.
        with self._listed([".", *names] if anew else names) as list_path:
            argv = rsync.plan_send(source_dir, f"{self.address}/", list_path, ssh_command=self.ssh_command)
            self._run(argv, "written", log_path, watch)

    def send_metadata(
        self,
        source_dir: Path,
        revision: int,
        former: int,
        log_path: Path | None,
        *,
        replace: bool = False,
        watch: Watch | None = None,
    ) -> None:
        """Put a snapshot's metadata there; what the former one has too is linked, not sent. Raises: PublishError."""
        argv = rsync.plan_metadata(
            source_dir / layout.link_to(revision),
            f"{self.address}/{layout.link_to(revision)}/",
            former=rsync.basis(self.address, layout.link_to(former)) if former else "",
            replace=replace,
            ssh_command=self.ssh_command,
        )
        self._run(argv, "written", log_path, watch)

    def differing(self, source_dir: Path, names: Iterable[str], log_path: Path | None) -> tuple[str, ...]:
        """Those of the files that are missing or other there, by content. Raises: PublishError."""
        with self._listed(names) as list_path:
            argv = rsync.plan_send(source_dir, f"{self.address}/", list_path,
                                   ssh_command=self.ssh_command, compare_only=True)  # fmt: skip
            named = self._run(argv, "read", log_path).splitlines()
        return tuple(name for name in named if name and not name.endswith("/"))

    def switch(self, revision: int, log_path: Path | None) -> None:
        """Let `repodata` be this snapshot's, in one step: from here on readers see it. Raises: PublishError."""
        with self._folder() as folder:
            link_path = folder / layout.REPODATA
            link_path.symlink_to(layout.link_to(revision))
            argv = rsync.plan_switch(link_path, f"{self.address}/", ssh_command=self.ssh_command)
            self._run(argv, "written", log_path)

    def make_link(self, name: str, text: str, log_path: Path | None) -> bool:
        """Whether the link is ours: nobody else's was there, nor came at the same moment. Raises: PublishError."""
        with self._folder() as folder:
            (folder / name).symlink_to(text)
            argv = rsync.plan_new_link(folder / name, f"{self.address}/", ssh_command=self.ssh_command)
            found = rsync.run(argv, doing=self._cannot("written"), timeout_seconds=self.timeout_seconds,
                              log_path=log_path, may_exist=True)  # fmt: skip
        return found is not None and name in found.stdout

    def link_text(self, name: str, log_path: Path | None) -> str:
        """What a link says; empty where it is gone, or where nothing can be read. Raises: PublishError."""
        # 24: it was given back while rsync looked at it.
        argv = rsync.plan_list(f"{self.address}/{name}", ssh_command=self.ssh_command)
        found = rsync.run(argv, doing=self._cannot("read"), timeout_seconds=self.timeout_seconds,
                          log_path=log_path, may_be_missing=True, accept=(0, 24))  # fmt: skip
        return found.stdout.strip().partition(f"{name} -> ")[2] if found else ""

    def remove(self, names: Collection[str], log_path: Path | None) -> None:
        """Remove files, links and whole folders; what is not there is no error. Raises: PublishError."""
        with self._folder() as folder, self._listed(names) as list_path:
            for name in names:  # the folders above what is removed stay
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
            argv = rsync.plan_remove(folder, f"{self.address}/", list_path, ssh_command=self.ssh_command)
            self._run(argv, "written", log_path)

    def list_all(self, log_path: Path | None) -> str:
        """rsync's list of all that lies there, links not followed; empty where nothing does. Raises: PublishError."""
        argv = rsync.plan_list_all(f"{self.address}/", ssh_command=self.ssh_command)
        found = rsync.run(argv, doing=self._cannot("read"), timeout_seconds=self.timeout_seconds,
                          log_path=log_path, may_be_missing=True)  # fmt: skip
        return found.stdout if found else ""

    def gather(self, names: Iterable[str], into_dir: Path, log_path: Path | None) -> Path:
        """Copy those of the files that can be read; the folder below which they have their names.

        The names are without links. Raises: PublishError.
        """
        source, prefix = rsync.listing_root(self.address)
        with self._listed(f"{prefix}{name}" for name in names) as list_path:
            argv = rsync.plan_gather(f"{source}/", into_dir, list_path, ssh_command=self.ssh_command)
            rsync.run(argv, doing=self._cannot("read"), timeout_seconds=self.timeout_seconds,
                      log_path=log_path, accept=(0, 23))  # fmt: skip
        return into_dir / prefix

    def failure(self, done: str, why: str) -> PublishError:
        """The error of what we cannot do to it ourselves; `done` is read or written."""
        return PublishError(
            "mirror-failed",
            f"{self._cannot(done)}: {why}",
            hint="mend the disk or the rights there, or name another directory as mirror",
        )

    def _run(self, argv: list[str], done: str, log_path: Path | None, watch: Watch | None = None) -> str:
        found = rsync.run(argv, doing=self._cannot(done), timeout_seconds=self.timeout_seconds,
                          log_path=log_path, watch=watch)  # fmt: skip
        return found.stdout if found else ""

    def _cannot(self, done: str) -> str:
        return f"the mirror {redacted(self.address)} cannot be {done}"

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        self.scratch_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.scratch_dir, prefix="mirror-") as name:
            yield Path(name)

    @contextmanager
    def _listed(self, names: Iterable[str]) -> Iterator[Path]:
        with self._folder() as folder:
            path = folder / "files"
            path.write_bytes(b"".join(name.encode(errors="surrogateescape") + b"\0" for name in names))
            yield path
