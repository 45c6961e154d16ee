# SPDX-License-Identifier: GPL-2.0-or-later
"""The lines of the publish log in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.mirrors.facts import RepositoryFacts
from pipeline.model import LogEntry, PublishedRpm

MAX_SHOWN = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One line: `title` says what was done, `detail` more of it; `moment` is for people, `time` as the log has it."""

    entry: LogEntry
    title: str
    detail: str
    moment: str


def newest(log: Sequence[LogEntry]) -> tuple[Event, ...]:
    """The last lines, newest first; not more than a reader looks at."""
    return tuple(_event(entry) for entry in reversed(log[-MAX_SHOWN:]))


def sources(rpms: Iterable[PublishedRpm]) -> tuple[str, ...]:
    """The source packages that these come from, each with its version: `vdsm 4.16.30-0.el6.ours.904`."""
    return tuple(f"{name} {evr}" for name, evr in versions(rpms))


def versions(rpms: Iterable[PublishedRpm]) -> tuple[tuple[str, str], ...]:
    """The name and version of each source package that these come from."""
    found: dict[tuple[str, str], None] = {}
    for rpm in sorted(rpms, key=lambda rpm: (rpm.source, rpm.arch != "src")):
        if rpm.arch == "src" or rpm.source not in {source for source, _ in found}:
            found[rpm.source, str(rpm.evr)] = None
    return tuple(found)


def names(facts: RepositoryFacts) -> tuple[str, ...]:
    """The names of the source packages of ours that are in it."""
    return tuple(sorted({rpm.source for rpm in facts.sets.ours}))


def _event(entry: LogEntry) -> Event:
    releases = ", ".join(f"{name} {evr}" for name, evr in entry.releases)
    titles = {
        "publish": f"published {releases}" if releases else "published once more, with no new release of a source",
        "promote": f"promoted {releases or 'packages'}",
        "rollback": f"rolled back {entry.detail}",
        "adopt": "taken over from others",
    }
    return Event(
        entry=entry,
        title=titles.get(entry.action, entry.action),
        detail="" if entry.action == "rollback" else entry.detail,
        moment=f"{datetime.fromisoformat(entry.time):%Y-%m-%d %H:%M} UTC",
    )
