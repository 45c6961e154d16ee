# SPDX-License-Identifier: GPL-2.0-or-later
"""One package more in a repository of 10,000: ours and `createrepo_c --update`, in turns, each a process of its own.

Ours is the whole way: verify and read what is there, write the new repodata, verify and read that. createrepo_c has
the former repodata and all the RPM files, and makes no sqlite.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.mirrors import repodata
from tests.bench import addone
from tests.bench.manyrpms import make_rpms

ROOT = Path(__file__).resolve().parents[2]
CREATEREPO = ["createrepo_c", "--quiet", "--no-database", "--general-compress-type", "gz"]
OURS = "add one, ours"
THEIRS = "add one, createrepo_c --update"
READ = "read all, ours"
THEIRS_READ = "read all, createrepo_c's reader"

_PARSING = """
import createrepo_c, sys
found = []
def take(p):
    place = p.location_href, p.size_package, p.pkgId
    found.append((p.name, p.epoch, p.version, p.release, p.arch, p.rpm_sourcerpm, *place))
createrepo_c.xml_parse_primary(sys.argv[1], pkgcb=take, do_files=False)
"""


def measure(rounds: int, count: int = 10_000) -> tuple[dict[str, list[float]], dict[str, object]]:
    """The seconds of each, and other figures."""
    seconds: dict[str, list[float]] = {}
    with _prepared(count) as work_dir:
        for number in range(rounds):
            for what, run in _runs(work_dir, work_dir / str(number)).items():
                started = time.perf_counter()
                run()
                seconds.setdefault(what, []).append(time.perf_counter() - started)
        facts = _facts(work_dir, work_dir / "0" / "ours", count)
    return seconds, facts


@contextmanager
def _prepared(count: int) -> Iterator[Path]:
    """`repo` as createrepo_c made it, `ours` as we adopted it, `new` with a package more; `after` has all RPMs."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        work_dir = Path(name)
        make_rpms(work_dir / "repo", work_dir, range(1, count + 1))
        make_rpms(work_dir / "new", work_dir, range(count + 1, count + 2))
        _run([*CREATEREPO, str(work_dir / "repo")])
        index = addone.read_index(work_dir / "repo")
        repodata.write(work_dir / "ours", new=[], dropped=(), before=index, before_dir=work_dir / "repo", revision=1)
        yield work_dir


def _runs(work_dir: Path, round_dir: Path) -> dict[str, Callable[[], object]]:
    round_dir.mkdir()
    theirs_dir = round_dir / "theirs"
    _run(["cp", "--archive", "--link", str(work_dir / "repo"), str(theirs_dir)])
    new_path = _new_path(work_dir)
    os.link(new_path, theirs_dir / "noarch" / new_path.name)
    one = [sys.executable, "-m", "tests.bench.addone"]
    ours_dir = work_dir / "ours"
    primary = str(addone.primary_path(addone.read_index(ours_dir), ours_dir))
    return {
        THEIRS: lambda: _run([*CREATEREPO, "--update", str(theirs_dir)]),
        OURS: lambda: _run([*one, str(ours_dir), str(round_dir / "ours"), str(new_path)]),
        THEIRS_READ: lambda: _run([sys.executable, "-c", _PARSING, primary]),
        READ: lambda: _run([*one, str(ours_dir)]),
    }


def _facts(work_dir: Path, made_dir: Path, count: int) -> dict[str, object]:
    """What was made, as others read it."""
    done = _run([sys.executable, "-m", "tests.bench.addone", str(work_dir / "ours"), str(work_dir / "once"),
                 str(_new_path(work_dir))])  # fmt: skip
    listed = _run(
        ["dnf", "-q", "--releasever=1", f"--repofrompath=bench,{made_dir}", "--repo=bench",
         f"--setopt=cachedir={work_dir / 'cache'}", "repoquery", "-a"]
    )  # fmt: skip
    return {
        "packages": count,
        "packages that dnf lists after": len(listed.splitlines()),
        "peak memory of ours, MB": int(done) // 1024,
        "bytes of metadata, createrepo_c's": _size(work_dir / "repo"),
        "bytes of metadata, ours": _size(work_dir / "ours"),
    }


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "repodata").iterdir())


def _new_path(work_dir: Path) -> Path:
    return next((work_dir / "new" / "noarch").iterdir())


def _run(argv: list[str]) -> str:
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(argv)} ended with {done.returncode}\n{done.stderr[-4000:]}")
    return done.stdout
