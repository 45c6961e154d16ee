# SPDX-License-Identifier: GPL-2.0-or-later
"""PatchedTree + BuildResult -> ContractReport: what must go on working beside the patches, in source and packages."""

from __future__ import annotations

from pathlib import Path

from pipeline import files, rpmbuild, testrun
from pipeline.context import JobContext
from pipeline.engines.base import Workspace
from pipeline.errors import UnitError
from pipeline.model import BuildResult, ContractReport, Image, PatchedTree


def inputs(tree: PatchedTree, build: BuildResult, image: Image, *, context: JobContext) -> dict[str, str]:
    """The contracts, their runner, and the Python that they run under."""
    tests_dir = context.contracts_dir
    return {
        "contracts": files.content_digest(tests_dir) if tests_dir.is_dir() else "none",
        f"tests/patched/{context.runner_path.name}": files.sha256_of(context.runner_path),
        "python": context.target.python,
    }


def run(tree: PatchedTree, build: BuildResult, image: Image, *, context: JobContext) -> ContractReport:
    """Which contracts hold, and which the source has no code for. Raises: UnitError naming those that are broken."""
    tests_dir = context.contracts_dir
    if not tests_dir.is_dir():
        context.progress.note(f"no contracts are written for {context.job.package}")
        return ContractReport(kept=(), absent=())
    patched_dir = (context.out_path / tree.patched.path).resolve()
    with context.engine.workspace(context.scratch_dir, read_only=[context.patched_dir, patched_dir]) as workspace:
        unpacked_dir = _unpack(build, workspace, context)
        runs = [
            testrun.run_tests(folder, tests_dir, workspace, context, log_path=context.log_path)
            for folder in (patched_dir, unpacked_dir)
        ]
    for where, each in zip(("the patched source", "the built packages"), runs, strict=True):
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
    lost = sorted(set(runs[0].outcome.passed) - set(runs[1].outcome.passed))
    if lost:
        raise UnitError(
            "contract-unpacked",
            f"{', '.join(lost[:3])} holds in the patched source, and the built packages lack its code",
            hint="a file is no longer packaged: look at %files in the spec",
            log_path=context.log_path,
        )
    return ContractReport(
        kept=tuple(sorted(runs[0].outcome.passed)),
        absent=tuple(sorted({name for each in runs for name in each.absent})),
    )


def _unpack(build: BuildResult, workspace: Workspace, context: JobContext) -> Path:
    """The files of all built RPMs, as on a host; returns the folder that software lies in."""
    root_dir = workspace.dir / "root"
    for rpm in build.rpms:
        rpmbuild.unpack(context.out_path / rpm.file.path, root_dir)
    return root_dir / "usr" / "share"
