# SPDX-License-Identifier: GPL-2.0-or-later
"""One run of the patch's tests on one tree: `tests/patched/runner.py` in the engine, and what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.context import JobContext
from pipeline.engines.base import Workspace
from pipeline.errors import CommandFailed, UnitError
from pipeline.model import UnitOutcome

# What the runner ends with where it could not run, and what it writes before each test.
_CANNOT_RUN = 2
_BEGUN = re.compile(r"^begins (\S+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class TestRun:
    """What ran, and under which Python; for each test the patch that it needs, and why and where it is not green."""

    __test__ = False  # pytest looks for classes of this name

    python: str
    outcome: UnitOutcome
    first_patch: dict[str, str]
    absent: tuple[str, ...] = ()
    reasons: dict[str, str] = field(default_factory=dict)
    traces: dict[str, str] = field(default_factory=dict)


def run_tests(
    tree_dir: Path,
    tests_dir: Path,
    workspace: Workspace,
    context: JobContext,
    *,
    log_path: Path,
) -> TestRun:
    """Run every test of a folder on a tree that the workspace sees. Raises: UnitError when they did not run."""
    argv = plan(
        context.target.python,
        workspace.inside(context.runner_path),
        workspace.inside(tree_dir),
        workspace.inside(tests_dir),
    )
    timeout_seconds = context.settings.time_limits.unit
    try:
        result = workspace.run(argv, timeout_seconds=timeout_seconds, log_path=log_path, capture=True)
        return read(json.loads(result.stdout))
    except CommandFailed as error:
        if error.command_exit_code != _CANNOT_RUN:
            raise _ended(tree_dir, error.message, log_path, error.reproduce) from None
        raise UnitError(
            "unit-run",
            f"the tests did not run on the {tree_dir.name} tree: {error.message}",
            hint="a test file must import under the target's Python",
            log_path=log_path,
            reproduce=error.reproduce,
        ) from None
    except (ValueError, KeyError, TypeError):
        if not result.stdout:
            raise _ended(tree_dir, "it ended with no result", log_path, "") from None
        raise UnitError(
            "unit-output",
            f"the test runner's last word on the {tree_dir.name} tree is no result",
            hint="a test may have written to standard output",
            log_path=log_path,
        ) from None


def _ended(tree_dir: Path, how: str, log_path: Path, reproduce: str) -> UnitError:
    """The error for a runner that was ended from within, with the test that began last."""
    log = log_path.read_text(encoding="utf-8", errors="replace") if log_path.is_file() else ""
    begun = _BEGUN.findall(log)
    return UnitError(
        "unit-ended",
        f"the tests did not run to their end on the {tree_dir.name} tree: {how}",
        hint=f"{begun[-1]} began last and may have ended the process: os._exit, a signal, a fault in a C module"
        if begun
        else "the process ended before the first test began: see what the test files do when they are imported",
        log_path=log_path,
        reproduce=reproduce,
    )


def plan(python: str, runner: str, tree: str, tests: str) -> list[str]:
    """The test runner's command line."""
    return [python, "-B", runner, tree, tests]


def read(document: Mapping[str, Any]) -> TestRun:
    """The runner's JSON line. Tests whose code the tree does not have are neither green nor red.

    Raises: UnitError for a PATCH that is no number as file names have it.
    """
    tests = document["tests"]
    return TestRun(
        python=document["python"],
        outcome=UnitOutcome(
            passed=tuple(test["name"] for test in tests if test["outcome"] == "passed"),
            failed=tuple(test["name"] for test in tests if test["outcome"] in ("failed", "error")),
        ),
        first_patch={test["name"]: _patch_number(test["name"], test.get("patch", "")) for test in tests},
        absent=tuple(test["name"] for test in tests if test["outcome"] == "absent"),
        reasons={test["name"]: test["detail"] for test in tests if test.get("detail")},
        traces={test["name"]: test["trace"] for test in tests if test.get("trace")},
    )


def _patch_number(name: str, number: object) -> str:
    if isinstance(number, str) and re.fullmatch(r"|[0-9]{4}", number):
        return number
    is_clear = re.fullmatch(r"[0-9]{1,4}", str(number))
    meant = f"PATCH = '{str(number).zfill(4)}'" if is_clear else "four digits, such as PATCH = '0007'"
    raise UnitError(
        "patch-number",
        f"{name} has PATCH = {number!r}: write {meant}",
        hint="correct it in the test's class or module: it is the number that the patch's file name begins with",
    )
