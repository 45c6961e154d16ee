# SPDX-License-Identifier: GPL-2.0-or-later
"""`python asking.py CHECKOUT LOG OUT SOURCE HOW`: asks a farm for a job, or, `plain`, an executor here."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

from pipeline.farm import facts, workplace
from pipeline.farm.farm import Farm
from pipeline.farm.pool import Pool
from pipeline.farm.shelf import Shelf, new_run
from pipeline.farm.store import open_store
from pipeline.farm.version import version_of
from pipeline.progress import Progress
from pipeline.settings import Settings
from tests.integration import farming
from tests.integration.checkout import Checkout


class Here(Pool):
    """One thread of this process."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads

    def executor(self, resource, avoided) -> Executor:
        return self._threads

    def slots(self, resource, avoided) -> int:
        return 1

    def facts(self, engine) -> tuple[facts.Facts, ...]:
        return (facts.tell(engine),)


@contextlib.contextmanager
def plain(settings: Settings, work_dir: Path) -> Iterator[Farm]:
    root_dir = settings.root_dir
    work_dir.mkdir(parents=True)
    workplace.settle(
        workplace.Workplace(
            name="here",
            root_dir=root_dir,
            work_dir=work_dir,
            version=version_of(root_dir),
            least_free_mib=0,
            targets=("demo",),
        )
    )
    run = new_run()
    shelf = Shelf(open_store(settings.farm.store, root_dir), run)
    with ThreadPoolExecutor(1) as threads:
        yield Farm(Here(threads), settings, shelf, Progress(quiet=True), run=run)
    shelf.clear()


def main(root: str, log: str, out: str, source: str, how: str) -> None:
    site = farming.Site(Checkout(Path(root)), Path(), 0, Path(log))
    out_path = Path(out)
    opened = plain(site.settings(out_path), out_path / "work") if how else site.farm(out_path, workers=1)
    names = ("image", "fetch") if how else ("image", "fetch", "patch")
    with opened as farm:
        context = site.context(farm, out_path, source=source or None)
        for row in farm.bring(context, farming.stages(*names), "attempt"):
            sys.stdout.write(f"{row.stage} {row.result} {row.reason} at {row.where}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
