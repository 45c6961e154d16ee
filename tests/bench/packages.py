# SPDX-License-Identifier: GPL-2.0-or-later
"""Hundreds of tiny packages that are built on each other at random: what a run takes that finds nothing changed.

The packages are built first, a few seconds each. What others do on the machine makes wall times longer, never shorter:
the best of all rounds is held against the limit, and the processor's own time stands beside it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests import manypackages
from tests.integration.checkout import copy_checkout

COUNT = 200
# What people wait for, in seconds.
LIMITS = {"plan": 1.0, "nothing changed": 2.0}


def measure(rounds: int, count: int = COUNT) -> dict[str, list[float]]:
    """What was measured -> seconds of each round; the processor's time has its own rows."""
    with tempfile.TemporaryDirectory(prefix="packages-") as name:
        root_dir = Path(name)
        copy_checkout(root_dir)
        manypackages.lay(root_dir, manypackages.random_graph(count), only=True)
        _run(root_dir, "release")
        told: dict[str, list[float]] = {}
        for _ in range(rounds):
            for what, command in (("plan", "plan"), ("nothing changed", "release")):
                wall_seconds, processor_seconds = _run(root_dir, command)
                told.setdefault(what, []).append(wall_seconds)
                told.setdefault(f"{what}, processor", []).append(processor_seconds)
        return told


def rows(measured: dict[str, list[float]]) -> list[dict[str, object]]:
    """The best of each, with the limits that they must not be above."""
    return [{"what": what, "median": min(found), "limit": LIMITS.get(what)} for what, found in measured.items()]


def _run(root_dir: Path, command: str) -> Sequence[float]:
    """Wall and processor seconds of one run, its children's included."""
    before, started = os.times(), time.monotonic()
    argv = [sys.executable, "-m", "pipeline", command, "--target", "demo", "--quiet", "--keep-going"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(argv, cwd=root_dir, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(argv)} ended with {done.returncode}\n{done.stderr[-4000:]}")
    after = os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - started, processor
