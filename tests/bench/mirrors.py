# SPDX-License-Identifier: GPL-2.0-or-later
"""What `tests/chaos` tries a part of in each run of the tests, in full: readers, kills and two publishers at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = {
    "readers": "test_readers.py",
    "kills": "test_killed_publish.py",
    "publishers": "test_two_publishers.py",
}


def measure(part: str) -> dict[str, object]:
    """The figures; the program ends here when something did not hold."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        figures_path = Path(name) / "figures"
        figures_path.touch()
        argv = [sys.executable, "-m", "pytest", "-q", f"--basetemp={name}/tests", f"tests/chaos/{PARTS[part]}"]
        environment = {**os.environ, "FULL": "1", "FIGURES": str(figures_path)}
        done = subprocess.run(argv, cwd=ROOT, env=environment, stdout=sys.stderr)
        figures: dict[str, object] = {}
        for line in figures_path.read_text(encoding="utf-8").splitlines():
            figures |= json.loads(line)
    if done.returncode != 0:
        sys.exit(f"{part}: something did not hold\n{json.dumps(figures, indent=1)}")
    return figures
