# SPDX-License-Identifier: GPL-2.0-or-later
"""One job at a worker, in a process of its own: parcels in, stages, a parcel out. It ends when its worker does."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing import connection
from pathlib import Path
from types import FrameType
from typing import Any

from pipeline.chain import Chain
from pipeline.context import JobContext
from pipeline.engines.choice import engine_of
from pipeline.errors import FarmError, Interrupted, PipelineError
from pipeline.farm import trouble
from pipeline.farm.letters import Answer, Asked
from pipeline.farm.shelf import Shelf
from pipeline.farm.store import open_store
from pipeline.farm.trouble import Places
from pipeline.farm.workplace import Workplace
from pipeline.flow import JOB_STAGES, STAGES, needed_for
from pipeline.ledger import Ledger
from pipeline.parcels.packing import pack
from pipeline.parcels.unpacking import unpack
from pipeline.progress import Progress
from pipeline.settings import Settings, read_settings

# How long a job that was told to end may take to end its commands; they themselves have less.
_LAST_SECONDS = 15
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
# So little is left where a command ran out of disk, whatever it said.
_FULL_MIB = 4


class _Heard(Progress):
    """Says nothing, and remembers what should be told where the run was started."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


def main(place: Workplace, asked: Asked, out_path: Path, sender: connection.Connection) -> None:
    """Do the job and send its answer; nobody may be left to take it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the worker tells us itself
    signal.signal(signal.SIGTERM, _interrupt)
    _end_with_the_worker()
    try:
        answer = work(place, asked, out_path)
    except KeyboardInterrupt:
        answer = Answer(kind="stopped", worker=place.name, why="it was told to end")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        sender.send(answer)
    except OSError:
        return


def work(place: Workplace, asked: Asked, out_path: Path) -> Answer:
    """The answer to what was asked, whatever happens. Raises: KeyboardInterrupt."""
    lacking = place.lacks_disk()
    if lacking:
        return _no_disk(place, lacking)
    places = Places(root_dir=place.root_dir, out_path=out_path)
    progress = _Heard()
    try:
        settings = _settings(place, asked, out_path)
        shelf = Shelf(open_store(settings.farm.store, settings.root_dir), asked.run)
        _lay_out(asked, shelf, out_path)
        chain = _chain(asked, settings, progress)
        chain.run(keep_going=asked.keep_going)
        if isinstance(chain.error, Interrupted):
            return Answer(kind="stopped", worker=place.name, why=chain.error.message)
        if chain.error is not None and _ran_out_of_disk(chain.error, place):
            return _no_disk(place, f"{place.work_dir} is full")
        other = _other_image(asked, chain)
        if other:
            return Answer(kind="other-image", worker=place.name, why=other)
        return _done(place, asked, chain, progress, shelf, places)
    except PipelineError as error:
        if _ran_out_of_disk(error, place):
            return _no_disk(place, f"{place.work_dir} is full")
        return Answer(kind="done", worker=place.name, trouble=trouble.told(error, places))
    except OSError as error:
        if error.errno in _NO_SPACE:
            return _no_disk(place, f"{place.work_dir} is full")
        wrong = FarmError(
            "worker-failed",
            f"the worker {place.name} cannot work: {error}",
            hint=f"look at {place.work_dir} there, and mend its rights or its disk",
        )
        return Answer(kind="done", worker=place.name, trouble=trouble.told(wrong, places))


def _settings(place: Workplace, asked: Asked, out_path: Path) -> Settings:
    return read_settings(
        place.root_dir,
        out=str(out_path),
        source=asked.source or None,
        engine=asked.engine or None,
        offline=asked.offline,
        environ={},
    )


def _lay_out(asked: Asked, shelf: Shelf, out_path: Path) -> None:
    for name in asked.parcels:
        path = out_path / ".work" / name
        shelf.get(name, path)
        unpack(path, out_path)
        path.unlink()


def _chain(asked: Asked, settings: Settings, progress: Progress) -> Chain:
    """The stages that are asked for, given the records of those that were done before."""
    job = asked.job
    home_dir = settings.out_path / job.target / job.package
    context = JobContext(
        settings=settings,
        target_name=job.target,
        target=settings.target_of(job),
        engine=engine_of(settings, job.target),
        progress=progress,
        home_dir=home_dir,
        log_path=home_dir / "logs" / asked.attempt / "stage.log",
        job=job,
        package=settings.packages[job.package],
        needs=asked.needs,
    )
    wanted = tuple(stage for stage in JOB_STAGES if stage.name in asked.stages)
    before = frozenset[str]().union(*(needed_for(stage.name) for stage in wanted)) - set(asked.stages)
    ledger = Ledger(home_dir, settings.out_path)
    records: dict[str, Any] = {name: ledger.last(name, STAGES[name].record) for name in before}
    missing = sorted(name for name, record in records.items() if record is None)
    if missing:
        raise FarmError(
            "parcel-lacks",
            f"{job} was sent without the results of {', '.join(missing)}, which {', '.join(asked.stages)} need",
            hint="run the same again; if it stays so, `.venv/bin/nox -s clean -- --remove` makes them anew",
        )
    return Chain(str(job), context, wanted, **records)


def _other_image(asked: Asked, chain: Chain) -> str:
    found = chain.records.get("image")
    if found is None or found == asked.image:
        return ""
    return f"its commands run in {found.reference} ({found.digest[:12]}), elsewhere in another"


def _done(place: Workplace, asked: Asked, chain: Chain, progress: _Heard, shelf: Shelf, places: Places) -> Answer:
    """What became of the job, also when it failed, with all that it left."""
    path = places.out_path / ".work" / "answer"
    path.parent.mkdir(parents=True, exist_ok=True)
    pack(places.out_path / asked.job.target / asked.job.package, places.out_path, path)
    return Answer(
        kind="done",
        worker=place.name,
        parcel=shelf.put(path),
        outcomes=tuple(trouble.marked(outcome, places) for outcome in chain.outcomes),
        trouble=trouble.told(chain.error, places) if chain.error else None,
        warnings=tuple(map(places.marked, progress.warnings)),
    )


def _no_disk(place: Workplace, why: str) -> Answer:
    hint = f"free space on {place.name}, or start its worker with --work on a larger disk"
    return Answer(kind="no-disk", worker=place.name, why=why, hint=hint)


def _ran_out_of_disk(error: PipelineError, place: Workplace) -> bool:
    """Whether it failed for want of disk: by what the system said, or since nothing is left."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _NO_SPACE:
            return True
        cause = cause.__cause__
    return place.free_mib() < _FULL_MIB


def _end_with_the_worker() -> None:
    """A thread that has this process end as ctrl-C would, once the worker is gone, however it went."""
    worker = multiprocessing.parent_process()
    assert worker is not None

    def watch() -> None:
        connection.wait([worker.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_LAST_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="worker", daemon=True).start()


def _interrupt(number: int, frame: FrameType | None) -> None:
    """As in a run: commands are ended, and nothing half-made is taken for done."""
    raise KeyboardInterrupt
