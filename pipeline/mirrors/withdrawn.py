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
    """The (source name, EVR) that do not stand any more because of a rollback."""
    standing: frozenset[_Release] = frozenset()
    states: dict[int, frozenset[_Release]] = {}
    found: dict[_Release, Withdrawal] = {}
    former = 0
    for entry in log:
        before, standing = standing, standing | set(entry.releases)
        if entry.action == "rollback":
            standing = states.get(_aim(entry), frozenset())
            found |= {each: Withdrawal(rollback=entry, last_revision=former) for each in before - standing}
        found = {each: withdrawal for each, withdrawal in found.items() if each not in standing}
        states[entry.revision] = standing
        former = entry.revision
    return found


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
