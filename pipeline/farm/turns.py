# SPDX-License-Identifier: GPL-2.0-or-later
"""As many jobs under way at once as workers can do: a worker that dies takes no other job's chances with it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.errors import FarmError

_LOOK_SECONDS = 0.25


class Patience:
    """How long nobody has been there for a job."""

    def __init__(self, wait_seconds: float, resource: str) -> None:
        self._wait_seconds = wait_seconds
        self._resource = resource
        self._since: float | None = None

    def look(self, slots: int) -> None:
        """Raises: FarmError when nobody came for too long."""
        if slots:
            self._since = None
            return
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        if now - self._since >= self._wait_seconds:
            raise FarmError(
                "no-worker",
                f"no worker with the resource {self._resource} was there for {self._wait_seconds:g} seconds",
                hint="start one that can serve it: `.venv/bin/nox -s worker`, or raise [farm] wait_seconds",
            )


class Turns:
    """Who may send a job now."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._busy: Counter[str] = Counter()

    @contextmanager
    def turn(self, resource: str, slots: Callable[[], int], look: Callable[[int], None]) -> Iterator[None]:
        """Wait until fewer jobs are under way than there are slots. `look` is told the slots, and may raise."""
        with self._free:
            while True:
                there = slots()
                if self._busy[resource] < there:
                    break
                look(there)
                self._free.wait(_LOOK_SECONDS)
            self._busy[resource] += 1
        try:
            yield
        finally:
            with self._free:
                self._busy[resource] -= 1
                self._free.notify_all()
