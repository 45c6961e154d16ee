# SPDX-License-Identifier: GPL-2.0-or-later
"""How many heavy commands run at once, in all that this process does side by side: as cores and memory allow."""

from __future__ import annotations

import bisect
import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

# What a build of such packages takes at its height, compiler and compression together.
_BYTES_EACH = 1024**3


def fitting() -> int:
    """As many as this process may use cores, and as there is free memory for."""
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, _free_bytes() // _BYTES_EACH))


class _Places:
    """So many places, and a queue for them: more patience stands further behind, else the first is first."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._free = width
        self._queue: list[tuple[int, int]] = []
        self._came = itertools.count()
        self._changed = threading.Condition()

    def take(self, patience: int) -> None:
        with self._changed:
            ticket = (patience, next(self._came))
            bisect.insort(self._queue, ticket)
            try:
                self._changed.wait_for(lambda: self._free and self._queue[0] == ticket)
                self._free -= 1
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def give_back(self) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify_all()


_places: _Places | None = None
_patience: ContextVar[int] = ContextVar("patience", default=0)


def allow(width: int) -> None:
    """Let that many run at once from now on; to be said before the first of them starts."""
    global _places
    _places = _Places(width)


def width() -> int:
    """How many may run at once."""
    return _there().width


@contextmanager
def having(patience: int) -> Iterator[None]:
    """What this thread, and those that it starts, run meanwhile lets all go first that has less of it."""
    token = _patience.set(patience)
    try:
        yield
    finally:
        _patience.reset(token)


@contextmanager
def taken() -> Iterator[None]:
    """Wait for a place, and have it. Who has one must not ask for another."""
    places = _there()
    places.take(_patience.get())
    try:
        yield
    finally:
        places.give_back()


def _there() -> _Places:
    if _places is None:
        allow(fitting())
    assert _places is not None
    return _places


def _free_bytes() -> int:
    """Memory that could be had without swapping. Source: proc(5), MemAvailable."""
    with Path("/proc/meminfo").open(encoding="ascii") as lines:
        told = dict(line.split(":", 1) for line in lines)
    return 1024 * int(told["MemAvailable"].split()[0])
