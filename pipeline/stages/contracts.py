# SPDX-License-Identifier: GPL-2.0-or-later
"""PatchedTree + BuildResult -> ContractReport: what must go on working beside the patches, in source and packages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline import files, junit, rpmbuild, testrun
from pipeline.context import JobContext
from pipeline.engines.base import Workspace
from pipeline.errors import PipelineError, UnitError
from pipeline.junit import Case, Suite
from pipeline.model import BuildResult, ContractReport, Image, PatchedTree
from pipeline.testrun import TestRun

_PLACES = ("the patched source", "the built packages")


def inputs(tree: PatchedTree, build: BuildResult, image: Image, *, context: JobContext) -> dict[str, str]:
    """The contracts, their runner, and the Python that they run under."""
    tests_dir = context.contracts_dir
    return {
        "contracts": files.content_digest(tests_dir) if tests_dir.is_dir() else "none",
        f"tests/patched/{context.runner_path.name}": files.sha256_of(context.runner_path),
        "python": context.target.python,
        "installed folder": context.package.installed_dir,
    }


def run(tree: PatchedTree, build: BuildResult, image: Image, *, context: JobContext) -> ContractReport:
    """Which contracts hold, and which the source has no code for. Raises: UnitError naming those that are broken."""
    tests_dir = context.contracts_dir
    if not tests_dir.is_dir():
        context.progress.note(f"no contracts are written for {context.job.package}")
        return ContractReport(kept=(), absent=())
    junit_path = context.home_dir / "junit" / "contracts.xml"
    junit_path.unlink(missing_ok=True)
    try:
        source, packages = _run_both(tree, build, context)
    except PipelineError as error:
        junit.write(junit_path, [junit.not_run("contracts", error)])
        raise
    junit.write(junit_path, suites(source, packages))
    _judge(source, packages, context)
    return ContractReport(
        kept=tuple(sorted(source.outcome.passed)),
        absent=tuple(sorted({*source.absent, *packages.absent})),
        junit=files.file_record(junit_path, context.out_path),
    )


def _run_both(tree: PatchedTree, build: BuildResult, context: JobContext) -> tuple[TestRun, TestRun]:
    patched_dir = (context.out_path / tree.patched.path).resolve()
    with context.engine.workspace(context.scratch_dir, read_only=[context.patched_dir, patched_dir]) as workspace:
        unpacked_dir = _unpack(build, workspace, context)

        def run_one(folder: Path) -> TestRun:
            return testrun.run_tests(folder, context.contracts_dir, workspace, context, log_path=context.log_path)

        return run_one(patched_dir), run_one(unpacked_dir)


def _judge(source: TestRun, packages: TestRun, context: JobContext) -> None:
    """Tell both runs. Raises: UnitError naming the first contracts that are broken."""
    for where, each in zip(_PLACES, (source, packages), strict=True):
        context.progress.note(
            f"{where}: {len(each.outcome.passed)} kept, {len(each.outcome.failed)} broken, {len(each.absent)} absent"
        )
        if each.outcome.failed:
            raise UnitError(
                "contract-broken",
                f"in {where} {', '.join(each.outcome.failed[:3])} no longer holds",
                hint="a patch broke what is beside it; the log has each test's reason",
                log_path=context.log_path,
            )
    lost = _lost(source, packages)
    if lost:
        raise UnitError(
            "contract-unpacked",
            f"{', '.join(lost[:3])} holds in the patched source, and the built packages lack its code",
            hint="a file is no longer packaged: look at %files in the spec",
            log_path=context.log_path,
        )


def suites(source: TestRun, packages: TestRun) -> tuple[Suite, ...]:
    """Both runs, in which a contract failed if it is broken, or if the packages lack what the source has."""
    lost = _lost(source, packages)
    return tuple(
        Suite(name=where, cases=tuple(_cases(run, lost)), properties=(("python", run.python),))
        for where, run, lost in ((_PLACES[0], source, []), (_PLACES[1], packages, lost))
    )


def _cases(run: TestRun, lost: Sequence[str]) -> Iterator[Case]:
    for name in sorted({*run.outcome.passed, *run.outcome.failed, *run.absent, *lost}):
        yield Case(
            name=name,
            failure=f"{name} no longer holds" if name in run.outcome.failed
            else f"the packages lack the code of {name}" if name in lost else "",
            skipped="" if name in run.outcome.passed else "the source has no code for it",
            details=run.reasons.get(name, ""),
        )  # fmt: skip


def _lost(source: TestRun, packages: TestRun) -> list[str]:
    return sorted(set(source.outcome.passed) - set(packages.outcome.passed))


def _unpack(build: BuildResult, workspace: Workspace, context: JobContext) -> Path:
    """The files of all built RPMs, as on a host; returns the folder that has the source's layout."""
    root_dir = workspace.dir / "root"
    for rpm in build.rpms:
        rpmbuild.unpack(context.out_path / rpm.file.path, root_dir)
    return root_dir / context.package.installed_dir
