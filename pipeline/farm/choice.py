# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether jobs are done by this machine or by a farm, as `--executor` says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.errors import FarmError
from pipeline.progress import Progress
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.farm.farm import Farm


@contextmanager
def open_farm(settings: Settings, progress: Progress) -> Iterator[Farm | None]:
    """The farm that `--executor dask` asks for, or `None` for this machine. What is under way ends with the block.

    Raises: FarmError when its scheduler cannot be used; SettingsError.
    """
    if settings.executor == "local":
        yield None
        return
    from pipeline.farm import pool, shelf  # late: most runs have no farm
    from pipeline.farm.farm import Farm
    from pipeline.farm.store import open_store

    run = shelf.new_run()
    with pool.connected(settings) as found:
        own = shelf.Shelf(open_store(settings.farm.store, settings.root_dir), run)
        farm = Farm(found, settings, own, progress, run=run)
        try:
            yield farm
        finally:
            farm.stop()
            try:
                own.clear()
            except FarmError as error:
                progress.warning(f"what this run laid into the store stays there: {error.message}")
