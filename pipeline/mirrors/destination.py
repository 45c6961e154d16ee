# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a target's repository is published: a local directory, an rsync daemon, or a host over ssh.

The repository lies at `<destination>/<target>/`. What is not on this machine is read and written
by rsync, which needs no shell on the other side (`rrsync` will do).
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pipeline.errors import PublishError, SettingsError
from pipeline.mirrors import layout, rsync, switching, web
from pipeline.settings import MirrorSettings, Settings

_HOST = r"([^-@/:\s][^@/:\s]*@)?(\[[0-9a-fA-F:.]+\]|[^-@/:\s\[][^@/:\s]*)"
_DAEMON = re.compile(rf"rsync://{_HOST}(:[0-9]+)?/[^/\s][^\n]*")
_SSH = re.compile(rf"{_HOST}:[^:\n][^\n]*")
_OTHER = re.compile(r"[a-z+]+://|[^/\[]*::")
# Is told the bytes that were sent so far.
Watch = Callable[[int], None]
# Folders of the out directory that are ours, and so are those of the targets: they are emptied, or read as a whole.
_OURS = (".work", ".cache", ".key")
_FORMS = "a directory, rsync://[user@]host[:port]/module/path, or [user@]host:path for ssh"


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """One target's repository at one place; `address` is its place in rsync's words, with no slash at its end.

    `url` is where readers have it, empty where that is not told. What is `write_only` is read by its url.
    """

    kind: Literal["local", "daemon", "ssh"]
    address: str
    url: str = ""
    write_only: bool = False
    ssh_command: str = ""
    timeout_seconds: float
    scratch_dir: Path

    @property
    def is_local(self) -> bool:
        return self.kind == "local"

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
        """Those of the files in `repodata/` that are there; none where nothing was published. Raises: PublishError."""
        if self.is_local:
            return self._local_read(names)
        with self._folder() as folder:
            self._fetch_some(names, folder, log_path)
            for path in filter(Path.is_dir, folder.iterdir()):
                raise self.failure("read", f"{layout.REPODATA}/{path.name} there is no file")
            return {path.name: path.read_bytes() for path in folder.iterdir()}

    def fetch(self, names: Iterable[str], into_dir: Path, log_path: Path | None) -> None:
        """Copy files of the repository, all into one folder here. Raises: PublishError."""
        into_dir.mkdir(parents=True, exist_ok=True)
        if self.is_local or self.write_only:
            for name in names:
                self._fetch_one(name, into_dir / name.rpartition("/")[2])
            return
        sources = [f"{self.address}/{name}" for name in names]
        self._run(rsync.plan_fetch(sources, into_dir, ssh_command=self.ssh_command), "read", log_path)

    def fetch_below(self, names: Iterable[str], folder: Path, log_path: Path | None) -> None:
        """Copy files of the repository, each to its own name below a folder here. Raises: PublishError."""
        by_parent: dict[str, list[str]] = {}
        for name in names:
            by_parent.setdefault(name.rpartition("/")[0], []).append(name)
        for parent, inside in by_parent.items():
            self.fetch(inside, folder / parent, log_path)

    def send(
        self, source_dir: Path, names: Iterable[str], log_path: Path | None, *, anew: bool, watch: Watch | None = None
    ) -> None:
        """Put files there, each whole or not at all, and remove none. Raises: PublishError."""
        if self.is_local:
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
            former=self._basis(former) if former else "",
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
        if self.is_local:
            try:
                switching.point(Path(self.address) / layout.REPODATA, layout.link_to(revision))
            except OSError as error:
                raise self.failure("written", f"{error.strerror} at {error.filename}") from None
            return
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
        if self.write_only:
            return ""
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

    def names_in(self, name: str, log_path: Path | None) -> tuple[str, ...]:
        """The names in a folder; none where there is no such folder, or none can be read. Raises: PublishError."""
        if self.write_only:
            return ()
        if self.is_local:
            return self._local_names(Path(self.address) / name)
        argv = rsync.plan_list(f"{self.address}/{name}/", ssh_command=self.ssh_command)
        found = rsync.run(argv, doing=self._cannot("read"), timeout_seconds=self.timeout_seconds,
                          log_path=log_path, may_be_missing=True)  # fmt: skip
        return rsync.read_list(found.stdout) if found else ()

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
        source, prefix = self.address, ""
        if self.kind == "daemon":  # seen: rsync 3.5's daemon opens listed files from its module's root alone
            host, module, *parts = source.removeprefix("rsync://").split("/")
            source, prefix = f"rsync://{host}/{module}", "".join(f"{part}/" for part in parts)
        with self._listed(f"{prefix}{name}" for name in names) as list_path:
            argv = rsync.plan_gather(f"{source}/", into_dir, list_path, ssh_command=self.ssh_command)
            rsync.run(argv, doing=self._cannot("read"), timeout_seconds=self.timeout_seconds,
                      log_path=log_path, accept=(0, 23))  # fmt: skip
        return into_dir / prefix

    def missing(self, names: Collection[str], log_path: Path | None) -> tuple[str, ...]:
        """Those of the files that are not there. Raises: PublishError."""
        if self.is_local:
            return tuple(name for name in names if not os.path.isfile(f"{self.address}/{name}"))  # noqa: PTH113  # 10,000
        if self.write_only:
            return tuple(name for name in names if not web.is_there(f"{self.url}/{quote(name)}"))
        with self._folder() as folder, self._listed(names) as list_path:
            argv = rsync.plan_seek(f"{self.address}/", folder, list_path, ssh_command=self.ssh_command)
            found = rsync.run(argv, doing=self._cannot("read"), timeout_seconds=self.timeout_seconds,
                              log_path=log_path, accept=(0, 23))  # fmt: skip
        there = set(found.stdout.splitlines()) if found else set()
        return tuple(name for name in names if name not in there)

    def _basis(self, revision: int) -> str:
        """Where rsync on the other side finds a snapshot's metadata; empty where that cannot be said.

        rrsync takes no path with .. in it, but one from the root of what it serves.
        """
        if self.kind != "ssh":
            return f"../../{revision}/{layout.REPODATA}"
        path = re.sub(rf"^{_HOST}:", "", self.address)
        return f"{path}/{layout.link_to(revision)}" if path.startswith("/") else ""

    def _fetch_one(self, name: str, path: Path) -> None:
        if self.write_only:
            web.fetch(f"{self.url}/{quote(name)}", path, self.timeout_seconds)
            return
        try:
            shutil.copy2(Path(self.address) / name, path)
        except OSError as error:
            raise self.failure("read", f"{error.strerror} at {error.filename}") from None

    def _fetch_some(self, names: Collection[str], folder: Path, log_path: Path | None) -> None:
        if self.write_only:
            for name in names:
                web.fetch_if_there(f"{self.url}/{layout.REPODATA}/{name}", folder / name, self.timeout_seconds)
            return
        argv = rsync.plan_read(f"{self.address}/{layout.REPODATA}/", names, folder, ssh_command=self.ssh_command)
        rsync.run(argv, doing=self._cannot("read"), timeout_seconds=self.timeout_seconds,
                  log_path=log_path, may_be_missing=True)  # fmt: skip

    def _local_read(self, names: Collection[str]) -> dict[str, bytes]:
        folder, found = self.standing_dir() / layout.REPODATA, {}
        for name in names:
            try:
                found[name] = self._read_file(folder / name)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self.failure("read", f"{error.strerror} at {error.filename}") from None
        return found

    def _read_file(self, path: Path) -> bytes:
        """What a file has, and nothing else: to open a pipe would wait for somebody who writes to it."""
        if not stat.S_ISREG(path.stat().st_mode):
            raise self.failure("read", f"{path} is no file")
        return path.read_bytes()

    def _local_names(self, folder: Path) -> tuple[str, ...]:
        try:
            return tuple(sorted(path.name for path in folder.iterdir()))
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as error:
            raise self.failure("read", f"{error.strerror} at {error.filename}") from None

    def _run(self, argv: list[str], done: str, log_path: Path | None, watch: Watch | None = None) -> str:
        found = rsync.run(argv, doing=self._cannot(done), timeout_seconds=self.timeout_seconds,
                          log_path=log_path, watch=watch)  # fmt: skip
        return found.stdout if found else ""

    def _cannot(self, done: str) -> str:
        return f"the mirror {self.address} cannot be {done}"

    def make_folder(self) -> None:
        """Make the folders that rsync would not; readers may enter them, whatever our umask is."""
        path = Path(self.address)
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        try:
            for folder in reversed(missing):
                folder.mkdir(exist_ok=True)
                folder.chmod(0o755)
        except OSError as error:
            raise self.failure("written", f"{error.strerror} at {error.filename}") from None

    def failure(self, done: str, why: str) -> PublishError:
        """The error of a place on this machine; `done` is read or written."""
        return PublishError(
            "mirror-failed",
            f"{self._cannot(done)}: {why}",
            hint="mend the disk or the rights there, or name another directory as mirror",
        )

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


def find_destinations(settings: Settings, target_name: str) -> tuple[Destination, ...]:
    """Every place of the channel that the target is published to, the one that is read first.

    Raises: SettingsError, PublishError when we are offline.
    """
    configured = settings.mirror(target_name)
    return tuple(
        _destination(settings, configured, text, url, target_name)
        for text, url in zip_longest(configured.destination, configured.url, fillvalue="")
    )


def find_destination(settings: Settings, target_name: str) -> Destination:
    """The place that is read. Raises: as `find_destinations`."""
    return find_destinations(settings, target_name)[0]


def _destination(settings: Settings, configured: MirrorSettings, text: str, url: str, target_name: str) -> Destination:
    kind = _kind(text)
    root = str(_local_dir(settings, text)) if kind == "local" else text.rstrip("/")
    if kind == "local":
        _refuse_our_folders(settings, Path(root) / target_name)
    if kind != "local" and settings.offline:
        raise PublishError(
            "mirror-offline",
            f"the mirror {text} is not on this machine, and --offline was given",
            hint="leave out --offline, or name a directory with --mirror",
        )
    return Destination(
        kind=kind,
        address=f"{root}/{target_name}",
        url=f"{url}/{quote(target_name)}" if url else "",
        write_only=configured.write_only and kind != "local",
        ssh_command=configured.ssh_command if kind == "ssh" else "",
        timeout_seconds=settings.time_limits.publish,
        scratch_dir=settings.out_path / ".work",
    )


def _kind(text: str) -> Literal["local", "daemon", "ssh"]:
    if _DAEMON.fullmatch(text):
        return "daemon"
    if _OTHER.match(text) or "\n" in text or "\0" in text:
        raise _no_destination(text)
    if ":" in text.partition("/")[0]:  # as rsync itself decides
        if not _SSH.fullmatch(text):
            raise _no_destination(text)
        return "ssh"
    return "local"


def _no_destination(text: str) -> SettingsError:
    return SettingsError(
        "mirror-destination",
        f"'{text}' is no destination for a mirror",
        hint=f"write {_FORMS}; a directory with a ':' in its name begins with ./ or /",
    )


def _refuse_our_folders(settings: Settings, repository_dir: Path) -> None:
    """Raises: SettingsError for a mirror that would be removed or mixed with what a run writes."""
    out_dir = settings.out_path.resolve()
    for name in (*_OURS, *settings.targets):
        if repository_dir.resolve().is_relative_to(out_dir / name):
            raise SettingsError(
                "mirror-in-out",
                f"the mirror {repository_dir} is inside {settings.out_path / name}, which is the pipeline's own folder",
                hint=f"name another folder as destination, as {settings.out_path / 'mirror'}",
            )


def _local_dir(settings: Settings, text: str) -> Path:
    """A configured path is below the checkout, or below the out directory wherever that lies; a flag's path below here.

    The path is not resolved: a symlink to the mirror stays the way to it.
    """
    path = Path(text).expanduser()
    if settings.mirror_override and settings.mirror_override not in settings.mirrors:
        return Path.cwd() / path
    if path.is_relative_to(settings.out_dir):
        return settings.out_path / path.relative_to(settings.out_dir)
    return settings.root_dir / path
