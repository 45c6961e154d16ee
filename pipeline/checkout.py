# SPDX-License-Identifier: GPL-2.0-or-later
"""The state of the checkout that the pipeline runs from: its commit, and whether that says all of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline import command
from pipeline.errors import CommandFailed, CommandMissing, ReleaseError
from pipeline.model import Job
from pipeline.settings import Settings

_SECONDS = 60
# A file here decides what is built, whatever git is told to ignore or to take for unchanged.
_DECISIVE = ("pipeline", "patches", "specs", "containers", "pipeline.toml")
# status writes nothing.
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
        status = _git(root_dir, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=no", ".")
        committed = _read_tree(_git(root_dir, "ls-tree", "-r", "-z", "HEAD", "--", *_DECISIVE))
    except (CommandFailed, CommandMissing):
        return Checkout()
    changed = {row[3:].removeprefix(prefix) for row in status.split("\0") if row}
    there = {path: _blob(root_dir / path, commit) for path in _decisive_files(root_dir)}
    changed |= {path for path in committed.keys() | there.keys() if committed.get(path) != there.get(path)}
    return Checkout(commit=commit, changed=tuple(sorted(changed)))


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


def _read_tree(listed: str) -> dict[str, str]:
    """Path -> blob. Source: git-ls-tree(1), "OUTPUT FORMAT"."""
    rows = (row.partition("\t") for row in listed.split("\0") if row)
    return {path: about.split()[2] for about, _, path in rows}


def _decisive_files(root_dir: Path) -> Iterator[str]:
    for top in _DECISIVE:
        for path in (root_dir / top, *(root_dir / top).rglob("*")):
            if (path.is_file() or path.is_symlink()) and "__pycache__" not in path.parts:
                yield str(path.relative_to(root_dir))


def _blob(path: Path, commit: str) -> str:
    """The name that git has for a file's contents, in a repository where commits have such names.

    Source: gitformat-pack(5) and git's hash-function-transition: SHA-256 names have 64 digits.
    """
    content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
    new_hash = hashlib.sha256 if len(commit) == 64 else hashlib.sha1
    return new_hash(b"blob %d\0" % len(content) + content).hexdigest()


def _git(root_dir: Path, *words: str) -> str:
    return command.run([*_GIT, *words], cwd=root_dir, env=_ENV, timeout_seconds=_SECONDS).stdout
