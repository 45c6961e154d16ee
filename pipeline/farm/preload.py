# SPDX-License-Identifier: GPL-2.0-or-later
"""What makes a worker that dask's own deployers start one of ours: `--preload pipeline.farm.preload`, in a checkout.

Source: https://docs.dask.org/en/stable/how-to/customize-initialization.html
"""

from __future__ import annotations

import re
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from pipeline import files
from pipeline.errors import PipelineError
from pipeline.farm import worker as room
from pipeline.farm import workplace
from pipeline.progress import Progress
from pipeline.settings import read_settings

if TYPE_CHECKING:
    from distributed import Worker

_BEGUN_SECONDS = 60
# Until the process ends: jobs may be ended later than the teardown.
_opened = ExitStack()


async def dask_setup(worker: Worker) -> None:
    """Make it ready before it says that it is there: its folder, what it can serve, where its jobs come from.

    Raises: SystemExit when it cannot be. dask would write any other exception down, and start the worker all the same.
    """
    progress = Progress()
    try:
        _settle(worker, progress)
    except PipelineError as error:
        progress.failure(error)
        raise SystemExit(error.exit_code) from error


async def dask_teardown(worker: Worker) -> None:
    """Give up what is being done."""
    workplace.leave()


def _settle(worker: Worker, progress: Progress) -> None:
    settings = read_settings(Path(__file__).resolve().parents[2])
    wish = room.Wish(nthreads=worker.state.nthreads, work_dir=_folder(worker), name=str(worker.name))
    images = room.served(settings, progress, wish)
    _tidy(wish.work_dir)
    for resources in (worker.state.total_resources, worker.state.available_resources):
        resources.update(room.resources_of(settings, images, wish))
    _opened.enter_context(room.opened(settings, images, wish, progress))
    progress.heading(f"worker {wish.name}: {', '.join(worker.state.total_resources)}, in {wish.work_dir}")


def _tidy(work_dir: Path) -> None:
    """Remove the folders of workers that are gone: the next one has another address, and never comes to them."""
    for each in work_dir.parent.glob("*/.lock"):
        with suppress(Timeout, OSError):
            # One that begins beside us makes its lock a moment before it has it.
            if each.parent != work_dir and time.time() - each.stat().st_mtime > _BEGUN_SECONDS:
                with FileLock(each, timeout=0):
                    files.remove_tree(each.parent)


def _folder(worker: Worker) -> Path:
    """Beside dask's own below its `local_directory`; a worker without a name of its own is called by its address."""
    return Path(worker.local_directory).parents[1] / "farm" / re.sub(r"[^\w.-]+", "-", str(worker.name))
