# SPDX-License-Identifier: GPL-2.0-or-later
"""The clone that a series is rebased in, and all that is asked of git there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline import files, localgit
from pipeline.errors import PatchError, UsageError
from pipeline.progress import Progress
from pipeline.refreshing.home import Home
from pipeline.series import SeriesPatch

BRANCH = "refresh"
_SETTINGS = ("-c", "user.name=refresh", "-c", "user.email=refresh@localhost", "-c", "commit.gpgsign=false",
             "-c", "core.quotePath=false")  # fmt: skip


class Clone:
    """The tree of one refresh, on a branch of our own."""

    def __init__(self, home: Home) -> None:
        self.home = home

    def make(self, repository: str, tag: str) -> None:
        """Clone a repository that has the tag. Raises: UsageError."""
        home_dir = self.home.path
        home_dir.mkdir(parents=True, exist_ok=True)
        place = str(Path(repository).absolute()) if Path(repository).exists() else repository
        code, told = _git(home_dir, "clone", "--quiet", "--shared", "--no-checkout", "--", place, "tree")
        if code == 0:
            code, told = self.git("rev-parse", "--verify", "--quiet", f"refs/tags/{tag}^{{commit}}")
            told = told or f"it has no tag '{tag}'"
        if code != 0:
            raise UsageError(
                "refresh-source",
                f"{repository} cannot be taken: {told.splitlines()[-1] if told else 'git said nothing'}",
                hint="give a repository on this machine and one of its tags: --source git:PATH@TAG",
            )

    def lend_ancestors(self, patches: Sequence[SeriesPatch], progress: Progress) -> None:
        """Apply the series where it fits, so that git has the files that each patch starts from for a 3-way merge."""
        base = f"v{self.home.settings.packages[self.home.package].version}"
        if self.git("rev-parse", "--verify", "--quiet", f"refs/tags/{base}")[0] != 0:
            progress.warning(f"there is no tag {base}: conflicts will show less of where a patch comes from")
            return
        self.must("checkout", "--quiet", "-B", "base", f"refs/tags/{base}")
        code, told = self.git("am", "--quiet", *(str(patch.path) for patch in patches))
        if code != 0:
            raise PatchError(
                "series-broken",
                f"the series does not apply to {base}, which it is made for: {told.splitlines()[0]}",
                hint="mend it first: `.venv/bin/nox -s patch` says where",
            )

    def begin(self, tag: str) -> str:
        """Put our branch at the tag; its commit."""
        commit = self.must("rev-parse", f"refs/tags/{tag}^{{commit}}")
        self.must("checkout", "--quiet", "-B", BRANCH, commit)
        return commit

    def apply(self, path: Path) -> tuple[int, str]:
        """Exit code and words of git for one patch, made a commit where it goes over."""
        return self.git("am", "--3way", "--keep-non-patch", str(path))

    def is_stopped(self) -> bool:
        return self._am_dir.exists()

    def forget_stopped(self) -> None:
        """Have git forget an `am` that was not through; the tree stays as it is."""
        files.remove_tree(self._am_dir)

    def unmerged(self) -> list[str]:
        return self.git("diff", "--name-only", "--diff-filter=U")[1].splitlines()

    def changes(self, *words: str) -> list[str]:
        """What is in no commit, as `git status` has it."""
        return self.must("status", "--porcelain", *words).splitlines()

    def head(self) -> str:
        return self.must("rev-parse", "HEAD")

    def count(self, commit: str) -> int:
        """How many commits are behind that one."""
        return int(self.must("rev-list", "--count", "--no-merges", f"{commit}..HEAD"))

    def export(self, commit: str, folder: Path) -> list[Path]:
        """Make a patch of each commit behind that one; their files, in order."""
        self.must(
            *("-c", "core.abbrev=7", "format-patch", "--quiet", "--zero-commit", "--no-signature", "--no-numbered"),
            *("--output-directory", str(folder), commit),
        )
        return sorted(folder.glob("*.patch"))

    def must(self, *words: str) -> str:
        """What git says. Raises: PatchError when it refuses."""
        code, told = self.git(*words)
        if code != 0:
            raise PatchError("git-failed", f"git {words[0]}: {told.splitlines()[-1] if told else code}")
        return told

    def git(self, *words: str) -> tuple[int, str]:
        return _git(self.home.tree_dir, *words)

    @property
    def _am_dir(self) -> Path:
        return self.home.tree_dir / ".git" / "rebase-apply"


def _git(folder: Path, *words: str) -> tuple[int, str]:
    own = {"GIT_EDITOR": "true", "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    return localgit.run(folder, *_SETTINGS, *words, env=own)
