# SPDX-License-Identifier: GPL-2.0-or-later
"""The states of a repository as its log tells them: a tree. A publish is the child of what stood, a rollback leads
back to its aim. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.model import LogEntry

_NONE = 0  # the state before all others, with nothing in it


@dataclass(frozen=True, kw_only=True, slots=True)
class Lineage:
    """`state_at` is the state behind each line; of each state, `parents` is the one before it, `began` its line."""

    log: Sequence[LogEntry]
    state_at: tuple[int, ...]
    parents: tuple[int, ...]
    began: tuple[int, ...]

    def beginning(self, line: int) -> LogEntry | None:
        """The entry by which the content that stands behind a line first came; `None` where the log does not tell."""
        state = self.state_at[line]
        return self.log[self.began[state]] if state != _NONE else None

    def releases(self, line: int) -> tuple[tuple[str, str], ...]:
        """The (source name, EVR) behind a line, of each source the last that came."""
        found: dict[str, str] = {}
        state = self.state_at[line]
        while state != _NONE:
            for name, evr in self.log[self.began[state]].releases:
                found.setdefault(name, evr)
            state = self.parents[state]
        return tuple(sorted(found.items()))

    def line_before(self) -> int | None:
        """The last line with the content that the last change of it came upon: what was rolled back is not among
        these. `None` where there was none.
        """
        if not self.log:
            return None
        state = self.state_at[-1]
        while state != _NONE and not self._brings(state):
            state = self.parents[state]
        wanted = self.parents[state]
        if _NONE in (state, wanted):
            return None
        return max(line for line, at in enumerate(self.state_at) if at == wanted)

    def _brings(self, state: int) -> bool:
        entry = self.log[self.began[state]]
        return bool(entry.releases) or entry.action == "adopt"


def read(log: Iterable[LogEntry]) -> Lineage:
    """The states, from the log alone."""
    entries = tuple(log)
    parents, began, state_at = [_NONE], [-1], []
    state_of: dict[int, int] = {}
    at = _NONE
    for line, entry in enumerate(entries):
        if entry.action == "rollback":
            at = state_of.get(_aim(entry), _NONE)
        else:
            parents.append(at)
            began.append(line)
            at = len(parents) - 1
        state_at.append(at)
        state_of[entry.revision] = at
    return Lineage(log=entries, state_at=tuple(state_at), parents=tuple(parents), began=tuple(began))


def aim_text(revision: int) -> str:
    """What a rollback's entry has for its detail."""
    return f"to {revision}"


def _aim(entry: LogEntry) -> int:
    word = entry.detail.removeprefix("to ")
    return int(word) if word.isdecimal() else -1
