# SPDX-License-Identifier: GPL-2.0-or-later
"""Rebase the series onto another tag of upstream's: in a clone of our own, stopping where a person must decide.

Nothing is lost on the way: the series in `patches/` is replaced when all of it went over, every former
one stays beside the clone, and a clone with somebody's work in it is never started over.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipeline import command, compat, files, localgit
from pipeline.errors import Interrupted, PatchError, UsageError
from pipeline.model import PatchVerdict
from pipeline.progress import Progress
from pipeline.series import SeriesPatch, read_series, without
from pipeline.settings import Settings
from pipeline.sources.history import History

_SETTINGS = ("-c", "user.name=refresh", "-c", "user.email=refresh@localhost", "-c", "commit.gpgsign=false",
             "-c", "core.quotePath=false")  # fmt: skip
_BRANCH = "refresh"
_MARKER = re.compile(r"^(?P<path>.+):(?P<line>\d+): leftover conflict marker$", re.MULTILINE)


@dataclass(kw_only=True, slots=True)
class _State:
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


class Refresh:
    """The rebase of one package's series; it lives in `out/refresh/<package>/` until it is through."""

    def __init__(self, settings: Settings, package: str, progress: Progress) -> None:
        self._settings = settings
        self._package = package
        self._patches_dir = settings.root_dir / "patches" / package
        self._home_dir = settings.out_path / "refresh" / package
        self._tree_dir = self._home_dir / "tree"
        self._series_dir = self._home_dir / "series"
        self._new_dir = self._home_dir / "new"
        self._progress = progress

    def start(self, repository: str, tag: str) -> None:
        """Begin; ends with the new series, or Raises: PatchError at a conflict, UsageError."""
        self._check_start(tag)
        patches = read_series(self._patches_dir)
        try:
            self._clone(repository, tag)
            self._lend_ancestors(patches)
            commit = self._must("rev-parse", f"refs/tags/{tag}^{{commit}}")
            self._must("checkout", "--quiet", "-B", _BRANCH, commit)
            shutil.copytree(self._patches_dir, self._series_dir)
            state = _State(tag=tag, commit=commit, names=[patch.path.name for patch in patches])
            self._write(state)
        except BaseException:
            self._remove()
            raise
        with self._kept_when_interrupted():
            self._apply_rest(state)

    def foresee(self, repository: str, tag: str) -> None:
        """Tell what `start` would do, and do nothing. Raises: PatchError for an unreadable series, UsageError."""
        self._check_start(tag)
        patches = read_series(self._patches_dir)
        history = History(repository)
        history.tags(tag)
        verdict = compat.try_series(history, tag, patches)
        self._progress.heading(f"{self._package}: would rebase {len(patches)} patches onto {tag}; nothing is done")
        for each in verdict.patches:
            self._progress.heading(f"    {each.patch}: {_foreseen(each)}")

    def go_on(self, *, skip: bool = False) -> None:
        """Go on behind a conflict that was resolved, or leave that patch out. Raises: PatchError at the next one."""
        with self._kept_when_interrupted():
            self._go_on(self._read(), skip=skip)

    def _go_on(self, state: _State, *, skip: bool) -> None:
        self._refuse_elsewhere(state)
        self._refuse_edited_series(state)
        if not self._is_stopped():  # somebody ran `git am` by hand, or it stopped behind the last patch
            self._refuse_markers(state.commit, "HEAD")
        elif not state.stopped:
            self._quit_interrupted()
        elif skip:
            self._must("am", "--skip")
        else:
            self._refuse_unresolved(state)
            self._must("am", "--continue")
        new = self._commits(state) - len(state.kept)
        if skip and (new or not state.stopped):
            raise UsageError(
                "nothing-to-skip", "no patch waits for a decision", hint=f"go on: `{self._line('--continue')}`"
            )
        if state.stopped and not new and not skip:
            raise PatchError(
                "patch-lost",
                f"{state.place} is in no commit of {self._tree_dir}",
                hint=f"apply it there: `git am -3 {self._series_dir / state.rest[0]}`; or leave it out of the series: "
                f"`{self._line('--skip')}`",
            )
        if new or skip:
            self._note_done(state, why="it was skipped")
        self._apply_rest(state)

    def foresee_going_on(self, *, skip: bool) -> None:
        """Tell what `go_on` would do, and do nothing."""
        state = self._read()
        where = state.place if state.rest else "the new series, whose patches are all through,"
        how = "be left out" if skip else "be gone on with"
        self._progress.heading(f"{self._package}: {where} would {how}, onto {state.tag}; nothing is done")

    def abort(self) -> None:
        """Give the refresh up; the series is as it was. Raises: UsageError."""
        self._need_one()
        self._remove()
        self._progress.heading(f"{self._package}: the refresh is given up, the series is as it was")

    def foresee_abort(self) -> None:
        """Tell what `abort` would do, and do nothing."""
        self._need_one()
        self._progress.heading(f"{self._package}: {self._home_dir} would be removed; nothing is done")

    # ---- the beginning ------------------------------------------------------------------------------

    def _check_start(self, tag: str) -> None:
        if self._home_dir.exists():
            raise UsageError(
                "refresh-under-way",
                f"{self._tree_dir} holds a refresh that is not through",
                hint=f"finish it: `{self._line('--continue')}`; or give it up: `{self._line('--abort')}`",
            )
        if not tag:
            raise UsageError(
                "refresh-source",
                "refresh needs a tag to rebase the series onto",
                hint=f"name it: {self._line('--source', 'git:PATH@TAG')}",
            )

    def _clone(self, repository: str, tag: str) -> None:
        self._home_dir.mkdir(parents=True, exist_ok=True)
        place = str(Path(repository).absolute()) if Path(repository).exists() else repository
        code, told = _git(self._home_dir, "clone", "--quiet", "--shared", "--no-checkout", "--", place, "tree")
        if code == 0:
            code, told = self._git("rev-parse", "--verify", "--quiet", f"refs/tags/{tag}^{{commit}}")
            told = told or f"it has no tag '{tag}'"
        if code != 0:
            raise UsageError(
                "refresh-source",
                f"{repository} cannot be taken: {told.splitlines()[-1] if told else 'git said nothing'}",
                hint="give a repository on this machine and one of its tags: --source git:PATH@TAG",
            )

    def _lend_ancestors(self, patches: Sequence[SeriesPatch]) -> None:
        """Apply the series where it fits, so that git has the files that each patch starts from for a 3-way merge."""
        base = f"v{self._settings.packages[self._package].version}"
        if self._git("rev-parse", "--verify", "--quiet", f"refs/tags/{base}")[0] != 0:
            self._progress.warning(f"there is no tag {base}: conflicts will show less of where a patch comes from")
            return
        self._must("checkout", "--quiet", "-B", "base", f"refs/tags/{base}")
        code, told = self._git("am", "--quiet", *(str(patch.path) for patch in patches))
        if code != 0:
            raise PatchError(
                "series-broken",
                f"the series does not apply to {base}, which it is made for: {told.splitlines()[0]}",
                hint="mend it first: `.venv/bin/nox -s patch` says where",
            )

    # ---- patch by patch -----------------------------------------------------------------------------

    def _apply_rest(self, state: _State) -> None:
        """Apply what is left, one patch at a time, and put the new series in place. Raises: PatchError."""
        while state.rest:
            code, told = self._git("am", "--3way", "--keep-non-patch", str(self._series_dir / state.rest[0]))
            if code != 0 and not self._is_stopped():
                raise PatchError(
                    "git-failed",
                    f"git am did not begin with {state.place} in {self._tree_dir}: {told or 'git said nothing'}",
                    hint=f"mend what git says, then `{self._line('--continue')}`",
                )
            if code != 0:
                state.stopped = True
                self._write(state)
                raise self._conflict(state, told)
            self._note_done(state, why=f"{state.tag} has it already")
        self._take_over(state)

    @contextmanager
    def _kept_when_interrupted(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            raise Interrupted(
                "interrupted",
                "interrupted; what ran was ended, and what is rebased so far is kept",
                hint=f"go on: `{self._line('--continue')}`; or give it up: `{self._line('--abort')}`",
            ) from None

    def _note_done(self, state: _State, *, why: str) -> None:
        """The next patch became a commit, or none, for that reason."""
        self._check_commits(state, {len(state.kept), len(state.kept) + 1})
        name = state.rest[0]
        if self._commits(state) > len(state.kept):
            state.kept.append(name)
        else:
            state.gone[name] = why
        state.stopped = False
        self._write(state)

    def _check_commits(self, state: _State, allowed: set[int]) -> None:
        """Raises: PatchError when somebody made more or fewer commits than one for each patch."""
        found = self._commits(state)
        if found not in allowed:
            raise PatchError(
                "refresh-commits",
                f"{self._tree_dir} has {found} commits behind {state.tag}, where there should be "
                f"{max(allowed)}, one for each patch",
                hint=f"make it one commit for each patch (`git rebase -i {state.commit}`), "
                f"then `{self._line('--continue')}`",
            )

    def _conflict(self, state: _State, told: str) -> PatchError:
        unmerged = self._unmerged()
        patch_path = self._series_dir / state.rest[0]
        if unmerged:
            what = f"conflicts in {', '.join(unmerged)} on {state.tag}: both sides changed it"
            how = f"edit the files in {self._tree_dir} and `git add` them there"
        else:
            lines = [line for line in told.splitlines() if line.startswith("error: ")] or told.splitlines()
            what = f"does not apply to {state.tag}: {lines[0].removeprefix('error: ') if lines else 'git said nothing'}"
            how = (
                f"in {self._tree_dir}: `git apply --reject {patch_path}`, mend what is in the .rej files, `git add` all"
            )
        return PatchError(
            "refresh-conflict",
            f"{state.place} {what}",
            hint=f"{how}; then `{self._line('--continue')}`; or leave the patch out of the series: "
            f"`{self._line('--skip')}`; or give it up: `{self._line('--abort')}`",
        )

    def _refuse_elsewhere(self, state: _State) -> None:
        """Raises: PatchError unless the tree is on our branch, behind the tag as it was at the start."""
        branch = self._git("symbolic-ref", "--quiet", "HEAD")[1]
        head = self._must("rev-parse", "HEAD")
        behind = self._git("merge-base", "--is-ancestor", state.commit, "HEAD")[0] == 0
        if branch != f"refs/heads/{_BRANCH}" or not behind or state.head not in ("", head):
            raise PatchError(
                "refresh-elsewhere",
                f"{self._tree_dir} is at {head[:12]} on {branch or 'no branch'}, where it should be on {_BRANCH}"
                + (f" at {state.head[:12]}" if state.head else f", behind {state.tag} ({state.commit[:12]})"),
                hint=f"go back there (`git checkout {_BRANCH}`, `git reflog {_BRANCH}` has its former commits), "
                f"then `{self._line('--continue')}`; or give it up: `{self._line('--abort')}`",
            )

    def _refuse_edited_series(self, state: _State) -> None:
        """Raises: PatchError for a file that is not as at the start, nor, where it is being replaced, as it will be."""
        now, then = _contents(self._patches_dir), _contents(self._series_dir)
        new = _contents(self._new_dir) if state.before else then
        edited = [
            str(self._patches_dir / name)
            for name in sorted({*now, *then})
            if now.get(name) not in (then.get(name), new.get(name))
        ]
        if edited:
            raise PatchError(
                "series-edited",
                f"{', '.join(edited)} changed since the refresh began, and would be replaced",
                hint=f"put your edit elsewhere and the file back from {self._series_dir}, "
                f"then `{self._line('--continue')}`; or give the refresh up: `{self._line('--abort')}`",
            )

    def _quit_interrupted(self) -> None:
        """Forget an `am` that was ended before it was through; what it left is for a person to look at."""
        left = self._must("status", "--porcelain").splitlines()
        if left:
            raise PatchError(
                "refresh-interrupted",
                f"`git am` was interrupted half-way, and {self._tree_dir} has changes: "
                + ", ".join(line.strip() for line in left),
                hint="nothing there is needed to apply the patch anew: `git reset --hard` and `git clean -fd` there, "
                f"then `{self._line('--continue')}`",
            )
        files.remove_tree(self._tree_dir / ".git" / "rebase-apply")

    def _refuse_unresolved(self, state: _State) -> None:
        """Raises: PatchError unless what a person decided about the stopped patch is whole."""
        if self._unmerged():
            raise self._conflict(state, "")
        edited = self._must("diff", "--name-only").splitlines()
        if edited:
            raise PatchError(
                "refresh-uncommitted",
                f"{', '.join(edited)} in {self._tree_dir} is edited and not added",
                hint=f"`git add` it there, then `{self._line('--continue')}`",
            )
        self._refuse_markers("--cached", "HEAD")
        if self._git("diff", "--cached", "--quiet", "HEAD")[0] == 0:
            raise PatchError(
                "patch-empty",
                f"the patch is empty here: {state.place} changes nothing in {self._tree_dir}",
                hint=f"leave it out of the series: `{self._line('--skip')}`; or make its change there, `git add` it, "
                f"then `{self._line('--continue')}`",
            )

    def _refuse_markers(self, *revisions: str) -> None:
        """Raises: PatchError for a line that git made to mark a conflict; those that a patch itself adds may stay."""
        told = self._git("diff", "--check", *revisions)[1]
        own = {line[1:] for path in self._series_dir.glob("*.patch")
               for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
               if line.startswith("+")}  # fmt: skip
        for found in _MARKER.finditer(told):
            path, number = self._tree_dir / found["path"], int(found["line"])
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
            if lines[number - 1 : number] and lines[number - 1] in own:
                continue
            raise PatchError(
                "conflict-marker",
                f"{path}, line {number} still marks a conflict: {''.join(lines[number - 1 : number])}",
                hint=f"resolve it and `git add` the file there, then `{self._line('--continue')}`",
            )

    # ---- the end ------------------------------------------------------------------------------------

    def _take_over(self, state: _State) -> None:
        """Export the rebased series and put it in place of the former one, which is kept."""
        left = self._must("status", "--porcelain", "--untracked-files=all").splitlines()
        left += self._must("stash", "list").splitlines()
        if left:
            raise PatchError(
                "refresh-uncommitted",
                f"{self._tree_dir} has changes that are in no commit: {', '.join(line.strip() for line in left)}",
                hint="commit them there (`git commit --amend` for the last patch), or remove what is not needed, "
                f"then `{self._line('--continue')}`",
            )
        self._refuse_elsewhere(state)
        self._refuse_edited_series(state)
        self._check_commits(state, {len(state.kept)})
        if not state.kept:
            raise PatchError(
                "series-empty",
                f"no patch is left on {state.tag}, and a series is never empty: {_told(state)}",
                hint=f"the series stays as it was: `{self._line('--abort')}`",
            )
        if not state.before:
            self._export(state)
            self._keep_former(state)
        for name in (*state.kept, "series"):
            files.copy_whole(self._new_dir / name, self._patches_dir / name)
        for name in state.gone:
            (self._patches_dir / name).unlink(missing_ok=True)
        self._remove()
        self._tell_end(state)

    def _export(self, state: _State) -> None:
        """Make the new series, beside the tree."""
        exported_dir = self._home_dir / "exported"
        files.remove_tree(exported_dir)
        files.remove_tree(self._new_dir)
        self._must(
            *("-c", "core.abbrev=7", "format-patch", "--quiet", "--zero-commit", "--no-signature", "--no-numbered"),
            *("--output-directory", str(exported_dir), state.commit),
        )
        for name, path in zip(state.kept, sorted(exported_dir.glob("*.patch")), strict=True):
            files.copy_whole(path, self._new_dir / name)
        text = (self._series_dir / "series").read_text(encoding="utf-8")
        files.write_whole(self._new_dir / "series", without(text, state.gone))

    def _keep_former(self, state: _State) -> None:
        """Make a copy of the series as it lies there, under a number that no copy has yet."""
        copy_dir, number = self._home_dir / "before", 1
        files.remove_tree(copy_dir)
        shutil.copytree(self._patches_dir, copy_dir)
        while (folder := self._home_dir.with_name(f"{self._package}-before-{number}")).exists():
            number += 1
        copy_dir.rename(folder)
        state.before, state.head = str(folder), self._must("rev-parse", "HEAD")
        self._write(state)

    def _remove(self) -> None:
        """Remove the refresh, with the state first: one without it is never gone on with."""
        (self._home_dir / "state.json").unlink(missing_ok=True)
        files.remove_tree(self._home_dir)

    def _tell_end(self, state: _State) -> None:
        progress, package = self._progress, self._package
        count = len(state.kept)
        progress.heading(
            f"{package}: {count} patch{'es are' if count > 1 else ' is'} rebased onto {state.tag}; "
            f"the former series is in {state.before}"
        )
        for name, why in state.gone.items():
            progress.warning(
                f"{name} is no longer in the series: {why}; the others keep their numbers. Remove or move the tests "
                f"in tests/patched/{package}/ with PATCH = '{name[:4]}'"
            )
        progress.heading("next, in pipeline.toml, and in whatever source names the former tag:")
        progress.heading(f'    [packages.{package}]  version = "{state.tag.removeprefix("v")}"')
        progress.heading(f'    [packages.{package}.git_commits]  "{state.tag}" = "{state.commit}"')

    # ---- what they share ----------------------------------------------------------------------------

    def _line(self, *words: str) -> str:
        """The line to type that has this refresh go on, wherever it lies."""
        settings = self._settings
        elsewhere = settings.out_path != settings.root_dir / settings.out_dir
        out = ["--out", str(settings.out_path)] if elsewhere else []
        package = ["--package", self._package] if len(settings.packages) > 1 else []
        return command.shown([".venv/bin/nox", "-s", "refresh", "--", *words, *package, *out])

    def _need_one(self) -> None:
        if not self._home_dir.exists():
            raise UsageError(
                "no-refresh",
                f"no refresh of {self._package} is under way",
                hint=f"begin: {self._line('--source', 'git:PATH@TAG')}",
            )

    def _read(self) -> _State:
        self._need_one()
        try:
            return _State(**json.loads((self._home_dir / "state.json").read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            raise UsageError(
                "refresh-unreadable",
                f"{self._home_dir} holds a refresh that nobody can go on with: it was interrupted at its start or end",
                hint=f"remove it, which leaves {self._patches_dir} as it is: `{self._line('--abort')}`",
            ) from None

    def _write(self, state: _State) -> None:
        files.write_whole(self._home_dir / "state.json", json.dumps(asdict(state)) + "\n")

    def _is_stopped(self) -> bool:
        return (self._tree_dir / ".git" / "rebase-apply").exists()

    def _unmerged(self) -> list[str]:
        return self._git("diff", "--name-only", "--diff-filter=U")[1].splitlines()

    def _commits(self, state: _State) -> int:
        return int(self._must("rev-list", "--count", "--no-merges", f"{state.commit}..HEAD"))

    def _must(self, *words: str) -> str:
        code, told = self._git(*words)
        if code != 0:
            raise PatchError("git-failed", f"git {words[0]}: {told.splitlines()[-1] if told else code}")
        return told

    def _git(self, *words: str) -> tuple[int, str]:
        return _git(self._tree_dir, *words)


def _foreseen(verdict: PatchVerdict) -> str:
    lines = f"{verdict.offset_lines} line{'' if abs(verdict.offset_lines) == 1 else 's'}"
    return {
        "clean": "applies as it is",
        "offset": f"applies, {lines} away",
        "upstream": "is there already, and would go",
        "conflict": f"does not fit at {verdict.detail}; git would try to merge it, and stop there if it cannot",
        "untried": "comes behind one that does not fit, and was not tried",
    }[verdict.state]


def _told(state: _State) -> str:
    return "; ".join(f"{name}: {why}" for name, why in state.gone.items())


def _contents(folder: Path) -> dict[str, bytes]:
    """What each file of a series holds, by name."""
    paths = (path for path in folder.iterdir() if path.name == "series" or path.suffix == ".patch")
    return {path.name: path.read_bytes() for path in paths if path.is_file()}


def _git(folder: Path, *words: str) -> tuple[int, str]:
    own = {"GIT_EDITOR": "true", "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    return localgit.run(folder, *_SETTINGS, *words, env=own)
