# SPDX-License-Identifier: GPL-2.0-or-later
"""What running stages side by side brings: plain build, patched build and unit tests, together and one by one.

Both are the pipeline, with `--jobs 1` and with as many as fit, in turns; the time is from the first of the three to
the last, as the state log has it.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_STAGES = ("baseline", "render", "build", "unit")
LIMIT = 0.60


def measure(rounds: int, target: str, source: str | None) -> list[dict[str, object]]:
    """Rows of what, median and limit, the ratio first; the limit is for two cores, and 0 where there is none."""
    flags = [*(["--source", source] if source else []), "--quiet", "--only", f"vdsm@{target}"]
    together: list[float] = []
    in_turn: list[float] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        start_dir = Path(name) / "start"
        _run("reserve", flags, start_dir)
        for number in range(rounds):
            for jobs, seconds in ((1, in_turn), (os.cpu_count() or 1, together)):
                out_dir = Path(name) / f"{number}-{jobs}"
                shutil.copytree(start_dir, out_dir, copy_function=shutil.copy2)
                _run("job", [*flags, "--jobs", str(jobs)], out_dir)
                seconds.append(_span(out_dir / target / "vdsm"))
                shutil.rmtree(out_dir)
    one, many = statistics.median(in_turn), statistics.median(together)
    return [
        {"what": "side by side, in parts of one by one", "median": many / one, "limit": LIMIT},
        {"what": "seconds one by one", "median": one, "limit": 0},
        {"what": "seconds side by side", "median": many, "limit": 0},
    ]


def _span(home_dir: Path) -> float:
    """From the begin of the first of the stages to the end of the last, in the newest attempt."""
    log = max(home_dir.glob("logs/*/state.log"), key=lambda path: path.stat().st_mtime)
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    times = [event["time"] for event in events if event["stage"] in _STAGES]
    return float(max(times) - min(times))


def _run(command: str, flags: list[str], out_dir: Path) -> None:
    argv = [sys.executable, "-m", "pipeline", command, *flags, "--out", str(out_dir)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(argv)} ended with {done.returncode}\n{done.stderr[-4000:]}")
