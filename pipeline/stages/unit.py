# SPDX-License-Identifier: GPL-2.0-or-later
"""PatchedTree -> UnitReport: the patches' own tests on every part of the series, red before a patch, green with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline import files, judging, junit, parallel, testrun
from pipeline.context import JobContext
from pipeline.engines.base import Workspace
from pipeline.errors import PipelineError, UnitError
from pipeline.model import Image, PatchedTree, UnitOutcome, UnitReport
from pipeline.series import number_of
from pipeline.testrun import TestRun


def inputs(tree: PatchedTree, image: Image, *, context: JobContext) -> dict[str, str]:
    """The tests, their runner, and the Python that they run under; nothing where there is no patch to prove."""
    if not tree.patches:
        return {}
    tests_dir = context.tests_dir
    return {
        f"tests/patched/{context.job.package}": files.content_digest(tests_dir) if tests_dir.is_dir() else "none",
        f"tests/patched/{context.runner_path.name}": files.sha256_of(context.runner_path),
        "python": context.target.python,
    }


def run(tree: PatchedTree, image: Image, *, context: JobContext) -> UnitReport:
    """What the tests said, which is what they must say. Raises: UnitError naming the tests that did not.

    A series without a patch has nothing to prove: no test runs.
    """
    folders = [context.out_path / part.path for part in (tree.pristine, tree.patched)]
    names = [patch.file.path.name for patch in tree.patches]
    logs = [context.log_path.with_name(f"unit-{count}.log") for count in range(len(names) + 1)]
    junit_path = context.home_dir / "junit" / "unit.xml"
    junit_path.unlink(missing_ok=True)  # a run that is ended leaves none of an earlier one
    if not tree.patches:
        return _nothing_to_prove(context)
    _refuse_untested(names, context)
    last: Path | None = None
    try:
        with context.engine.workspace(context.scratch_dir, read_only=[context.patched_dir, *folders]) as workspace:
            runs = _run_all(tree, workspace, context, logs)
        count, wrong = judging.first_wrong(runs, names)
        last = logs[count]
    except PipelineError as error:
        last, error.log_path = error.log_path, context.log_path
        junit.write(junit_path, [junit.not_run("unit", error)])
        raise
    finally:  # in the order of the series, but the end of a log is what people are shown
        files.join_files(sorted(logs, key=lambda path: path == last), context.log_path)
    junit.write(junit_path, judging.suites(runs, names))
    report = UnitReport(
        python=runs[0].python,
        pristine=runs[0].outcome,
        patched=runs[-1].outcome,
        matrix=judging.matrix(runs),
        junit=files.file_record(junit_path, context.out_path),
    )
    _tell(report, names, context)
    foreign = judging.left_out(runs, names)
    if foreign:
        context.progress.warning(foreign)
    if wrong:
        _end_log_with(runs[count], wrong, context.log_path)
        hint = "the log ends with where they failed; before it has all that ran on that part of the series"
        raise UnitError("unit-tests", wrong, hint=hint, log_path=context.log_path)
    return report


def _nothing_to_prove(context: JobContext) -> UnitReport:
    told = f"the series of {context.job.package} has no patch, so there is nothing to prove"
    if context.tests_dir.is_dir():
        context.progress.warning(f"{told}, and tests of patches are there: what is built is the vendor's source")
    else:
        context.progress.note(told)
    nothing = UnitOutcome(passed=(), failed=())
    return UnitReport(python="", pristine=nothing, patched=nothing)


def _refuse_untested(names: Sequence[str], context: JobContext) -> None:
    """Raises: UnitError where nobody wrote a test yet, with what a test is."""
    if not any(context.tests_dir.glob("test_*.py")):
        raise UnitError(
            "tests-missing",
            f"tests/patched/{context.job.package} has no test_*.py, so nothing shows what {names[0]} does",
            hint="write one: a unittest class with PATCH = "
            f"'{number_of(names[0])}' that fails without the patch; the tree is in the variable PATCHED_TREE",
        )


def _end_log_with(failed: TestRun, wrong: str, log_path: Path) -> None:
    """Where the tests failed that are told of: the end of a log is what people are shown."""
    named = [name for name in failed.traces if f"  {name}: " in wrong]
    for name in named:
        with log_path.open("a", encoding="utf-8") as log:
            log.write(f"\n{name}\n{failed.traces[name]}\n{failed.reasons.get(name, '')}\n")


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


def _tell(report: UnitReport, patches: Sequence[str], context: JobContext) -> None:
    context.progress.note(
        f"pristine: {len(report.pristine.failed)} red, {len(report.pristine.passed)} green; "
        f"patched: {len(report.patched.failed)} red, {len(report.patched.passed)} green (Python {report.python})"
    )
    columns = ["tests that need", "pristine", *(f"+{name.partition('-')[0]}" for name in patches)]
    rows = [[row.patch or "no patch", *(f"{green}/{row.tests}" for green in row.green)] for row in report.matrix]
    context.progress.table("green tests, patch by patch", columns, rows)
