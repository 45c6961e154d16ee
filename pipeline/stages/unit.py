# SPDX-License-Identifier: GPL-2.0-or-later
"""PatchedTree -> UnitReport: the patches' own tests on every part of the series, red before a patch, green with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline import files, parallel, testrun
from pipeline.context import JobContext
from pipeline.engine import Workspace
from pipeline.errors import UnitError
from pipeline.model import Image, MatrixRow, PatchedTree, UnitReport
from pipeline.testrun import TestRun

# Tests in classes of this name guard what the vendor's code does already: green on every tree.
_KEPT = "Kept"


def inputs(tree: PatchedTree, image: Image, *, context: JobContext) -> dict[str, str]:
    """The tests, their runner, and the Python that they run under."""
    return {
        f"tests/patched/{context.job.package}": files.content_digest(context.tests_dir),
        f"tests/patched/{context.runner_path.name}": files.sha256_of(context.runner_path),
        "python": context.target.python,
    }


def run(tree: PatchedTree, image: Image, *, context: JobContext) -> UnitReport:
    """What the tests said, which is what they must say. Raises: UnitError naming the tests that did not."""
    folders = [context.out_path / part.path for part in (tree.pristine, tree.patched)]
    with context.engine.workspace(context.scratch_dir, read_only=[context.patched_dir, *folders]) as workspace:
        runs = _run_all(tree, workspace, context)
    names = [patch.file.path.name for patch in tree.patches]
    report = UnitReport(python=runs[0].python, pristine=runs[0].outcome, patched=runs[-1].outcome, matrix=matrix(runs))
    _tell(report, names, context)
    wrong = judge(runs, names)
    if wrong:
        raise UnitError("unit-tests", wrong, hint="the log has each test's reason", log_path=context.log_path)
    return report


def matrix(runs: Sequence[TestRun]) -> tuple[MatrixRow, ...]:
    """For each patch that tests name, how many of them are green on each part of the series."""
    first_patch = _first_patches(runs)
    return tuple(
        MatrixRow(
            patch=number,
            tests=sum(each == number for each in first_patch.values()),
            green=tuple(sum(first_patch[name] == number for name in run.outcome.passed) for run in runs),
        )
        for number in sorted(set(first_patch.values()))
    )


def judge(runs: Sequence[TestRun], patches: Sequence[str]) -> str:
    """What is wrong with the runs on 0, 1, 2 … patches, in one sentence; empty if nothing is.

    A test that names a patch must be red before it and green from it on; one whose patch is not in
    the series is left out.
    """
    first_patch = _first_patches(runs)
    if not first_patch:
        return "there are no tests, so nothing shows that the patches do what they should"
    silent = [name for name, number in first_patch.items() if not number and not name.startswith(_KEPT)]
    if silent:
        return f"{_counted(silent)} name no patch: set PATCH in the class or module, or put them into a Kept… class"
    places = {name: _place(number, patches) for name, number in first_patch.items()}
    unproved = [name for place, name in enumerate(patches, start=1) if place not in places.values()]
    if unproved:
        return f"no test needs {_counted(unproved)}: write one that fails without it, with PATCH set to its number"
    for count, run in enumerate(runs):
        wrong = _wrong_at(count, run, places)
        if wrong:
            return f"with {count} of {len(patches)} patches {wrong}" if count else f"without the patches {wrong}"
    return ""


def _wrong_at(count: int, run: TestRun, places: dict[str, int | None]) -> str:
    """What is wrong with the run on the first `count` patches."""
    expected = {name for name, place in places.items() if place is not None and place <= count}
    waiting = {name for name, place in places.items() if place is not None and place > count}
    passed, failed = set(run.outcome.passed), set(run.outcome.failed)
    if expected - passed:
        return f"{_counted(sorted(expected - passed))} failed"
    if waiting & passed:
        return f"{_counted(sorted(waiting & passed))} passed as well, so they prove nothing about the patch they name"
    if waiting - failed:
        return f"{_counted(sorted(waiting - failed))} did not run, so nothing shows that they need the patch they name"
    return ""


def _run_all(tree: PatchedTree, workspace: Workspace, context: JobContext) -> list[TestRun]:
    """One run on the pristine tree and one behind each patch, side by side; their logs are joined in that order."""
    trees = [
        (context.out_path / tree.pristine.path).resolve(),
        *(_tree_after(count, tree, workspace, context) for count in range(1, len(tree.patches))),
        (context.out_path / tree.patched.path).resolve(),
    ]

    def run_one(count: int) -> TestRun:
        log_path = context.log_path.with_name(f"unit-{count}.log")
        return testrun.run_tests(trees[count], context.tests_dir, workspace, context, log_path=log_path)

    try:
        return parallel.run_all(run_one, range(len(trees)))
    finally:
        parts = [context.log_path.with_name(f"unit-{count}.log") for count in range(len(trees))]
        files.join_files(parts, context.log_path)


def _tree_after(count: int, tree: PatchedTree, workspace: Workspace, context: JobContext) -> Path:
    """The source with the first `count` patches, in the workspace."""
    folder = workspace.dir / f"after-{count}"
    files.copy_tree(context.out_path / tree.pristine.path, folder)
    step_dir = context.out_path / tree.steps.path / str(count)
    files.lay_files(step_dir, folder)
    for name in {name for patch in tree.patches[:count] for name in patch.touched}:
        if not (step_dir / name).exists():
            (folder / name).unlink(missing_ok=True)  # a patch removed it
    return folder


def _first_patches(runs: Sequence[TestRun]) -> dict[str, str]:
    return {name: number for run in runs for name, number in run.first_patch.items()}


def _place(number: str, patches: Sequence[str]) -> int | None:
    """How many patches it takes to have this one; 0 for none, `None` for one that the series does not hold."""
    if not number:
        return 0
    return next((place for place, name in enumerate(patches, start=1) if name.startswith(f"{number}-")), None)


def _tell(report: UnitReport, patches: Sequence[str], context: JobContext) -> None:
    context.progress.note(
        f"pristine: {len(report.pristine.failed)} red, {len(report.pristine.passed)} green; "
        f"patched: {len(report.patched.failed)} red, {len(report.patched.passed)} green (Python {report.python})"
    )
    columns = ["tests that need", "pristine", *(f"+{name.partition('-')[0]}" for name in patches)]
    rows = [[row.patch or "no patch", *(f"{green}/{row.tests}" for green in row.green)] for row in report.matrix]
    context.progress.table("green tests, patch by patch", columns, rows)


def _counted(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
