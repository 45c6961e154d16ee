# SPDX-License-Identifier: GPL-2.0-or-later
"""Srpm + series -> PatchedTree: git applies each patch, with no fuzz, to what `%prep` leaves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pipeline import files, localgit, oldpython, rpmbuild
from pipeline.context import JobContext
from pipeline.errors import PatchError
from pipeline.hunks import differing_lines, read_hunks
from pipeline.model import AppliedPatch, Image, PatchedTree, Srpm
from pipeline.series import SeriesPatch, listed, read_series

_OFFSET = re.compile(r"^Hunk #\d+ succeeded at \d+ \(offset (-?\d+) lines?\)", re.MULTILINE)
_REFUSED = re.compile(r"^error: patch failed: (?P<path>.+):(?P<line>\d+)$", re.MULTILINE)


def inputs(srpm: Srpm, image: Image, *, context: JobContext) -> dict[str, str]:
    """The series, patch by patch, and the macros that `%prep` may look at."""
    paths = listed(context.patches_dir)
    series = {f"patches/{context.job.package}/{path.name}": files.sha256_of(path) for path in paths}
    order = {"order of the series": ",".join(series), "oldest Python": context.package.python}
    return {**series, **order, **rpmbuild.macro_inputs(context.target)}


def run(srpm: Srpm, image: Image, *, context: JobContext) -> PatchedTree:
    """The source without and with the series, under `tree/`. Raises: PatchError, BuildError."""
    tree_dir = context.scratch_dir / f"tree-{context.job.target}-{context.job.package}"
    files.remove_tree(tree_dir)
    _prepare(srpm, tree_dir / "pristine", context)
    files.copy_tree(tree_dir / "pristine", tree_dir / "patched")
    (tree_dir / "steps").mkdir()
    applied: list[tuple[SeriesPatch, int]] = []
    for patch in _series(context):
        applied.append((patch, _apply(patch, tree_dir / "patched")))
        files.copy_whole(patch.path, tree_dir / "series" / patch.path.name)
        _keep_step(tree_dir, [each for each, _ in applied])
        context.progress.note(f"{patch.path.name}: {_told(applied[-1][1])}")
    _refuse_newer_python([patch for patch, _ in applied], tree_dir, context)
    files.replace_tree(tree_dir, context.home_dir / "tree")
    return PatchedTree(
        srpm=srpm,
        pristine=files.tree_record(context.home_dir / "tree" / "pristine", context.out_path),
        patched=files.tree_record(context.home_dir / "tree" / "patched", context.out_path),
        steps=files.tree_record(context.home_dir / "tree" / "steps", context.out_path),
        patches=tuple(_record(patch, offset, context) for patch, offset in applied),
    )


def _series(context: JobContext) -> tuple[SeriesPatch, ...]:
    return read_series(context.patches_dir)


def _prepare(srpm: Srpm, destination: Path, context: JobContext) -> None:
    """Run the vendor's `%prep` in the engine and keep the one folder that it leaves."""
    with context.engine.workspace(context.scratch_dir) as workspace:
        sources = [context.out_path / source.path for source in srpm.sources]
        spec = rpmbuild.lay_out(workspace, context.out_path / srpm.spec.path, sources)
        rpmbuild.run(workspace, spec, "-bp", target=context.target, log_path=context.log_path,
                     timeout_seconds=context.settings.time_limits.build)  # fmt: skip
        files.take_tree(rpmbuild.build_dir(workspace), destination)


def _keep_step(tree_dir: Path, applied: Sequence[SeriesPatch]) -> None:
    """Keep what all patches so far have touched, as it is behind the last of them."""
    (tree_dir / "steps" / str(len(applied))).mkdir()
    for name in {name for patch in applied for name in patch.touched}:
        touched = tree_dir / "patched" / name
        if touched.is_file():
            files.copy_whole(touched, tree_dir / "steps" / str(len(applied)) / name)


def _apply(patch: SeriesPatch, tree_dir: Path) -> int:
    """The largest offset of the patch's hunks, after git applied it. Raises: PatchError."""
    before = _digests(patch, tree_dir)
    exit_code, told = _git(tree_dir, "apply", "--verbose", "--whitespace=nowarn", str(patch.path))
    if exit_code != 0:
        raise _rejected(patch, tree_dir, told)
    if any(_digests(patch, tree_dir)[name] == digest for name, digest in before.items()):
        raise PatchError(
            "patch-changed-nothing",
            f"git applied {patch.path.name} and a file that it names stayed as it was",
            hint="run from a plain checkout; look whether the out directory lies inside another git work tree",
        )
    return max((abs(int(offset)) for offset in _OFFSET.findall(told)), default=0)


def _refuse_newer_python(patches: Sequence[SeriesPatch], tree_dir: Path, context: JobContext) -> None:
    """Raises: PatchError when the series adds what the hosts' Python does not know."""
    if not context.package.python:
        return
    major, minor = map(int, context.package.python.split("."))
    for name in dict.fromkeys(name for patch in patches for name in patch.touched if name.endswith(".py")):
        before, after = (_text(tree_dir / tree / name) for tree in ("pristine", "patched"))
        if next(oldpython.faults(before, after, (major, minor)), ""):
            culprit, fault = _first_fault(name, patches, tree_dir, (major, minor))
            raise PatchError(
                "newer-python",
                f"{culprit}: {name}, {fault}",
                hint=f"write it for Python {context.package.python}, as the hosts have it",
            )


def _first_fault(
    name: str, patches: Sequence[SeriesPatch], tree_dir: Path, minimum: tuple[int, int]
) -> tuple[str, str]:
    """The patch behind which the hosts' Python cannot read a file, and why; lines are as that patch leaves them."""
    before, fault = _text(tree_dir / "pristine" / name), ""
    for count, patch in enumerate(patches, 1):
        if name not in patch.touched:
            continue
        after = _text(tree_dir / "steps" / str(count) / name)
        fault = next(oldpython.faults(before, after, minimum), "")
        if fault:
            return patch.path.name, fault
    return "the series", fault


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _git(tree_dir: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and words of git, run as outside of any repository: inside one it would apply nothing."""
    return localgit.run(tree_dir, *arguments, env={"GIT_CEILING_DIRECTORIES": str(tree_dir.parent)})


def _rejected(patch: SeriesPatch, tree_dir: Path, told: str) -> PatchError:
    name = patch.path.name
    missing = [path for path in patch.touched if path != "/dev/null" and not (tree_dir / path).exists()]
    if _git(tree_dir, "apply", "--reverse", "--check", str(patch.path))[0] == 0:
        why, hint = (
            "is in the source already, or is reversed",
            "remove it from the series, or make it the right way round",
        )
    elif missing:
        why, hint = f"is for {', '.join(missing)}, which the source does not have", "make it against this version"
    else:
        why, hint = _differences(patch, tree_dir, told), "rebase the patch onto this source; fuzz is not allowed"
    return PatchError("patch-rejected", f"{name} {why}", hint=hint, reproduce=f"git apply --check {patch.path}")


def _differences(patch: SeriesPatch, tree_dir: Path, told: str) -> str:
    """File, hunk and the lines that differ, of the first hunk that git refused."""
    refused = _REFUSED.search(told)
    if refused is None:
        lines = [line for line in told.splitlines() if line.startswith("error:")]
        return f"is no patch that git can read: {(lines or ['it said nothing'])[0]}"
    path, line = refused["path"], int(refused["line"])
    found = (tree_dir / path).read_text(encoding="utf-8", errors="replace").splitlines()
    text = patch.path.read_text(encoding="utf-8", errors="replace")
    hunks = [hunk for hunk in read_hunks(text) if hunk.path == path]
    for number, hunk in enumerate(hunks, start=1):
        if hunk.start == line:
            shown = "\n  ".join(differing_lines(hunk.expected, found, hunk.start))
            return f"does not fit {path}: hunk {number} of {len(hunks)} ({hunk.header})\n  {shown}"
    return f"does not fit {path} at line {line}"


def _digests(patch: SeriesPatch, tree_dir: Path) -> dict[str, str]:
    return {
        name: files.sha256_of(tree_dir / name) if (tree_dir / name).is_file() else ""
        for name in patch.touched
        if name != "/dev/null"
    }


def _told(offset_lines: int) -> str:
    return f"offset {offset_lines} line{'s' if offset_lines > 1 else ''}" if offset_lines else "clean"


def _record(patch: SeriesPatch, offset_lines: int, context: JobContext) -> AppliedPatch:
    path = context.home_dir / "tree" / "series" / patch.path.name
    return AppliedPatch(
        file=files.file_record(path, context.out_path),
        subject=patch.subject,
        author=patch.author,
        state="offset" if offset_lines else "clean",
        offset_lines=offset_lines,
        touched=patch.touched,
        date_seconds=patch.date_seconds,
    )
