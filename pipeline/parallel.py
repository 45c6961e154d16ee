# SPDX-License-Identifier: GPL-2.0-or-later
"""Work side by side; ctrl-C or a failure ends what is still at it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from typing import TypeVar

from pipeline import command, crew

Item = TypeVar("Item")
Result = TypeVar("Result")
Key = TypeVar("Key", bound=Hashable)


def run_all(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """The results in the order of the items. Raises: the first error of `work`; KeyboardInterrupt at once."""
    with _pool(os.cpu_count() or 1) as submit:
        futures = [submit(work, item) for item in items]
        ended, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in futures:
            if future in ended:
                future.result()
        return [future.result() for future in futures]


def run_ordered(work: Callable[[Key], None], needs: Mapping[Key, Collection[Key]], *, width: int) -> None:
    """Do each key's work once that of all that it needs was done; of several the first, and at most `width` at once.

    What is needed and is no key counts as done. Raises: the first error of `work`; KeyboardInterrupt at once.
    """
    waiting = dict(needs)
    if not waiting:
        return
    at_work: dict[Future[None], Key] = {}
    with _pool(width) as submit:
        while waiting or at_work:
            open_keys = {*waiting, *at_work.values()}
            ready = [key for key in waiting if open_keys.isdisjoint(waiting[key])]
            assert ready or at_work, f"these wait for each other: {waiting}"
            for key in ready[: width - len(at_work)]:
                del waiting[key]
                at_work[submit(work, key)] = key
            ended, _ = wait(at_work, return_when=FIRST_COMPLETED)
            for future in ended:
                del at_work[future]
                future.result()


@contextmanager
def _pool(width: int) -> Iterator[Callable[[Callable[[Item], Result], Item], Future[Result]]]:
    """Threads of one crew. What leaves the block ends them and what they wait for, and refuses what they would do."""
    with crew.current().part() as mates, ThreadPoolExecutor(max_workers=width) as pool:

        def in_crew(work: Callable[[Item], Result], item: Item) -> Result:
            with crew.working_in(mates):
                return work(item)

        try:
            yield lambda work, item: pool.submit(copy_context().run, in_crew, work, item)
        except BaseException:
            with command.none_running(mates):
                pool.shutdown(wait=True, cancel_futures=True)
            raise
