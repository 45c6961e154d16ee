# SPDX-License-Identifier: GPL-2.0-or-later
"""How many heavy commands run at once, in all that this process does side by side: as cores and memory allow."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What a build of such packages takes at its height, compiler and compression together.
_BYTES_EACH = 1024**3


def fitting() -> int:
    """As many as this process may use cores, and as there is free memory for."""
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, _free_bytes() // _BYTES_EACH))


_width = 0
_free = threading.Semaphore()


def allow(width: int) -> None:
    """Let that many run at once from now on; to be said before the first of them starts."""
    global _width, _free
    _width, _free = width, threading.Semaphore(width)


def width() -> int:
    """How many may run at once."""
    if not _width:
        allow(fitting())
    return _width


@contextmanager
def taken() -> Iterator[None]:
    """Wait for a place, and have it. Who has one must not ask for another."""
    width()
    with _free:
        yield


def _free_bytes() -> int:
    """Memory that could be had without swapping. Source: proc(5), MemAvailable."""
    with Path("/proc/meminfo").open(encoding="ascii") as lines:
        told = dict(line.split(":", 1) for line in lines)
    return 1024 * int(told["MemAvailable"].split()[0])
