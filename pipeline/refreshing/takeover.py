# SPDX-License-Identifier: GPL-2.0-or-later
"""The new series in place of the one in `patches/`: the former one is kept, and nobody's edit is replaced."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline import files
from pipeline.errors import PatchError
from pipeline.refreshing import checks
from pipeline.refreshing import state as states
from pipeline.refreshing.clone import Clone
from pipeline.refreshing.home import Home
from pipeline.refreshing.state import State
from pipeline.series import without


def take_over(clone: Clone, state: State) -> None:
    """Export the rebased series and put it in place of the former one, which is kept. Raises: PatchError."""
    home = clone.home
    checks.refuse_uncommitted(clone)
    checks.refuse_elsewhere(clone, state)
    refuse_edited_series(home, state)
    checks.refuse_commits(clone, state, allowed={len(state.kept)})
    if not state.kept:
        raise PatchError(
            "series-empty",
            f"no patch is left on {state.tag}, and a series is never empty: {_told(state)}",
            hint=f"the series stays as it was: `{home.line('--abort')}`",
        )
    if not state.before:
        _export(clone, state)
        _keep_former(clone, state)
    for name in (*state.kept, "series"):
        files.copy_whole(home.new_dir / name, home.patches_dir / name)
    for name in state.gone:
        (home.patches_dir / name).unlink(missing_ok=True)


def refuse_edited_series(home: Home, state: State) -> None:
    """Raises: PatchError for a file that is not as at the start, nor, where it is being replaced, as it will be."""
    now, then = _contents(home.patches_dir), _contents(home.series_dir)
    new = _contents(home.new_dir) if state.before else then
    edited = [
        str(home.patches_dir / name)
        for name in sorted({*now, *then})
        if now.get(name) not in (then.get(name), new.get(name))
    ]
    if edited:
        raise PatchError(
            "series-edited",
            f"{', '.join(edited)} changed since the refresh began, and would be replaced",
            hint=f"put your edit elsewhere and the file back from {home.series_dir}, "
            f"then `{home.line('--continue')}`; or give the refresh up: `{home.line('--abort')}`",
        )


def _export(clone: Clone, state: State) -> None:
    """Make the new series, beside the tree."""
    home = clone.home
    exported_dir = home.path / "exported"
    files.remove_tree(exported_dir)
    files.remove_tree(home.new_dir)
    for name, path in zip(state.kept, clone.export(state.commit, exported_dir), strict=True):
        files.copy_whole(path, home.new_dir / name)
    text = (home.series_dir / "series").read_text(encoding="utf-8")
    files.write_whole(home.new_dir / "series", without(text, state.gone))


def _keep_former(clone: Clone, state: State) -> None:
    """Make a copy of the series as it lies there, under a number that no copy has yet."""
    home = clone.home
    copy_dir, number = home.path / "before", 1
    files.remove_tree(copy_dir)
    shutil.copytree(home.patches_dir, copy_dir)
    while (folder := home.path.with_name(f"{home.package}-before-{number}")).exists():
        number += 1
    copy_dir.rename(folder)
    state.before, state.head = str(folder), clone.head()
    states.write(home, state)


def _told(state: State) -> str:
    return "; ".join(f"{name}: {why}" for name, why in state.gone.items())


def _contents(folder: Path) -> dict[str, bytes]:
    """What each file of a series holds, by name."""
    paths = (path for path in folder.iterdir() if path.name == "series" or path.suffix == ".patch")
    return {path.name: path.read_bytes() for path in paths if path.is_file()}
