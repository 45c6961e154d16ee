# SPDX-License-Identifier: GPL-2.0-or-later
"""Releases that were published and that a rollback took back, as the log tells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.errors import ReleaseError
from pipeline.model import LogEntry, PublishedRpm

_Release = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Withdrawal:
    """The rollback that took a release back, and the last revision that had it."""

    rollback: LogEntry
    last_revision: int


def read(log: Iterable[LogEntry]) -> dict[_Release, Withdrawal]:
    """The (source name, EVR) that do not stand any more because of a rollback.

    States are a tree: a publish is the child of what stood, a rollback leads back to its aim. What a state brought
    stands as long as the log is at it or below it, so the line behind the last such one took it back.
    """
    entries = list(log)
    parents, last = [0], [-1]  # of each state: the one before it, and the last line that was at it or below it
    brought_by: dict[_Release, list[int]] = {}
    state_of: dict[int, int] = {}
    at = 0
    for line, entry in enumerate(entries):
        if entry.action == "rollback":
            at = state_of.get(_aim(entry), 0)
        else:
            parents.append(at)
            last.append(line)
            at = len(parents) - 1
            for release in entry.releases:
                brought_by.setdefault(release, []).append(at)
        last[at] = line
        state_of[entry.revision] = at
    for state in range(len(parents) - 1, 0, -1):
        last[parents[state]] = max(last[parents[state]], last[state])
    ends = {release: max(last[state] for state in states) for release, states in brought_by.items()}
    return {
        release: Withdrawal(rollback=entries[end + 1], last_revision=entries[end].revision)
        for release, end in ends.items()
        if end + 1 < len(entries)
    }


def refuse(new: Iterable[PublishedRpm], log: Sequence[LogEntry]) -> None:
    """Raises: ReleaseError: somebody took the release back, and only somebody brings it again, no nightly run."""
    withdrawn = read(log)
    for rpm in new:
        found = withdrawn.get((rpm.source, str(rpm.evr)))
        if found:
            raise ReleaseError(
                "rolled-back",
                f"{rpm.source}-{rpm.evr} was rolled back on {found.rollback.time} (revision {found.rollback.revision})",
                hint=f"`nox -s rollback -- --to {found.last_revision}` brings it back as it was;"
                " a change of its input gets a number of its own",
            )


def aim_text(revision: int) -> str:
    """What a rollback's entry has for its detail."""
    return f"to {revision}"


def _aim(entry: LogEntry) -> int:
    word = entry.detail.removeprefix("to ")
    return int(word) if word.isdecimal() else -1
