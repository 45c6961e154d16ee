# SPDX-License-Identifier: GPL-2.0-or-later
"""The names in a repository: what a walk or rsync's list of it says. Files with sizes, links with their texts."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

UNKNOWN_SIZE = -1
_MAX_LINKS = 40
# Source: rsync(1), --list-only: mode, size, date, time, name; rsync writes control characters as \#ooo.
_ROW = re.compile(r"(?P<mode>[-dlcbps])\S{9} +(?P<size>[0-9]+) [0-9/]+ [0-9:]+ (?P<name>.+)")
_OCTAL = re.compile(r"\\#([0-7]{3})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """All that lies below a repository, by names relative to it; `unreadable` are folders that could not be entered."""

    files: dict[str, int] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    unreadable: dict[str, str] = field(default_factory=dict)

    def size(self, name: str) -> int | None:
        """The size of the file that a reader finds under this name; `None` for none. Links are followed."""
        found = self.resolved(name)
        if found is None:
            return None
        return UNKNOWN_SIZE if found.startswith("/") else self.files.get(found)

    def resolved(self, name: str) -> str | None:
        """Where a name leads; a path with a slash at its start lies outside and is not known. `None` for a loop."""
        for _ in range(_MAX_LINKS):
            link = next((head for head in _heads(name) if head in self.links), None)
            if link is None:
                return name
            joined = posixpath.join(link.rpartition("/")[0], self.links[link]) + name[len(link) :]
            name = posixpath.normpath(joined)
            if name == ".." or name.startswith(("/", "../")):
                return "/" + name.lstrip("/")
        return None


def _heads(name: str) -> Iterator[str]:
    """`a`, `a/b`, `a/b/c`."""
    end = name.find("/")
    while end >= 0:
        yield name[:end]
        end = name.find("/", end + 1)
    yield name


def walk(root: Path) -> Listing:
    """What lies below a folder of this machine; links are not followed. Raises: OSError for the root alone."""
    found = Listing()
    if not root.is_dir():
        return found
    pending = [""]
    while pending:
        prefix = pending.pop()
        try:
            with os.scandir(root / prefix) as entries:
                for entry in entries:
                    _take(found, f"{prefix}{entry.name}", entry, pending)
        except OSError as error:
            if not prefix:
                raise
            found.unreadable[prefix.rstrip("/")] = error.strerror or str(error)
    return found


def _take(found: Listing, name: str, entry: os.DirEntry[str], pending: list[str]) -> None:
    if entry.is_symlink():
        found.links[name] = str(Path(entry.path).readlink())
    elif entry.is_dir():
        found.folders.add(name)
        pending.append(f"{name}/")
    else:
        found.files[name] = entry.stat().st_size


def parse(output: str) -> Listing:
    """What rsync listed; lines that are none of its rows are left out."""
    found = Listing()
    for row in filter(None, map(_ROW.fullmatch, output.split("\n"))):
        name = row["name"]
        if row["mode"] == "l":
            name, _, text = name.partition(" -> ")
            found.links[_plain(name)] = _plain(text)
        elif row["mode"] == "d":
            found.folders.add(_plain(name))
        else:
            found.files[_plain(name)] = int(row["size"])
    return found


def _plain(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
