# SPDX-License-Identifier: GPL-2.0-or-later
"""What makes a worker that dask's own deployers start one of ours: `--preload pipeline.farm.preload`, in a checkout.

Source: https://docs.dask.org/en/stable/how-to/customize-initialization.html
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.farm import worker as room
from pipeline.farm import workplace
from pipeline.progress import Progress
from pipeline.settings import read_settings

if TYPE_CHECKING:
    from distributed import Worker

_opened = ExitStack()


async def dask_setup(worker: Worker) -> None:
    """Make it ready before it says that it is there: its folder, what it can serve, where its jobs come from.

    Raises: FarmError, SettingsError; the worker does not start then.
    """
    settings = read_settings(Path(__file__).resolve().parents[2])
    name = str(worker.name)
    wish = room.Wish(nthreads=worker.state.nthreads, work_dir=_folder(worker), name=name)
    images = room.served(settings, Progress(), wish)
    for resources in (worker.state.total_resources, worker.state.available_resources):
        resources.update(room.resources_of(settings, images, wish))
    _opened.enter_context(room.opened(settings, images, wish))


async def dask_teardown(worker: Worker) -> None:
    """Give up what is being done, and the folder."""
    workplace.leave()
    _opened.close()


def _folder(worker: Worker) -> Path:
    """Beside dask's own below the worker's `local_directory`; a worker without a name is called by its address."""
    return Path(worker.local_directory).parents[1] / "farm" / re.sub(r"[^\w.-]+", "-", str(worker.name))
