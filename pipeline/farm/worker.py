# SPDX-License-Identifier: GPL-2.0-or-later
"""A worker of the farm: it says what it can serve, and does jobs until it is told to end or its scheduler is gone."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline import files
from pipeline.engines import container, derived
from pipeline.errors import FarmError
from pipeline.farm import doorbell, facts, pool, remote, workplace
from pipeline.farm.doorbell import Papers
from pipeline.farm.store import FileStore, open_store
from pipeline.farm.version import version_of
from pipeline.farm.workplace import Workplace
from pipeline.model import Image
from pipeline.progress import Progress
from pipeline.settings import Settings

# For running jobs to end their commands when the worker is told to.
_LAST_SECONDS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """How a worker is started: jobs at once, its folder, its name, and the targets to serve (none: all that it can)."""

    nthreads: int
    work_dir: Path
    name: str
    targets: tuple[str, ...] = ()


def serve(settings: Settings, progress: Progress, wish: Wish, *, dry_run: bool = False) -> None:
    """Do jobs until somebody ends it. Raises: FarmError when it can serve nothing, or its scheduler is gone."""
    found = doorbell.papers(settings)
    images = served(settings, progress, wish)
    resources = resources_of(settings, images, wish)
    progress.heading(f"worker {wish.name}: {', '.join(resources)}, {wish.nthreads} at once, in {wish.work_dir}")
    if dry_run:
        return
    doorbell.ring(settings.farm, found)
    with opened(settings, images, wish, progress):
        if asyncio.run(_work(settings, found, wish, resources, progress)):
            raise pool.lost(settings.farm)


def served(settings: Settings, progress: Progress, wish: Wish) -> dict[str, Image]:
    """Target -> its image, for those that this machine can serve. Raises: FarmError when there is none."""
    images, lacking = facts.served(settings, wish.targets or tuple(settings.targets))
    for line in lacking:
        progress.note(f"not served: {line}")
    if not images:
        raise FarmError(
            "worker-useless",
            "this machine can serve no target: its commands have nowhere to run",
            hint="make an image here: `.venv/bin/nox -s image -- --target NAME`, or load it from another machine",
        )
    return dict(images)


def resources_of(settings: Settings, targets: Iterable[str], wish: Wish) -> dict[str, float]:
    """What the scheduler is told that this worker has."""
    return {settings.resource(target): float(wish.nthreads) for target in targets}


@contextmanager
def opened(settings: Settings, images: Mapping[str, Image], wish: Wish, progress: Progress) -> Iterator[None]:
    """This process can take jobs. Raises: FarmError when another worker has its folder."""
    with _alone_in(wish.work_dir):
        _tidy(wish.work_dir, {image.engine for image in images.values()})
        workplace.settle(
            Workplace(
                name=wish.name,
                root_dir=settings.root_dir,
                work_dir=wish.work_dir,
                version=version_of(settings.root_dir),
                least_free_mib=settings.farm.least_free_mib,
                targets=tuple(images),
            ),
            progress.note,
        )
        # The process that jobs come from finds the pipeline by the folder that it is started in.
        os.chdir(settings.root_dir)
        remote.warm_up(_modules_of(settings))
        yield


@contextmanager
def _alone_in(work_dir: Path) -> Iterator[None]:
    work_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(work_dir / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise FarmError(
            "work-in-use",
            f"another worker works in {work_dir}",
            hint="give each worker of a machine a folder of its own: --work DIR",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _tidy(work_dir: Path, engines: set[str]) -> None:
    """What a worker left that was killed: its jobs' folders, and containers whose process is gone."""
    files.remove_tree(work_dir / "jobs")
    for program in sorted(engines - {"host"}):
        container.reap(program)
        derived.reap(program)


def _modules_of(settings: Settings) -> tuple[str, ...]:
    """What the store needs besides, so that not each job loads it anew."""
    store = open_store(settings.farm.store, settings.root_dir)
    return store.modules if isinstance(store, FileStore) else ()


async def _work(
    settings: Settings, found: Papers | None, wish: Wish, resources: Mapping[str, float], progress: Progress
) -> bool:
    """Whether the scheduler went away; false when we were told to end."""
    from distributed import Worker  # late, as all of dask

    pool.silence()
    told_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, told_to_end.set)
    worker = Worker(
        settings.farm.address,
        nthreads=wish.nthreads,
        name=wish.name,
        resources=dict(resources),
        security=pool.security(found),
        local_directory=str(wish.work_dir / "dask"),
        memory_limit=0,  # jobs have processes of their own, which it does not see
        death_timeout=settings.farm.connect_seconds,
        dashboard=False,
    )
    try:
        async with worker:
            progress.note(f"at work for {settings.farm.address}")
            gone = asyncio.create_task(worker.finished())
            told = asyncio.create_task(told_to_end.wait())
            await asyncio.wait((gone, told), return_when=asyncio.FIRST_COMPLETED)
            workplace.leave()
            for task in (gone, told):
                task.cancel()
    except (OSError, TimeoutError) as error:
        raise FarmError(
            "no-scheduler",
            f"the scheduler at {settings.farm.address} did not take this worker: {error}",
            hint="it may have a worker of that name already (--name), or another dask: use requirements-farm.lock",
        ) from error
    return not told_to_end.is_set()
