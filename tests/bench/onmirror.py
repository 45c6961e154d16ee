# SPDX-License-Identifier: GPL-2.0-or-later
"""One thing done to a mirror, as a process: `ROOT OUT MIRROR start|publish|again|rollback NUMBER`.

What it took goes to standard output as JSON. `publish` is the stages repo and publish of the package of that number;
`again` is the same when nothing changed, decided twice as a run decides it; `rollback` goes to a revision.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pipeline import files
from pipeline.chain import Chain
from pipeline.context import TargetContext
from pipeline.engines.host import HostEngine
from pipeline.flow import TARGET_STAGES
from pipeline.mirrors import rollback
from pipeline.model import PublicKey, SignedSet
from pipeline.progress import Progress
from pipeline.rpmbuild import read_rpm
from pipeline.settings import read_settings

TARGET = "el6"
_STAGES = tuple(stage for stage in TARGET_STAGES if stage.name != "verify")


def main(root_dir: Path, out_path: Path, place: str, what: str, number: int) -> None:
    context = _context(root_dir, out_path, place)
    work = _chosen(what, number, context)
    started = time.perf_counter()
    told = work()
    told["seconds"] = time.perf_counter() - started
    json.dump({**told, "peak_kib": peak_kib()}, sys.stdout)


def _chosen(what: str, number: int, context: TargetContext) -> Callable[[], dict[str, object]]:
    if what == "start":
        return dict
    if what == "rollback":
        return lambda: _rolled_back(number, context)
    sets = (_signed(context.out_path / "new" / f"bench{number:05}-1.0-1.noarch.rpm", context),)
    chain = Chain(TARGET, context, _STAGES, sign=sets)
    return lambda: _run(chain, must_hold=what == "again")


def _run(chain: Chain, *, must_hold: bool) -> dict[str, object]:
    held = chain.holds()
    if not held:
        chain.run()
    if chain.error is not None or held != must_hold:
        sys.exit(f"{chain.failed_stage}: {chain.error}; held: {held}")
    return {"revision": chain.records["publish"].revision}


def _rolled_back(revision: int, context: TargetContext) -> dict[str, object]:
    done = rollback.run(context.settings, TARGET, revision, context.progress, log_path=context.log_path)
    return {"revision": done.revision}


def _signed(path: Path, context: TargetContext) -> SignedSet:
    key_path = context.out_path / "public.asc"
    keys = (PublicKey(fingerprint="bench", file=files.file_record(key_path, context.out_path)),)
    beside = sorted(path.parent.glob(f"{path.name}.*"))
    sidecars = tuple(files.file_record(each, context.out_path) for each in beside)
    return SignedSet(ours=(read_rpm(path, context.out_path),), vendor=(), vendor_origin="", keys=keys,
                     sidecars=sidecars)  # fmt: skip


def _context(root_dir: Path, out_path: Path, place: str) -> TargetContext:
    settings = read_settings(root_dir, out=str(out_path), mirror=place, environ={})
    home_dir = out_path / TARGET
    return TargetContext(
        settings=settings,
        target_name=TARGET,
        target=settings.target(TARGET),
        engine=HostEngine(),
        progress=Progress(quiet=True),
        home_dir=home_dir,
        log_path=home_dir / "logs" / "1" / "stage.log",
    )


def peak_kib() -> int:
    """The largest memory of this program alone: what `getrusage` tells counts the one that started it."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]))
