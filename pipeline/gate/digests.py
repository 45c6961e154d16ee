# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages whose own digests, of header and payload, do not hold: they were cut short or changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline import command
from pipeline.gate.problem import Problem

_CHECK_SECONDS = 600
# Source: rpmkeys(8), in the C locale.
_HOLD = "digests OK"


def broken(paths: Sequence[Path], *, log_path: Path) -> dict[Path, Problem]:
    """The packages that are not whole, with what is told of them; signatures are the business of others."""
    whole = _whole(paths, log_path)
    doubtful = [path for path in paths if path not in whole]
    # rpmkeys may leave out those behind one whose header it cannot read.
    return {path: _problem(path) for path in doubtful if not _whole([path], log_path)}


def _whole(paths: Sequence[Path], log_path: Path) -> set[Path]:
    """Those that rpmkeys has seen and calls whole."""
    # A level of its own: the host's may be `none`, and the vendor's packages are not signed with our key.
    argv = ["rpmkeys", "--define", "_pkgverify_level digest", "--checksig", "--nosignature", *map(str, paths)]
    checked = command.run(
        argv, timeout_seconds=_CHECK_SECONDS, env={"LC_ALL": "C"}, log_path=log_path, accept=range(256)
    )
    lines = set(checked.stdout.splitlines())
    return {path for path in paths if f"{path}: {_HOLD}" in lines}


def _problem(path: Path) -> Problem:
    return Problem(
        reference="package-broken",
        message=f"{path.name}: the digests of its header and payload do not hold: it was cut short or changed",
        mend="remove it and run the same again, so that it is made anew; if it stays, look for a full disk",
    )
