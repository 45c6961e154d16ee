# SPDX-License-Identifier: GPL-2.0-or-later
"""What a person left in the clone is whole, or it is refused and told how to make it so."""

from __future__ import annotations

import re

from pipeline.errors import PatchError
from pipeline.refreshing.clone import BRANCH, Clone
from pipeline.refreshing.state import State

_MARKER = re.compile(r"^(?P<path>.+):(?P<line>\d+): leftover conflict marker$", re.MULTILINE)


def conflict(clone: Clone, state: State, told: str) -> PatchError:
    """The error for the patch that stopped, by what git told of it."""
    home, unmerged = clone.home, clone.unmerged()
    patch_path = home.series_dir / state.rest[0]
    if unmerged:
        what = f"conflicts in {', '.join(unmerged)} on {state.tag}: both sides changed it"
        how = f"edit the files in {home.tree_dir} and `git add` them there"
    else:
        lines = [line for line in told.splitlines() if line.startswith("error: ")] or told.splitlines()
        what = f"does not apply to {state.tag}: {lines[0].removeprefix('error: ') if lines else 'git said nothing'}"
        how = f"in {home.tree_dir}: `git apply --reject {patch_path}`, mend what is in the .rej files, `git add` all"
    return PatchError(
        "refresh-conflict",
        f"{state.place} {what}",
        hint=f"{how}; then `{home.line('--continue')}`; or leave the patch out of the series: "
        f"`{home.line('--skip')}`; or give it up: `{home.line('--abort')}`",
    )


def refuse_commits(clone: Clone, state: State, *, allowed: set[int]) -> None:
    """Raises: PatchError when somebody made more or fewer commits than one for each patch."""
    found = clone.count(state.commit)
    if found not in allowed:
        raise PatchError(
            "refresh-commits",
            f"{clone.home.tree_dir} has {found} commits behind {state.tag}, where there should be "
            f"{max(allowed)}, one for each patch",
            hint=f"make it one commit for each patch (`git rebase -i {state.commit}`), "
            f"then `{clone.home.line('--continue')}`",
        )


def refuse_elsewhere(clone: Clone, state: State) -> None:
    """Raises: PatchError unless the tree is on our branch, behind the tag as it was at the start."""
    branch = clone.git("symbolic-ref", "--quiet", "HEAD")[1]
    head = clone.head()
    behind = clone.git("merge-base", "--is-ancestor", state.commit, "HEAD")[0] == 0
    if branch != f"refs/heads/{BRANCH}" or not behind or state.head not in ("", head):
        raise PatchError(
            "refresh-elsewhere",
            f"{clone.home.tree_dir} is at {head[:12]} on {branch or 'no branch'}, where it should be on {BRANCH}"
            + (f" at {state.head[:12]}" if state.head else f", behind {state.tag} ({state.commit[:12]})"),
            hint=f"go back there (`git checkout {BRANCH}`, `git reflog {BRANCH}` has its former commits), "
            f"then `{clone.home.line('--continue')}`; or give it up: `{clone.home.line('--abort')}`",
        )


def refuse_half_applied(clone: Clone) -> None:
    """Raises: PatchError for changes that an `am` left which was ended before it was through."""
    left = clone.changes()
    if left:
        raise PatchError(
            "refresh-interrupted",
            f"`git am` was interrupted half-way, and {clone.home.tree_dir} has changes: "
            + ", ".join(line.strip() for line in left),
            hint="nothing there is needed to apply the patch anew: `git reset --hard` and `git clean -fd` there, "
            f"then `{clone.home.line('--continue')}`",
        )


def refuse_unresolved(clone: Clone, state: State) -> None:
    """Raises: PatchError unless what a person decided about the stopped patch is whole."""
    home = clone.home
    if clone.unmerged():
        raise conflict(clone, state, "")
    edited = clone.must("diff", "--name-only").splitlines()
    if edited:
        raise PatchError(
            "refresh-uncommitted",
            f"{', '.join(edited)} in {home.tree_dir} is edited and not added",
            hint=f"`git add` it there, then `{home.line('--continue')}`",
        )
    refuse_markers(clone, "--cached", "HEAD")
    if clone.git("diff", "--cached", "--quiet", "HEAD")[0] == 0:
        raise PatchError(
            "patch-empty",
            f"the patch is empty here: {state.place} changes nothing in {home.tree_dir}",
            hint=f"leave it out of the series: `{home.line('--skip')}`; or make its change there, `git add` it, "
            f"then `{home.line('--continue')}`",
        )


def refuse_markers(clone: Clone, *revisions: str) -> None:
    """Raises: PatchError for a line that git made to mark a conflict; those that a patch itself adds may stay."""
    home = clone.home
    told = clone.git("diff", "--check", *revisions)[1]
    own = {line[1:] for path in home.series_dir.glob("*.patch")
           for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
           if line.startswith("+")}  # fmt: skip
    for found in _MARKER.finditer(told):
        path, number = home.tree_dir / found["path"], int(found["line"])
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
        if lines[number - 1 : number] and lines[number - 1] in own:
            continue
        raise PatchError(
            "conflict-marker",
            f"{path}, line {number} still marks a conflict: {''.join(lines[number - 1 : number])}",
            hint=f"resolve it and `git add` the file there, then `{home.line('--continue')}`",
        )


def refuse_uncommitted(clone: Clone) -> None:
    """Raises: PatchError for work that would be lost with the tree."""
    left = clone.changes("--untracked-files=all")
    left += clone.must("stash", "list").splitlines()
    if left:
        raise PatchError(
            "refresh-uncommitted",
            f"{clone.home.tree_dir} has changes that are in no commit: {', '.join(line.strip() for line in left)}",
            hint="commit them there (`git commit --amend` for the last patch), or remove what is not needed, "
            f"then `{clone.home.line('--continue')}`",
        )
