# SPDX-License-Identifier: GPL-2.0-or-later
"""PatchedTree -> UnitReport: the patches' own tests on every part of the series, red before a patch, green with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline import files, parallel, testrun
from pipeline.context import JobContext
from pipeline.engines.base import Workspace
from pipeline.errors import PipelineError, UnitError
from pipeline.model import Image, MatrixRow, PatchedTree, UnitReport
from pipeline.series import number_of
from pipeline.testrun import TestRun

# Tests in classes of this name guard what the vendor's code does already: green on every tree.
_KEPT = "Kept"
_SHOWN = 3  # of many names, and their reasons


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
    names = [patch.file.path.name for patch in tree.patches]
    logs = [context.log_path.with_name(f"unit-{count}.log") for count in range(len(names) + 1)]
    last: Path | None = None
    try:
        with context.engine.workspace(context.scratch_dir, read_only=[context.patched_dir, *folders]) as workspace:
            runs = _run_all(tree, workspace, context, logs)
        count, wrong = first_wrong(runs, names)
        last = logs[count]
    except PipelineError as error:
        last, error.log_path = error.log_path, context.log_path
        raise
    finally:  # in the order of the series, but the end of a log is what people are shown
        files.join_files(sorted(logs, key=lambda path: path == last), context.log_path)
    report = UnitReport(python=runs[0].python, pristine=runs[0].outcome, patched=runs[-1].outcome, matrix=matrix(runs))
    _tell(report, names, context)
    foreign = left_out(runs, names)
    if foreign:
        context.progress.warning(foreign)
    if wrong:
        hint = "the log has each test's reason; it ends with the run on that part of the series"
        raise UnitError("unit-tests", wrong, hint=hint, log_path=context.log_path)
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
    """What is wrong with the runs on 0, 1, 2 … patches, in one sentence and the tests' reasons; empty if nothing is.

    A test that names a patch must be red before it and green from it on; one whose patch is not in
    the series is left out.
    """
    return first_wrong(runs, patches)[1]


def first_wrong(runs: Sequence[TestRun], patches: Sequence[str]) -> tuple[int, str]:
    """What is wrong, and with how many patches it is; with all of them where that does not matter."""
    first_patch = _first_patches(runs)
    wrong = _wrong_tests(first_patch, patches)
    if wrong:
        return len(patches), wrong
    for count, run in enumerate(runs):
        names, words = _wrong_at(count, run, {name: _place(number, patches) for name, number in first_patch.items()})
        if names:
            where = f"with {count} of {len(patches)} patches" if count else "without the patches"
            reasons = [f"  {name}: {run.reasons[name]}" for name in names[:_SHOWN] if name in run.reasons]
            return count, "\n".join(
                [f"{where} {_counted([_named(name, first_patch) for name in names])} {words}", *reasons]
            )
    return len(patches), ""


def left_out(runs: Sequence[TestRun], patches: Sequence[str]) -> str:
    """How many tests name patches that the series does not have, in one sentence; empty for none."""
    numbers = [number for number in _first_patches(runs).values() if _place(number, patches) is None]
    if not numbers:
        return ""
    tests = f"{len(numbers)} tests belong" if len(numbers) > 1 else "1 test belongs"
    return f"{tests} to patches that are not in the series ({', '.join(sorted(set(numbers)))})"


def _wrong_tests(first_patch: Mapping[str, str], patches: Sequence[str]) -> str:
    """What is wrong with what the tests are for, whatever came out of them."""
    if not first_patch:
        return "there are no tests, so nothing shows that the patches do what they should"
    silent = [name for name, number in first_patch.items() if not number and not name.startswith(_KEPT)]
    if silent:
        return f"{_counted(silent)} name no patch: set PATCH in the class or module, or put them into a Kept… class"
    unknown = [_named(name, first_patch) for name in _unknown(first_patch, patches)]
    if unknown:
        return f"{_counted(unknown)} belong to no patch: the series ends with {max(map(number_of, patches))}"
    places = [_place(number, patches) for number in first_patch.values()]
    unproved = [name for place, name in enumerate(patches, start=1) if place not in places]
    if unproved:
        return f"no test needs {_counted(unproved)}: write one that fails without it, with PATCH set to its number"
    return ""


def _unknown(first_patch: Mapping[str, str], patches: Sequence[str]) -> list[str]:
    """Tests of numbers that do not even join on to the series, as those of patches dropped from its end do."""
    known = max(map(number_of, patches))
    for number in sorted({*first_patch.values()}):
        known = number if number.isdigit() and int(number) == int(known) + 1 else known
    return [name for name, number in first_patch.items() if number > known]


def _wrong_at(count: int, run: TestRun, places: Mapping[str, int | None]) -> tuple[list[str], str]:
    """The tests that are not as they should be on the first `count` patches, and how."""
    expected = {name for name, place in places.items() if place is not None and place <= count}
    waiting = {name for name, place in places.items() if place is not None and place > count}
    failed = set(run.outcome.failed)
    passed = set(run.outcome.passed) - failed
    for names, words in (
        (expected - passed, "failed"),
        (waiting & passed, "passed as well, so they prove nothing about the patch they name"),
        (waiting - failed, "did not run, so nothing shows that they need the patch they name"),
    ):
        if names:
            return sorted(names), words
    return [], ""


def _run_all(tree: PatchedTree, workspace: Workspace, context: JobContext, logs: Sequence[Path]) -> list[TestRun]:
    """One run on the pristine tree and one behind each patch, side by side, each with its own log."""
    trees = [
        (context.out_path / tree.pristine.path).resolve(),
        *(_tree_after(count, tree, workspace, context) for count in range(1, len(tree.patches))),
        (context.out_path / tree.patched.path).resolve(),
    ]

    def run_one(count: int) -> TestRun:
        return testrun.run_tests(trees[count], context.tests_dir, workspace, context, log_path=logs[count])

    return parallel.run_all(run_one, range(len(trees)))


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
    return next((place for place, name in enumerate(patches, start=1) if number_of(name) == number), None)


def _tell(report: UnitReport, patches: Sequence[str], context: JobContext) -> None:
    context.progress.note(
        f"pristine: {len(report.pristine.failed)} red, {len(report.pristine.passed)} green; "
        f"patched: {len(report.patched.failed)} red, {len(report.patched.passed)} green (Python {report.python})"
    )
    columns = ["tests that need", "pristine", *(f"+{name.partition('-')[0]}" for name in patches)]
    rows = [[row.patch or "no patch", *(f"{green}/{row.tests}" for green in row.green)] for row in report.matrix]
    context.progress.table("green tests, patch by patch", columns, rows)


def _named(name: str, first_patch: Mapping[str, str]) -> str:
    return f"{name} (PATCH = '{first_patch[name]}')" if first_patch[name] else name


def _counted(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
