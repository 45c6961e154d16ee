# SPDX-License-Identifier: GPL-2.0-or-later
"""What in an out directory no ledger entry names any more.

Only folders that the pipeline itself fills are looked into, and in them only what it puts there: a file that
nobody here knows is nobody's to remove. Reservations are never among it: a number is given out once.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import release
from pipeline.flow import STAGES

_ATTEMPT = re.compile(r"\d{8}T\d{6}Z-\d+")
# What a thing is called until it is whole. Source: write_whole, copy_whole and replace_tree in files.
_HALF_MADE = re.compile(r"\..+\.(?:[a-z0-9_]{8}|\d+|old)")
_RELEASE_DIRS = ("SRPMS", "RPMS", "SPECS", "signed")
_BASELINE_DIRS = ("baseline/SRPMS", "baseline/RPMS", "baseline/SPECS")
_HALF_MADE_DIRS = ("ledger", "releases", "baseline", *_RELEASE_DIRS)
_RESERVATION = "reservation.json"
_CHANGES = "changes.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """Things that belong together and that nothing needs: files and folders, or one image of an engine.

    `modified` is when the newest part of it was written, in seconds since the epoch.
    """

    what: str
    why: str
    size_bytes: int
    modified: float
    paths: tuple[Path, ...] = ()
    image: str = ""
    engine: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """What ledger entries name: paths in the out directory, and images by their references."""

    paths: frozenset[Path]
    images: frozenset[str]

    def needs(self, path: Path) -> bool:
        """Whether the path, something above it, or something in it is named; a package's papers stay with it."""
        package = _package_of(path.name)
        if package not in ("", path.name) and path.with_name(package) in self.paths:
            return True
        if path in self.paths or any(parent in self.paths for parent in path.parents):
            return True
        return any(path in named.parents for named in self.paths)


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """A look through one out directory; `kept_dirs` are mirrors, in which nothing is ever unreachable."""

    out_path: Path
    kept_dirs: tuple[Path, ...] = ()
    keep_logs: int = 10

    def homes(self) -> tuple[Path, ...]:
        """The folders of jobs and targets, by the marks that are left there: entries of known stages, state logs."""
        marks = [
            *(path for path in _below(self.out_path, "*/ledger/*.json", "*/*/ledger/*.json") if path.stem in STAGES),
            *(path.parent for path in _below(self.out_path, "*/logs/*/state.log", "*/*/logs/*/state.log")
              if _ATTEMPT.fullmatch(path.parent.name)),
        ]  # fmt: skip
        return tuple(sorted({path.parent.parent for path in marks}))

    def named(self) -> Named:
        """What the entries of all ledgers name, and what `artifacts.json` does."""
        paths: set[Path] = set()
        images: set[str] = set()
        for home in self.homes():
            for entry in (_read(path) for path in (home / "ledger").glob("*.json")):
                _collect(entry, paths, images)
            # What the newest release was compared with has to stay, or it would be compared anew.
            record = _part(_read(home / "ledger" / "changes.json"), "record")
            last = str(_part(record, "last") or "")
            if last.isascii() and last.isdigit():
                told = home / "releases" / last / _CHANGES
                paths.add(told.relative_to(self.out_path))
                _collect(_part(_read(told), "packages"), paths, images)
        _collect(_read(self.out_path / "artifacts.json"), paths, images)
        return Named(paths=frozenset(paths), images=frozenset(images))

    def find(self, homes: Iterable[Path], named: Named) -> Iterator[Item]:
        """What nothing needs in the folders of these jobs and targets."""
        for home in homes:
            label = str(home.relative_to(self.out_path))
            yield from self._releases(home, label, named)
            yield from self._baseline(home, label, named)
            yield from self._folders(home, label, named)
            yield from self._logs(home, label)
            inside = (path for name in _HALF_MADE_DIRS for path in _files(home / name))
            half_made = [path for path in (*_children(home), *inside) if _HALF_MADE.fullmatch(path.name)]
            yield from self._item(f"half-made files of {label}", "a killed run left them", half_made)

    def find_shared(self, packages: Iterable[str], caches_in_use: frozenset[str]) -> Iterator[Item]:
        """What nothing needs beside the folders of jobs; whoever asks holds the lock of the out directory."""
        around = (*_children(self.out_path), *_children(self.out_path / "history"))
        half_made = [path for path in around if _HALF_MADE.fullmatch(path.name)]
        yield from self._item("half-made files", "a killed run left them", half_made)
        yield from self._item("workspaces", "a killed run left them", _children(self.out_path / ".work"))
        for path in _children(self.out_path / ".cache" / "mirror"):
            if path.name not in caches_in_use:
                yield from self._item("metadata of a mirror", "no target publishes to that mirror", [path])
        for package in packages:
            folder = self.out_path / "refresh" / package
            if not (folder / "tree").exists():
                why = "the refresh is through"
                before_dir = folder.with_name(f"{package}-before")
                left = [path for path in (folder, before_dir) if path.is_dir() and not path.is_symlink()]
                yield from self._item(f"former series and clone of {package}", why, left)

    def size_bytes(self) -> int:
        return sum(status.st_size for status in _statuses(self.out_path))

    def _releases(self, home: Path, label: str, named: Named) -> Iterator[Item]:
        """Packages, spec and papers of releases that no entry names, a release at a time."""
        found: dict[int | None, list[Path]] = {}
        for name in _RELEASE_DIRS:
            for path in _packages(home / name):
                found.setdefault(_number_of(path), []).append(path)
        for folder in _children(home / "releases"):
            if folder.name.isascii() and folder.name.isdigit() and folder.is_dir():
                papers = (path for path in _files(folder) if path.name != _RESERVATION and path.name[:1] != ".")
                found.setdefault(int(folder.name), []).extend(papers)
        for number, paths in sorted(found.items(), key=lambda each: each[0] or 0):
            what = f"packages of {label}" if number is None else f"release {number} of {label}"
            left = [path for path in paths if not named.needs(path.relative_to(self.out_path))]
            yield from self._item(what, "no stage stands on it", left)

    def _baseline(self, home: Path, label: str, named: Named) -> Iterator[Item]:
        paths = [path for name in _BASELINE_DIRS for path in _packages(home / name)]
        left = [path for path in paths if not named.needs(path.relative_to(self.out_path))]
        if len(left) == len(paths):
            left += [path for path in (home / "baseline" / "rpmlint.json",) if path.is_file()]
        yield from self._item(f"the vendor's packages of {label}", "they are of another source or image", left)

    def _folders(self, home: Path, label: str, named: Named) -> Iterator[Item]:
        """Folders that are replaced as a whole."""
        for name, what in (
            ("srpm", "source RPM"),
            ("tree", "source trees"),
            ("repo", "staged repository"),
            ("vendor", "packages from the vendor's repository"),
            ("reproduced", "what differed of a second build"),
        ):
            folder = home / name
            if folder.is_dir() and not folder.is_symlink() and not named.needs(folder.relative_to(self.out_path)):
                yield from self._item(f"{what} of {label}", "no stage stands on it", [folder])

    def _logs(self, home: Path, label: str) -> Iterator[Item]:
        attempts = sorted(path for path in _children(home / "logs") if _ATTEMPT.fullmatch(path.name))
        for path in attempts[: max(0, len(attempts) - self.keep_logs)]:
            why = f"{self.keep_logs} newer attempts have logs" if self.keep_logs else "no logs are to be kept"
            yield from self._item(f"logs of {label}", why, [path])

    def _item(self, what: str, why: str, paths: Iterable[Path]) -> Iterator[Item]:
        """An item of those paths that no mirror holds, or that hold none."""
        removable = tuple(path for path in paths if not self._is_kept(path))
        if removable:
            yield item(what, why, removable)

    def _is_kept(self, path: Path) -> bool:
        return any(path == kept or kept in path.parents or path in kept.parents for kept in self.kept_dirs)


def item(what: str, why: str, paths: tuple[Path, ...]) -> Item:
    """An item of these paths, with their size and the time of the newest."""
    statuses = [status for path in paths for status in _statuses(path)] or [path.lstat() for path in paths]
    return Item(
        what=what,
        why=why,
        paths=paths,
        size_bytes=sum(status.st_size for status in statuses),
        modified=max(status.st_mtime for status in statuses),
    )


def _statuses(path: Path) -> Iterator[os.stat_result]:
    """Of a file, or of all files in a folder; links are not followed."""
    if path.is_dir() and not path.is_symlink():
        for folder, _, names in os.walk(path):
            yield from (os.lstat(os.path.join(folder, name)) for name in names)
    else:
        yield path.lstat()


def _children(folder: Path) -> list[Path]:
    """What lies in a folder; nothing for one that is not there or is elsewhere."""
    return [] if folder.is_symlink() or not folder.is_dir() else sorted(folder.iterdir())


def _files(folder: Path) -> Iterator[Path]:
    """Regular files at any depth, but none of a repository that somebody put there."""
    if folder.is_symlink() or not folder.is_dir():
        return
    for parent, folders, names in os.walk(folder):
        if "repodata" in folders:
            folders.clear()
            continue
        yield from (path for name in names if (path := Path(parent, name)).is_file() and not path.is_symlink())


def _packages(folder: Path) -> Iterator[Path]:
    """Packages, specs, and what lies beside a package under its name."""
    found = (path for path in _files(folder) if not path.name.startswith("."))
    return (path for path in found if path.suffix == ".spec" or _package_of(path.name))


def _package_of(name: str) -> str:
    """The package file that a file is, or that it tells of: `a.rpm` for `a.rpm` and `a.rpm.sbom`; empty for none."""
    if name.endswith(".rpm"):
        return name
    package, found, _ = name.rpartition(".rpm.")
    return f"{package}.rpm" if found else ""


def _number_of(path: Path) -> int | None:
    """The number of the release that a package file belongs to: `name-version-release.arch.rpm`."""
    parts = _package_of(path.name).removesuffix(".rpm").rpartition(".")[0].rsplit("-", 2)
    return release.number_in(parts[-1]) if len(parts) == 3 else None


def _below(out_path: Path, *patterns: str) -> Iterator[Path]:
    """The files that match and do lie in the out directory, not behind a link."""
    for pattern in patterns:
        yield from (path for path in out_path.glob(pattern) if path.parent.resolve() == path.parent)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _part(document: Any, name: str) -> Any:
    return document.get(name) if isinstance(document, dict) else None


def _collect(document: Any, paths: set[Path], images: set[str]) -> None:
    """Every file, tree and image that a document names, whatever record it is: rather one too many than one too few."""
    pending = [document]
    while pending:
        part = pending.pop()
        if isinstance(part, list):
            pending.extend(part)
        elif isinstance(part, dict):
            pending.extend(part.values())
            if isinstance(part.get("path"), str):
                paths.add(Path(part["path"]))
            if isinstance(part.get("reference"), str):
                images.add(part["reference"])
