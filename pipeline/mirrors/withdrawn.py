# SPDX-License-Identifier: GPL-2.0-or-later
"""Releases that were published and that a rollback took back, as the log tells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from shlex import quote

from pipeline.errors import ReleaseError
from pipeline.mirrors import lineage
from pipeline.model import LogEntry, PublishedRpm
from pipeline.settings import Settings

_Release = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Withdrawal:
    """The rollback that took a release back, and the last revision that had it."""

    rollback: LogEntry
    last_revision: int


def read(log: Iterable[LogEntry]) -> dict[_Release, Withdrawal]:
    """The (source name, EVR) that do not stand any more because of a rollback.

    What a state brought stands as long as the log is at it or below it, so the line behind the last such one took it
    back.
    """
    states = lineage.read(log)
    entries, parents = states.log, states.parents
    last = [-1] * len(parents)  # of each state: the last line that was at it or below it
    for line, state in enumerate(states.state_at):
        last[state] = line
    for state in range(len(parents) - 1, 0, -1):
        last[parents[state]] = max(last[parents[state]], last[state])
    ends: dict[_Release, int] = {}
    for state, line in enumerate(states.began[1:], 1):
        for release in entries[line].releases:
            ends[release] = max(last[state], ends.get(release, -1))
    return {
        release: Withdrawal(rollback=entries[end + 1], last_revision=entries[end].revision)
        for release, end in ends.items()
        if end + 1 < len(entries)
    }


def refuse(new: Iterable[PublishedRpm], log: Sequence[LogEntry], settings: Settings, target_name: str) -> None:
    """Raises: ReleaseError: somebody took the release back, and only somebody brings it again, no nightly run."""
    withdrawn = read(log)
    for rpm in new:
        found = withdrawn.get((rpm.source, str(rpm.evr)))
        if found:
            raise ReleaseError(
                "rolled-back",
                f"{rpm.source}-{rpm.evr} was rolled back on {found.rollback.time} (revision {found.rollback.revision})",
                hint=f"`{command(settings, target_name, found.last_revision)}` brings it back as it was;"
                " a change of its input gets a number of its own",
            )


def command(settings: Settings, target_name: str, revision: int) -> str:
    """What is typed in the checkout to let a revision stand again in the channel of the settings."""
    name = settings.mirror_override or settings.target(target_name).mirror
    return f".venv/bin/nox -s rollback -- --target {quote(target_name)} --mirror {quote(name)} --to {revision}"
