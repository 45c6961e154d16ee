# SPDX-License-Identifier: GPL-2.0-or-later
"""Rebase the series onto another tag of upstream's: in a clone of our own, stopping where a person must decide.

Nothing is lost on the way: the series in `patches/` is replaced when all of it went over, every former
one stays beside the clone, and a clone with somebody's work in it is never started over.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline import compat
from pipeline.errors import Interrupted, PatchError, UsageError
from pipeline.model import PatchVerdict
from pipeline.progress import Progress
from pipeline.refreshing import checks, takeover
from pipeline.refreshing import state as states
from pipeline.refreshing.clone import Clone
from pipeline.refreshing.home import Home
from pipeline.refreshing.state import State
from pipeline.series import read_patches
from pipeline.settings import Settings
from pipeline.sources.history import History


class Refresh:
    """The rebase of one package's series; it lives in `out/refresh/<package>/` until it is through."""

    def __init__(self, settings: Settings, package: str, progress: Progress) -> None:
        self._home = Home(settings=settings, package=package)
        self._clone = Clone(self._home)
        self._progress = progress

    def start(self, repository: str, tag: str) -> None:
        """Begin; ends with the new series, or Raises: PatchError at a conflict, UsageError."""
        self._check_start(tag)
        home, clone = self._home, self._clone
        patches = read_patches(home.patches_dir)
        try:
            clone.make(repository, tag)
            clone.lend_ancestors(patches, self._progress)
            commit = clone.begin(tag)
            shutil.copytree(home.patches_dir, home.series_dir)
            state = State(tag=tag, commit=commit, names=[patch.path.name for patch in patches])
            states.write(home, state)
        except BaseException:
            states.remove(home)
            raise
        with self._kept_when_interrupted():
            self._apply_rest(state)

    def foresee(self, repository: str, tag: str) -> None:
        """Tell what `start` would do, and do nothing. Raises: PatchError for an unreadable series, UsageError."""
        self._check_start(tag)
        patches = read_patches(self._home.patches_dir)
        history = History(repository)
        history.tags(tag)
        verdict = compat.try_series(history, tag, patches)
        self._progress.heading(f"{self._home.package}: would rebase {len(patches)} patches onto {tag}; nothing is done")
        for each in verdict.patches:
            self._progress.heading(f"    {each.patch}: {_foreseen(each)}")

    def go_on(self, *, skip: bool = False) -> None:
        """Go on behind a conflict that was resolved, or leave that patch out. Raises: PatchError at the next one."""
        with self._kept_when_interrupted():
            self._go_on(states.read(self._home), skip=skip)

    def _go_on(self, state: State, *, skip: bool) -> None:
        home, clone = self._home, self._clone
        checks.refuse_elsewhere(clone, state)
        takeover.refuse_edited_series(home, state)
        self._settle(state, skip=skip)
        new = clone.count(state.commit) - len(state.kept)
        if skip and (new or not state.stopped):
            raise UsageError(
                "nothing-to-skip", "no patch waits for a decision", hint=f"go on: `{home.line('--continue')}`"
            )
        if state.stopped and not new and not skip:
            raise PatchError(
                "patch-lost",
                f"{state.place} is in no commit of {home.tree_dir}",
                hint=f"apply it there: `git am -3 {home.series_dir / state.rest[0]}`; or leave it out of the series: "
                f"`{home.line('--skip')}`",
            )
        if new or skip:
            self._note_done(state, why="it was skipped")
        self._apply_rest(state)

    def _settle(self, state: State, *, skip: bool) -> None:
        """Have git end the `am` that stopped, as a person decided."""
        clone = self._clone
        if not clone.is_stopped():  # somebody ran `git am` by hand, or it stopped behind the last patch
            checks.refuse_markers(clone, state.commit, "HEAD")
        elif not state.stopped:  # it was ended before it was through
            checks.refuse_half_applied(clone)
            clone.forget_stopped()
        elif skip:
            clone.must("am", "--skip")
        else:
            checks.refuse_unresolved(clone, state)
            clone.must("am", "--continue")

    def foresee_going_on(self, *, skip: bool) -> None:
        """Tell what `go_on` would do, and do nothing."""
        state = states.read(self._home)
        where = state.place if state.rest else "the new series, whose patches are all through,"
        how = "be left out" if skip else "be gone on with"
        self._progress.heading(f"{self._home.package}: {where} would {how}, onto {state.tag}; nothing is done")

    def abort(self) -> None:
        """Give the refresh up; the series is as it was. Raises: UsageError."""
        states.need_one(self._home)
        states.remove(self._home)
        self._progress.heading(f"{self._home.package}: the refresh is given up, the series is as it was")

    def foresee_abort(self) -> None:
        """Tell what `abort` would do, and do nothing."""
        states.need_one(self._home)
        self._progress.heading(f"{self._home.package}: {self._home.path} would be removed; nothing is done")

    def _check_start(self, tag: str) -> None:
        home = self._home
        if home.path.exists():
            raise UsageError(
                "refresh-under-way",
                f"{home.tree_dir} holds a refresh that is not through",
                hint=f"finish it: `{home.line('--continue')}`; or give it up: `{home.line('--abort')}`",
            )
        if not tag:
            raise UsageError(
                "refresh-source",
                "refresh needs a tag to rebase the series onto",
                hint=f"name it: {home.line('--source', 'git:PATH@TAG')}",
            )

    def _apply_rest(self, state: State) -> None:
        """Apply what is left, one patch at a time, and put the new series in place. Raises: PatchError."""
        home, clone = self._home, self._clone
        while state.rest:
            code, told = clone.apply(home.series_dir / state.rest[0])
            if code != 0 and not clone.is_stopped():
                raise PatchError(
                    "git-failed",
                    f"git am did not begin with {state.place} in {home.tree_dir}: {told or 'git said nothing'}",
                    hint=f"mend what git says, then `{home.line('--continue')}`",
                )
            if code != 0:
                state.stopped = True
                states.write(home, state)
                raise checks.conflict(clone, state, told)
            self._note_done(state, why=f"{state.tag} has it already")
        takeover.take_over(clone, state)
        states.remove(home)
        self._tell_end(state)

    @contextmanager
    def _kept_when_interrupted(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            raise Interrupted(
                "interrupted",
                "interrupted; what ran was ended, and what is rebased so far is kept",
                hint=f"go on: `{self._home.line('--continue')}`; or give it up: `{self._home.line('--abort')}`",
            ) from None

    def _note_done(self, state: State, *, why: str) -> None:
        """The next patch became a commit, or none, for that reason."""
        checks.refuse_commits(self._clone, state, allowed={len(state.kept), len(state.kept) + 1})
        name = state.rest[0]
        if self._clone.count(state.commit) > len(state.kept):
            state.kept.append(name)
        else:
            state.gone[name] = why
        state.stopped = False
        states.write(self._home, state)

    def _tell_end(self, state: State) -> None:
        progress, package = self._progress, self._home.package
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


def _foreseen(verdict: PatchVerdict) -> str:
    lines = f"{verdict.offset_lines} line{'' if abs(verdict.offset_lines) == 1 else 's'}"
    return {
        "clean": "applies as it is",
        "offset": f"applies, {lines} away",
        "upstream": "is there already, and would go",
        "conflict": f"does not fit at {verdict.detail}; git would try to merge it, and stop there if it cannot",
        "untried": "comes behind one that does not fit, and was not tried",
    }[verdict.state]
