# SPDX-License-Identifier: GPL-2.0-or-later
"""What a farm adds to each job: scheduler and one worker with TLS on the loopback interface, one job after the other.

Beside what the stages take themselves: parcels out and back, the scheduler, the job's process.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.integration import farming

JOBS = 30
LIMIT_SECONDS = 0.05


def measure() -> list[dict[str, object]]:
    """The added seconds of a job, median and best; a new Python for each would be the last row."""
    added: list[float] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name, farming.site_at(Path(name)) as site:
        site.start_worker("one")
        out = Path(name) / "out"
        with site.farm(out, workers=1) as farm:
            context = site.context(farm, out)
            for _ in range(JOBS + 3):
                started = time.monotonic()
                outcomes = farm.bring(context, farming.stages("image"), "attempt")
                added.append(time.monotonic() - started - sum(row.seconds for row in outcomes))
                shutil.rmtree(out / "demo")
    measured = sorted(added[3:])  # the first ones load modules
    return [
        {"what": "added to a job", "median": statistics.median(measured), "limit": LIMIT_SECONDS},
        {"what": "added to a job, best tenth", "median": measured[JOBS // 10], "limit": None},
        {"what": "a new Python with the pipeline", "median": _new_python(), "limit": None},
    ]


def _new_python() -> float:
    seconds = []
    for _ in range(5):
        started = time.monotonic()
        subprocess.run([sys.executable, "-c", "import pipeline.farm.warm"], check=True, cwd=Path(__file__).parents[2])
        seconds.append(time.monotonic() - started)
    return statistics.median(seconds)
