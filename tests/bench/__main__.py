# SPDX-License-Identifier: GPL-2.0-or-later
"""`nox -s bench`: the pipeline and bare tools in turns, medians and their ratio.

Absolute times mean nothing on shared machines; both sides of a ratio are measured in the same run.
The vendor's package (source RPM and baseline build) is at hand for both.

`nox -s bench -- repodata` is about the metadata alone: one package more in a repository of 10,000. `-- readers`,
`-- kills` and `-- publishers` try in full what a mirror must withstand: minutes, and half an hour for the kills.
`-- mirror` holds what is promised of a mirror with 10,000 packages against its limits, `-- packages` what is promised
of 200 packages that are built on each other; to build these takes a quarter of an hour. `-- farm` tells what a farm
adds to a job, `-- side-by-side` how plain build, patched build and tests together compare with one by one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import farm, mirror, mirrors, packages, repodata, sidebyside
from tests.bench.engine import in_engine

ROOT = Path(__file__).resolve().parents[2]
BARE = Path(__file__).with_name("bare.sh")
_AT_HAND = ("image", "fetch", "baseline")


def main() -> None:
    flags = _arguments()
    if flags.part in mirrors.PARTS:
        _tell({}, flags, title=flags.part, bare="", facts=mirrors.measure(flags.part))
        return
    if flags.part == "repodata":
        rounds, facts = repodata.measure(flags.rounds)
        _tell(rounds, flags, title="repodata", bare=repodata.THEIRS, facts=facts)
        return
    if flags.part == "packages":
        _tell_limits(packages.rows(packages.measure(flags.rounds)), flags)
        return
    if flags.part == "farm":
        _tell_limits(farm.measure(), flags)
        return
    if flags.part == "side-by-side":
        _tell_limits(sidebyside.measure(flags.rounds, flags.target, flags.source), flags)
        return
    if flags.part == "mirror":
        _tell_limits(mirror.rows(mirror.measure(flags.rounds)), flags)
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        work_dir = Path(name)
        bench = Bench(work_dir, flags.target, flags.source)
        bench.prepare()
        seconds: dict[str, list[float]] = {}
        for number in range(flags.rounds):
            for what, run in bench.runs(work_dir / str(number)).items():
                started = time.monotonic()
                run()
                seconds.setdefault(what, []).append(time.monotonic() - started)
            shutil.rmtree(work_dir / str(number))
    _tell(seconds, flags, title=flags.target, bare="bare tools, same work", facts={})


class Bench:
    """What both sides start from, and how each is run once."""

    def __init__(self, work_dir: Path, target: str, source: str | None) -> None:
        self.flags = ["--target", target, *(["--source", source] if source else []), "--quiet"]
        self.target = target
        self.start_dir = work_dir / "start"

    def prepare(self) -> None:
        """Source RPM, baseline build and its findings, made once by the pipeline."""
        self._pipeline("release", self.start_dir)
        home_dir = self.start_dir / self.target / "vdsm"
        for entry in (home_dir / "ledger").iterdir():
            if entry.stem not in _AT_HAND:
                entry.unlink()
        for made in ("SRPMS", "RPMS", "SPECS", "releases", "signed", "tree", "logs"):
            shutil.rmtree(home_dir / made, ignore_errors=True)
        shutil.rmtree(self.start_dir / self.target / "ledger", ignore_errors=True)
        shutil.rmtree(self.start_dir / self.target / "repo", ignore_errors=True)
        shutil.rmtree(self.start_dir / "mirror", ignore_errors=True)

    def runs(self, round_dir: Path) -> dict[str, Callable[[], None]]:
        """The runs of one round, in turns; each has folders of its own."""
        round_dir.mkdir()
        out_dir = round_dir / "out"
        shutil.copytree(self.start_dir, out_dir, copy_function=shutil.copy2)
        return {
            "bare tools, same work": lambda: self._bare(round_dir / "bare", "yes"),
            "pipeline": lambda: self._pipeline("release", out_dir),
            "bare tools, no checks, no tests": lambda: self._bare(round_dir / "unchecked", "no"),
            "pipeline, nothing changed": lambda: self._pipeline("release", out_dir),
            "pipeline --help": lambda: _run([sys.executable, "-m", "pipeline", "--help"]),
        }

    def _pipeline(self, command: str, out_dir: Path) -> None:
        _run([sys.executable, "-m", "pipeline", command, *self.flags, "--out", str(out_dir)])

    def _bare(self, work_dir: Path, checks: str) -> None:
        work_dir.mkdir()
        home_dir = self.start_dir / self.target / "vdsm"
        engine = in_engine(home_dir, work_dir)
        srpm = next((home_dir / "srpm").glob("*.src.rpm"))
        facts = json.loads((home_dir / "ledger" / "fetch.json").read_text())["record"]
        dist = "." + facts["evr"]["release"].partition(".")[2]
        tests_dir = ROOT / "tests" / "patched"
        python = "python2.7" if engine else "python3"
        words = [work_dir, srpm, ROOT / "patches/vdsm", tests_dir, ROOT / "specs/vdsm/rpmlint.toml", dist, python]
        environment = {
            "BENCH_CHECKS": checks,
            "BENCH_ENGINE": " ".join(engine),
            "BENCH_BASELINE": str(home_dir / "baseline"),
            "BENCH_KEY": str(self.start_dir / ".key" / "secret.asc"),
        }
        _run([str(BARE), *map(str, words), str(work_dir / "mirror"), *engine], environment)


def _run(argv: list[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(argv, cwd=ROOT, env={**os.environ, **(environment or {})}, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(argv)} ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def _tell(
    seconds: dict[str, list[float]], flags: argparse.Namespace, *, title: str, bare: str, facts: dict[str, object]
) -> None:
    medians = {what: statistics.median(values) for what, values in seconds.items()}
    rows = [
        {
            "what": what,
            "median_seconds": round(median, 3),
            "ratio": round(median / medians[bare], 3),
            "rounds": flags.rounds,
        }
        for what, median in medians.items()
    ]
    table = Table("what", "median seconds", "ratio", title=f"{title}, {flags.rounds} rounds", box=None)
    for row in rows:
        table.add_row(str(row["what"]), f"{row['median_seconds']:.3f}", f"{row['ratio']:.3f}")
    console = Console(stderr=True)
    if rows:
        console.print(table)
    for what, value in facts.items():
        console.print(f"{what}: {value}", highlight=False)
    _write(
        {"part": flags.part, "target": flags.target, "source": flags.source or "", "rows": rows, "facts": facts}, flags
    )


def _tell_limits(rows: list[dict[str, object]], flags: argparse.Namespace) -> None:
    """Figures beside the limits that they must not be above."""
    table = Table("what", "median", "at most", title=f"{flags.part}, {flags.rounds} rounds", box=None)
    for row in rows:
        table.add_row(str(row["what"]), f"{row['median']:.3f}", str(row["limit"] or ""))
    Console(stderr=True).print(table)
    _write({"part": flags.part, "rows": rows}, flags)


def _write(told: dict[str, object], flags: argparse.Namespace) -> None:
    document = json.dumps(told, indent=1)
    if flags.output:
        Path(flags.output).write_text(document + "\n", encoding="utf-8")
    if flags.json:
        sys.stdout.write(document + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parts = ("release", "repodata", "mirror", "packages", "farm", "side-by-side", *mirrors.PARTS)
    parser.add_argument("part", nargs="?", choices=parts, default="release")
    parser.add_argument("--target", default="demo")
    parser.add_argument("--source", help="as for the pipeline; default the target's own")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="the figures as JSON on standard output")
    parser.add_argument("--output", help="a file for the JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
