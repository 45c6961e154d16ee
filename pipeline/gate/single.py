# SPDX-License-Identifier: GPL-2.0-or-later
"""What the gate asks of each package by itself: that it is whole, and that rpm 4.8 can read it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline import rpmheaders
from pipeline.errors import BuildError
from pipeline.gate import digests, readable
from pipeline.gate.problem import Problem, refusal, refuse
from pipeline.rpmheaders import Header


def headers(paths: Sequence[Path], *, log_path: Path) -> tuple[Header, ...]:
    """The headers of packages that are whole. Raises: GateError."""
    refuse([*digests.broken(paths, log_path=log_path).values()], log_path)
    try:
        return tuple(rpmheaders.read_header(path) for path in paths)
    except BuildError as error:
        raise refusal([Problem(reference=error.reference, message=error.message, mend=error.hint)]) from None


def check(paths: Sequence[Path], *, log_path: Path) -> None:
    """Raises: GateError for what is not whole, or rpm 4.8 cannot read."""
    found = [problem for header in headers(paths, log_path=log_path) for problem in readable.problems(header)]
    refuse(found, log_path)
