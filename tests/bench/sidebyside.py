# SPDX-License-Identifier: GPL-2.0-or-later
"""What running stages side by side brings: plain build, patched build and unit tests, together and one by one.

Both are the pipeline, with `--jobs 1` and with as many as fit, in turns; the time is from the first of the three to
the last, as the state log has it. What two cores of a shared machine give differs from hour to hour: the same two
builds by bare rpmbuild, together and one by one, are measured in each round as well.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.engine import in_engine, inside

ROOT = Path(__file__).resolve().parents[2]
_STAGES = ("baseline", "render", "build", "unit")
LIMIT = 0.60
# What bare tools reach on two cores that are ours alone.
_BARE = 0.55


def measure(rounds: int, target: str, source: str | None) -> list[dict[str, object]]:
    """Rows of what, median and limit, the ratio first; the limit is for two cores, and 0 where there is none."""
    flags = [*(["--source", source] if source else []), "--quiet", "--only", f"vdsm@{target}"]
    seconds: dict[tuple[str, int], list[float]] = {}
    width = os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        start_dir = Path(name) / "start"
        _run("reserve", flags, start_dir)
        for number in range(rounds):
            for jobs in (1, width):
                out_dir = Path(name) / f"{number}-{jobs}"
                shutil.copytree(start_dir, out_dir, copy_function=shutil.copy2)
                _run("job", [*flags, "--jobs", str(jobs)], out_dir)
                home_dir = out_dir / target / "vdsm"
                seconds.setdefault(("pipeline", jobs), []).append(_span(home_dir))
                seconds.setdefault(("bare", jobs), []).append(_bare(home_dir, Path(name) / "bare", jobs))
                shutil.rmtree(out_dir)
    median = {key: statistics.median(found) for key, found in seconds.items()}
    ours, bare = (median[who, width] / median[who, 1] for who in ("pipeline", "bare"))
    return [
        {"what": "side by side, in parts of one by one", "median": ours, "limit": LIMIT},
        {"what": "the two builds by bare rpmbuild", "median": bare, "limit": 0},
        {"what": "ours in parts of bare", "median": ours / bare, "limit": round(LIMIT / _BARE, 2)},
        {"what": "seconds one by one", "median": median["pipeline", 1], "limit": 0},
        {"what": "seconds side by side", "median": median["pipeline", width], "limit": 0},
    ]


def _bare(home_dir: Path, work_dir: Path, width: int) -> float:
    """Seconds that rpmbuild takes for the plain and the patched source RPM, so many at once."""
    commands = []
    for name, source_dir in (("plain", home_dir / "baseline" / "SRPMS"), ("patched", home_dir / "SRPMS")):
        top_dir = work_dir / name
        top_dir.mkdir(parents=True)
        shutil.copy(next(source_dir.glob("*.src.rpm")), top_dir / "a.src.rpm")
        there = inside(home_dir, top_dir)
        words = ["rpmbuild", "--rebuild", "--nodeps", "--define", f"_topdir {there}", "--define", "rhel 6"]
        words += ["--define", "_binary_payload w9.gzdio", f"{there}/a.src.rpm"]
        commands.append([*in_engine(home_dir, top_dir), *words])
    subprocess.run(["chmod", "-R", "a+rwX", str(work_dir)], check=True)
    started = time.monotonic()
    running: list[subprocess.Popen[bytes]] = []
    for argv in commands:
        with (work_dir / f"{len(running)}.log").open("wb") as log:
            running.append(subprocess.Popen(argv, stdout=log, stderr=log))
        if width == 1:
            running[-1].wait()
    codes = [process.wait() for process in running]
    seconds = time.monotonic() - started
    if any(codes):
        sys.exit("".join(path.read_text()[-2000:] for path in sorted(work_dir.glob("*.log"))))
    shutil.rmtree(work_dir)
    return seconds


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
