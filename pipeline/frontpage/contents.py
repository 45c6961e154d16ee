# SPDX-License-Identifier: GPL-2.0-or-later
"""What a page tells of packages and only their metadata says: when each was built, its patches and its changes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pipeline import provides
from pipeline.mirrors import layout, repodata
from pipeline.model import PublishedRpm

_MAX_CHANGES = 10
_MAX_LETTERS = 4000
_VERSION = 3  # of what createrepo_c gives for a capability: name, flags, epoch, version, release, pre


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One entry of a package's changelog; `day` is `2015-01-31`, or empty."""

    day: str
    author: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """By a package's sha256: the day it was built, the short digests of its patches, and its changes, newest first.

    `patches` and `changes` are of those packages alone that were asked for.
    """

    days: Mapping[str, str]
    patches: Mapping[str, frozenset[str]]
    changes: Mapping[str, tuple[Change, ...]]


def read(snapshot_dir: Path, ours: Collection[PublishedRpm]) -> Contents:
    """What the metadata says, as far as it can be read; it was checked when the state was made."""
    index = repodata.read_index((snapshot_dir / layout.REPOMD).read_bytes(), str(snapshot_dir))
    other = index.file("other")
    wanted = {rpm.sha256 for rpm in ours}
    days: dict[str, str] = {}
    patches: dict[str, frozenset[str]] = {}

    def take(package: Any) -> None:
        days[package.pkgId] = day(package.time_build)
        if package.pkgId in wanted:
            named = (each for each in package.provides if provides.is_of_patch(each[0] or ""))
            patches[package.pkgId] = frozenset(each[_VERSION] or "" for each in named)

    _read_primary(snapshot_dir / index.primary.href, take)
    changes = dict(_changes(snapshot_dir / other.href, wanted)) if other else {}
    return Contents(days=days, patches=patches, changes=changes)


def day(seconds: int) -> str:
    """The day of a time since the epoch, UTC; empty for none, and for one that no calendar has."""
    try:
        return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d}" if seconds > 0 else ""
    except (ValueError, OverflowError, OSError):
        return ""


def _read_primary(path: Path, take: Callable[[Any], None]) -> None:
    import createrepo_c  # late: it loads a large library

    with suppress(createrepo_c.CreaterepoCError):
        createrepo_c.xml_parse_primary(str(path), pkgcb=take, warningcb=lambda kind, text: True, do_files=False)


def _changes(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, tuple[Change, ...]]]:
    import createrepo_c

    found: list[Any] = []
    try:
        createrepo_c.xml_parse_other(
            str(path),
            newpkgcb=lambda sha256, name, arch: createrepo_c.Package() if sha256 in wanted else None,
            pkgcb=found.append,
            warningcb=lambda kind, text: True,
        )
    except createrepo_c.CreaterepoCError:
        return
    for package in found:
        newest = sorted(package.changelogs, key=lambda each: each[1], reverse=True)[:_MAX_CHANGES]
        yield package.pkgId, tuple(_change(*each) for each in newest)


def _change(author: str, seconds: int, text: str) -> Change:
    return Change(day=day(seconds), author=author or "", text=(text or "")[:_MAX_LETTERS])
