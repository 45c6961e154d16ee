# SPDX-License-Identifier: GPL-2.0-or-later
"""The lines of the publish log in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.mirrors import lineage
from pipeline.mirrors.facts import RepositoryFacts
from pipeline.mirrors.lineage import Lineage
from pipeline.model import LogEntry, PublishedRpm

MAX_SHOWN = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One line: `title` says what was done, `detail` more of it; `moment` is for people, `time` as the log has it.

    `commit` is what the content was made from, which a rollback's own line did not always tell.
    """

    entry: LogEntry
    title: str
    detail: str
    commit: str
    moment: str


def newest(log: Sequence[LogEntry]) -> tuple[Event, ...]:
    """The last lines, newest first; not more than a reader looks at."""
    states = lineage.read(log)
    return tuple(_event(states, line) for line in range(len(log) - 1, max(-1, len(log) - 1 - MAX_SHOWN), -1))


def former(log: Sequence[LogEntry]) -> tuple[int, str] | None:
    """The revision that a rollback would go to, and what it has in words; `None` where there is none."""
    states = lineage.read(log)
    line = states.line_before()
    if line is None:
        return None
    began = states.beginning(line)
    has = _words(states.releases(line))
    return log[line].revision, has or ("what others published" if began and began.action == "adopt" else "")


def rebuilt(facts: RepositoryFacts) -> bool:
    """Whether the log tells that the vendor's packages were built here, from the vendor's source."""
    told = [entry.detail for entry in facts.log if entry.action == "publish"]
    # As the stage `vendor` tells it: by the name of a file. Its release may have another dist tag.
    files = {f"built from {rpm.source}-{rpm.evr.version}-" for rpm in facts.sets.vendor}
    return bool(files) and all(any(file in detail for detail in told) for file in files)


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


def _words(releases: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {evr}" for name, evr in releases)


def _event(states: Lineage, line: int) -> Event:
    entry, began = states.log[line], states.beginning(line)
    releases = _words(entry.releases)
    again = _words(states.releases(line))
    titles = {
        "publish": f"published {releases}" if releases else "published once more, with no new release of a source",
        "promote": f"promoted {releases or 'packages'}",
        "rollback": f"rolled back {entry.detail}{f' ({again})' if again else ''}",
        "adopt": "taken over from others",
    }
    return Event(
        entry=entry,
        title=titles.get(entry.action, entry.action),
        detail="" if entry.action == "rollback" else entry.detail,
        commit=began.commit if began and entry.action == "rollback" else entry.commit,
        moment=f"{datetime.fromisoformat(entry.time):%Y-%m-%d %H:%M} UTC",
    )
