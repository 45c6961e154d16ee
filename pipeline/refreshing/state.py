# SPDX-License-Identifier: GPL-2.0-or-later
"""How far a refresh is: the record, and the file that holds it from one run to the next."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipeline import files
from pipeline.errors import UsageError
from pipeline.refreshing.home import Home


@dataclass(kw_only=True, slots=True)
class State:
    """How far a refresh is: each patch that was tried is kept, one commit each, or gone, with the reason.

    `stopped` says that a person is to decide about the next one. Once the series is being replaced, `before` is where
    the former one is kept, and `head` what the new one was made of.
    """

    tag: str
    commit: str
    names: list[str]
    kept: list[str] = field(default_factory=list)
    gone: dict[str, str] = field(default_factory=dict)
    stopped: bool = False
    before: str = ""
    head: str = ""

    @property
    def rest(self) -> list[str]:
        return self.names[len(self.kept) + len(self.gone) :]

    @property
    def place(self) -> str:
        """The patch that comes next, as people are told of it."""
        return f"patch {len(self.names) - len(self.rest) + 1} of {len(self.names)}, {self.rest[0]},"


def need_one(home: Home) -> None:
    """Raises: UsageError when no refresh is under way."""
    if not home.path.exists():
        raise UsageError(
            "no-refresh",
            f"no refresh of {home.package} is under way",
            hint=f"begin: {home.line('--source', 'git:PATH@TAG')}",
        )


def read(home: Home) -> State:
    """Raises: UsageError when there is none, or none to go on with."""
    need_one(home)
    try:
        return State(**json.loads(_path(home).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        raise UsageError(
            "refresh-unreadable",
            f"{home.path} holds a refresh that nobody can go on with: it was interrupted at its start or end",
            hint=f"remove it, which leaves {home.patches_dir} as it is: `{home.line('--abort')}`",
        ) from None


def write(home: Home, state: State) -> None:
    files.write_whole(_path(home), json.dumps(asdict(state)) + "\n")


def remove(home: Home) -> None:
    """Remove the refresh, with the state first: one without it is never gone on with."""
    _path(home).unlink(missing_ok=True)
    files.remove_tree(home.path)


def _path(home: Home) -> Path:
    return home.path / "state.json"
