# SPDX-License-Identifier: GPL-2.0-or-later
"""Rebase the series onto another tag of upstream's: in a clone of our own, stopping where a person must decide.

Nothing is lost on the way: the series in `patches/` is replaced when all of it went over, the former
one stays beside the clone, and a clone with somebody's work in it is never started over.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from git.cmd import Git

from pipeline import files
from pipeline.errors import PatchError, UsageError
from pipeline.progress import Progress
from pipeline.series import SeriesPatch, read_series
from pipeline.settings import Settings

_IDENTITY = ("-c", "user.name=refresh", "-c", "user.email=refresh@localhost", "-c", "commit.gpgsign=false")
_BRANCH = "refresh"


class Refresh:
    """The rebase of one package's series; it lives in `out/refresh/<package>/` until it is through."""

    def __init__(self, settings: Settings, package: str, progress: Progress) -> None:
        self._package = package
        self._version = settings.packages[package].version
        self._patches_dir = settings.root_dir / "patches" / package
        self._home_dir = settings.out_path / "refresh" / package
        self._tree_dir = self._home_dir / "tree"
        self._progress = progress

    def start(self, repository: str, tag: str) -> None:
        """Begin; ends with the new series, or Raises: PatchError at a conflict, UsageError."""
        if self._tree_dir.exists():
            raise UsageError(
                "refresh-under-way",
                f"{self._tree_dir} holds a refresh that is not through",
                hint="finish it: `.venv/bin/nox -s refresh -- --continue`; or give it up: `… -- --abort`",
            )
        if not tag:
            raise UsageError(
                "refresh-source",
                "refresh needs a tag to rebase the series onto",
                hint="name it: --source git:PATH@TAG",
            )
        patches = read_series(self._patches_dir)
        self._clone(repository, tag)
        try:
            self._lend_ancestors(patches)
        except BaseException:
            shutil.rmtree(self._home_dir)
            raise
        self._must("checkout", "--quiet", "-B", _BRANCH, tag)
        self._settle(self._git("am", "--3way", "--keep-non-patch", *(str(patch.path) for patch in patches)))

    def go_on(self) -> None:
        """Go on behind a conflict that was resolved. Raises: PatchError at the next one, UsageError."""
        self._need_one()
        if self._is_stopped():
            self._settle(self._git("am", "--continue"))
        else:  # somebody ran `git am --continue` by hand
            self._take_over()

    def abort(self) -> None:
        """Give the refresh up; the series is as it was. Raises: UsageError."""
        self._need_one()
        shutil.rmtree(self._home_dir)
        self._progress.heading(f"{self._package}: the refresh is given up, the series is as it was")

    def _clone(self, repository: str, tag: str) -> None:
        self._home_dir.mkdir(parents=True, exist_ok=True)
        code, told = _run(self._home_dir, "clone", "--quiet", "--shared", "--no-checkout", "--", repository, "tree")
        if code == 0:
            code, told = self._git("rev-parse", "--verify", "--quiet", f"refs/tags/{tag}^{{commit}}")
            told = told or f"it has no tag '{tag}'"
        if code != 0:
            shutil.rmtree(self._home_dir)
            raise UsageError(
                "refresh-source",
                f"{repository} cannot be taken: {told.splitlines()[-1] if told else 'git said nothing'}",
                hint="give a repository on this machine and one of its tags: --source git:PATH@TAG",
            )

    def _lend_ancestors(self, patches: Sequence[SeriesPatch]) -> None:
        """Apply the series where it fits, so that git has the files that each patch starts from for a 3-way merge."""
        base = f"v{self._version}"
        if self._git("rev-parse", "--verify", "--quiet", f"refs/tags/{base}")[0] != 0:
            self._progress.warning(f"there is no tag {base}: conflicts will show less of where a patch comes from")
            return
        self._must("checkout", "--quiet", "-B", "base", base)
        code, told = self._git("am", "--quiet", *(str(patch.path) for patch in patches))
        if code != 0:
            raise PatchError(
                "series-broken",
                f"the series does not apply to {base}, which it is made for: {told.splitlines()[0]}",
                hint="mend it first: `.venv/bin/nox -s patch` says where",
            )

    def _settle(self, outcome: tuple[int, str]) -> None:
        code, told = outcome
        if code == 0:
            self._take_over()
            return
        patch = self._git("am", "--show-current-patch=raw")[1]
        subject = next((line[9:] for line in patch.splitlines() if line.startswith("Subject: ")), "a patch")
        unmerged = self._git("diff", "--name-only", "--diff-filter=U")[1].split()
        where = f" in {', '.join(unmerged)}" if unmerged else ""
        raise PatchError(
            "refresh-conflict",
            f"{subject.strip()} conflicts{where}: {told.splitlines()[-1] if not unmerged else 'both sides changed it'}",
            hint=f"edit the files in {self._tree_dir} and `git add` them there, then `.venv/bin/nox -s refresh -- "
            "--continue`, or give it up with --abort",
        )

    def _take_over(self) -> None:
        """Export the rebased series and put it in place of the former one, which is kept."""
        if self._git("status", "--porcelain", "--untracked-files=no")[1]:
            raise PatchError(
                "refresh-uncommitted",
                f"{self._tree_dir} has changes that are in no commit",
                hint="commit them there (`git commit --amend` for the last patch), then --continue",
            )
        new_dir = self._home_dir / "new"
        files.remove_tree(new_dir)
        self._must(
            *("-c", "core.abbrev=7", "format-patch", "--quiet", "--zero-commit", "--no-signature", "--no-numbered"),
            *("--output-directory", str(new_dir), self._onto()),
        )
        names = sorted(path.name for path in new_dir.glob("*.patch"))
        before_dir = self._home_dir.parent / f"{self._package}-before"
        files.remove_tree(before_dir)
        shutil.copytree(self._patches_dir, before_dir)
        for name in names:
            files.copy_whole(new_dir / name, self._patches_dir / name)
        files.write_whole(self._patches_dir / "series", "".join(f"{name}\n" for name in names))
        for path in self._patches_dir.glob("*.patch"):
            if path.name not in names:
                path.unlink()
        shutil.rmtree(self._home_dir)
        self._progress.heading(
            f"{self._package}: {len(names)} patches are rebased; the former series is in {before_dir}"
        )

    def _onto(self) -> str:
        """The tag that the branch stands on: where its commits begin."""
        return self._must("describe", "--tags", "--abbrev=0").strip()

    def _need_one(self) -> None:
        if not self._tree_dir.exists():
            raise UsageError(
                "no-refresh", f"no refresh of {self._package} is under way", hint="begin: --source git:PATH@TAG"
            )

    def _is_stopped(self) -> bool:
        return (self._tree_dir / ".git" / "rebase-apply").exists()

    def _must(self, *words: str) -> str:
        code, told = self._git(*words)
        if code != 0:
            raise PatchError("git-failed", f"git {words[0]}: {told.splitlines()[-1] if told else code}")
        return told

    def _git(self, *words: str) -> tuple[int, str]:
        return _run(self._tree_dir, *words)


def _run(folder: Path, *words: str) -> tuple[int, str]:
    plain = {"LC_ALL": "C", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_EDITOR": "true"}
    plain |= {"GIT_CEILING_DIRECTORIES": str(folder.parent)}
    result: Any = Git(str(folder)).execute(
        ["git", *_IDENTITY, *words], with_extended_output=True, with_exceptions=False, env=plain
    )
    code, stdout, stderr = result
    return int(code), f"{stdout}\n{stderr}".strip("\n")
