# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a target's repository is published: a local directory, an rsync daemon, or a host over ssh.

The repository lies at `<destination>/<target>/`. What is not on this machine is read and written
by rsync, which needs no shell on the other side (`rrsync` will do).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.errors import PublishError, SettingsError
from pipeline.mirrors import rsync
from pipeline.settings import Settings

REPOMD = "repodata/repomd.xml"

_HOST = r"([^-@/:\s][^@/:\s]*@)?(\[[0-9a-fA-F:.]+\]|[^-@/:\s\[][^@/:\s]*)"
_DAEMON = re.compile(rf"rsync://{_HOST}(:[0-9]+)?/[^/\s][^\n]*")
_SSH = re.compile(rf"{_HOST}:[^:\n][^\n]*")
_OTHER = re.compile(r"[a-z+]+://|[^/\[]*::")
_FORMS = "a directory, rsync://[user@]host[:port]/module/path, or [user@]host:path for ssh"


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """One target's repository; `address` is its place in rsync's words, with no slash at its end."""

    kind: Literal["local", "daemon", "ssh"]
    address: str
    ssh_command: str = ""
    timeout_seconds: float
    scratch_dir: Path

    @property
    def is_local(self) -> bool:
        return self.kind == "local"

    def repomd(self, log_path: Path | None) -> bytes | None:
        """The bytes of `repomd.xml`, or `None` when there is no repository yet. Raises: PublishError."""
        if self.is_local:
            return self._local_repomd()
        with self._folder() as folder:
            argv = rsync.plan_fetch([f"{self.address}/{REPOMD}"], folder, ssh_command=self.ssh_command)
            found = rsync.run(argv, doing=self._cannot("read"), timeout_seconds=self.timeout_seconds,
                              log_path=log_path, may_be_missing=True)  # fmt: skip
            if found is None:
                return None
            try:
                return (folder / "repomd.xml").read_bytes()
            except FileNotFoundError:  # rsync leaves out what is no file, and is content
                raise self._failure("read", f"{REPOMD} there is no file") from None

    def fetch(self, names: Iterable[str], into_dir: Path, log_path: Path | None) -> None:
        """Copy files of the repository, all into one folder here. Raises: PublishError."""
        into_dir.mkdir(parents=True, exist_ok=True)
        sources = [f"{self.address}/{name}" for name in names]
        self._run(rsync.plan_fetch(sources, into_dir, ssh_command=self.ssh_command), "read", log_path)

    def send(self, source_dir: Path, names: Iterable[str], log_path: Path | None, *, anew: bool) -> None:
        """Put files there, each whole or not at all, and remove none. Raises: PublishError."""
        if self.is_local:
            self._make_local_folder()
        # "." gives a new folder its mode: the umask of the other side made it.
        with self._listed([".", *names] if anew else names) as list_path:
            argv = rsync.plan_send(source_dir, f"{self.address}/", list_path, ssh_command=self.ssh_command)
            self._run(argv, "written", log_path)

    def differing(self, source_dir: Path, names: Iterable[str], log_path: Path | None) -> tuple[str, ...]:
        """Those of the files that are missing or other there, by content. Raises: PublishError."""
        with self._listed(names) as list_path:
            argv = rsync.plan_send(source_dir, f"{self.address}/", list_path,
                                   ssh_command=self.ssh_command, compare_only=True)  # fmt: skip
            named = self._run(argv, "read", log_path).splitlines()
        return tuple(name for name in named if name and not name.endswith("/"))

    def switch(self, repomd_path: Path, log_path: Path | None) -> None:
        """Replace `repomd.xml` in one step: from here on readers see the new state. Raises: PublishError."""
        argv = rsync.plan_switch(repomd_path, f"{self.address}/repodata/", ssh_command=self.ssh_command)
        self._run(argv, "written", log_path)

    def _run(self, argv: list[str], done: str, log_path: Path | None) -> str:
        found = rsync.run(argv, doing=self._cannot(done), timeout_seconds=self.timeout_seconds, log_path=log_path)
        return found.stdout if found else ""

    def _cannot(self, done: str) -> str:
        return f"the mirror {self.address} cannot be {done}"

    def _local_repomd(self) -> bytes | None:
        path = Path(self.address) / REPOMD
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failure("read", f"{error.strerror} at {error.filename}") from None

    def _make_local_folder(self) -> None:
        """Make the folders that rsync would not; readers may enter them, whatever our umask is."""
        path = Path(self.address)
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        try:
            for folder in reversed(missing):
                folder.mkdir(exist_ok=True)
                folder.chmod(0o755)
        except OSError as error:
            raise self._failure("written", f"{error.strerror} at {error.filename}") from None

    def _failure(self, done: str, why: str) -> PublishError:
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


def find_destination(settings: Settings, target_name: str) -> Destination:
    """Where the target's repository is published. Raises: SettingsError, PublishError when we are offline."""
    configured = settings.mirror(target_name)
    text = configured.destination[0]
    kind = _kind(text)
    root = str(_local_dir(settings, text)) if kind == "local" else text.rstrip("/")
    if kind != "local" and settings.offline:
        raise PublishError(
            "mirror-offline",
            f"the mirror {text} is not on this machine, and --offline was given",
            hint="leave out --offline, or name a directory with --mirror",
        )
    return Destination(
        kind=kind,
        address=f"{root}/{target_name}",
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
