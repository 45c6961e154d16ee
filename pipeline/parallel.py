# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands side by side: as many as there are cores, and ctrl-C ends all of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pipeline import command

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_all(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """The results in the order of the items. Raises: the first error of `work`; KeyboardInterrupt at once."""
    pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    try:
        return list(pool.map(work, items))
    except BaseException:
        # Threads cannot be interrupted; what they wait for can be ended.
        pool.shutdown(wait=False, cancel_futures=True)
        command.end_all()
        raise
    finally:
        pool.shutdown(wait=True)
