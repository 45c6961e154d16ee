# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of one piece of work: ended together, and then no more of them start.

Threads cannot be interrupted, but what they wait for can be ended. A crew may have crews of its own: what ends it ends
all of them, and what ends one of these leaves the others alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pipeline.errors import interrupted

Process = TypeVar("Process")

_gate = threading.Lock()


@dataclass(eq=False)
class Crew(Generic[Process]):
    """Those who work on one thing; `above` is the crew that it is a part of."""

    above: Crew[Process] | None = None
    _running: set[Process] = field(default_factory=set)
    _below: list[Crew[Process]] = field(default_factory=list)
    _is_ended: bool = False

    @property
    def is_ended(self) -> bool:
        """Whether it, or what it is a part of, was told to end."""
        return self._is_ended or (self.above is not None and self.above.is_ended)

    def start(self, begin: Callable[[], Process]) -> Process:
        """What `begin` started, which is ended with this crew. Raises: Interrupted when that was told to end."""
        with _gate:
            if self.is_ended:
                raise interrupted()
            process = begin()
            self._running.add(process)
            return process

    def left(self, process: Process) -> bool:
        """Take note that a process ended; whether nobody had told it to."""
        with _gate:
            was_there = process in self._running
            self._running.discard(process)
            return was_there

    @contextmanager
    def none_running(self, end: Callable[[Sequence[Process]], None]) -> Iterator[None]:
        """End all that run; while the block lasts, this crew and those below it start nothing."""
        with _gate:
            self._is_ended = True
            ending = tuple(self._take())
        try:
            end(ending)
            yield
        finally:
            self._is_ended = False

    @contextmanager
    def part(self) -> Iterator[Crew[Process]]:
        """A crew of its own for a part of the work."""
        crew = Crew(above=self)
        with _gate:
            self._below.append(crew)
        try:
            yield crew
        finally:
            with _gate:
                self._below.remove(crew)

    def _take(self) -> Iterator[Process]:
        yield from self._running
        self._running.clear()
        for crew in self._below:
            yield from crew._take()


_all: Crew[Any] = Crew()
_current: ContextVar[Crew[Any]] = ContextVar("crew", default=_all)


def current() -> Crew[Any]:
    """The crew that this thread works in."""
    return _current.get()


@contextmanager
def working_in(crew: Crew[Any]) -> Iterator[None]:
    """What this thread starts meanwhile belongs to the crew."""
    token = _current.set(crew)
    try:
        yield
    finally:
        _current.reset(token)
