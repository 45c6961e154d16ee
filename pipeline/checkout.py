# SPDX-License-Identifier: GPL-2.0-or-later
"""The state of the checkout that the pipeline runs from: its commit, and whether that says all of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline import command
from pipeline.errors import CommandFailed, CommandMissing, ReleaseError
from pipeline.model import Job
from pipeline.settings import Settings

_SECONDS = 60
# A file here decides what is built, whether or not git knows it.
_DECISIVE = ("pipeline/", "patches/", "specs/", "containers/", "pipeline.toml")
# Only the checkout's own .gitignore says what does not count; status writes nothing.
_GIT = ("git", "-c", "core.excludesFile=/dev/null", "-c", "core.quotePath=false")
_ENV = {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkout:
    """`commit` is empty where there is none to name; `changed` are the paths that it does not say, in order."""

    commit: str = ""
    changed: tuple[str, ...] = ()

    @property
    def dirty(self) -> bool:
        return bool(self.changed)

    @property
    def state(self) -> str:
        return "unknown" if not self.commit else "uncommitted changes" if self.dirty else "clean"


@cache
def read(root_dir: Path) -> Checkout:
    """The checkout in a folder, as it was when it was first asked for; an empty one where git knows of none."""
    try:
        # A folder that git does not know may lie in a repository of somebody else's: it has to have our file.
        told = _git(root_dir, "rev-parse", "--show-prefix", "HEAD", "HEAD:./pipeline.toml")
        prefix, commit, _ = told.split("\n", 2)
        status = _git(root_dir, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", ".")
    except (CommandFailed, CommandMissing):
        return Checkout()
    rows = [(row[:2], row[3:].removeprefix(prefix)) for row in status.split("\0") if row]
    changed = sorted(path for kind, path in rows if kind != "??" or path.startswith(_DECISIVE))
    return Checkout(commit=commit, changed=tuple(changed))


def refusal(settings: Settings, jobs: Iterable[Job]) -> ReleaseError | None:
    """Why these jobs may not be released: what is no demo would come from what no commit says."""
    if settings.allow_dirty or all(source.kind == "demo" for job in jobs for source in settings.source_list(job)):
        return None
    changed = read(settings.root_dir).changed
    if not changed:
        return None
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return ReleaseError(
        "checkout-dirty",
        f"the checkout has uncommitted changes ({changed[0]}{more}): nobody could make this release again",
        hint="commit or stash them; or release with --allow-dirty, and the provenance will tell it",
    )


def _git(root_dir: Path, *words: str) -> str:
    return command.run([*_GIT, *words], cwd=root_dir, env=_ENV, timeout_seconds=_SECONDS).stdout
