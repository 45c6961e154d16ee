# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands side by side: as many as there are cores, and ctrl-C ends all of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

from pipeline import command

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_all(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """The results in the order of the items. Raises: the first error of `work`; KeyboardInterrupt at once."""
    pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    try:
        futures = [pool.submit(work, item) for item in items]
        ended, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in futures:
            if future in ended and not future.cancelled():
                future.result()
        return [future.result() for future in futures]
    except BaseException:
        # Threads cannot be interrupted; what they wait for can be ended, and what they would do next refused.
        with command.none_running():
            pool.shutdown(wait=True, cancel_futures=True)
        raise
    finally:
        pool.shutdown(wait=True)
