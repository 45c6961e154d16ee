# SPDX-License-Identifier: GPL-2.0-or-later
"""The moving lines at the foot of a terminal: one a job, with the stages that it is at, and one a transfer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import Progress as Bar
from rich.progress import ProgressColumn
from rich.spinner import Spinner
from rich.text import Text


class Board:
    """Drawn while there is something on it. All threads of a run share one: a terminal has one foot."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._rows: dict[str, tuple[Spinner, list[str]]] = {}
        self._bars: list[Bar] = []
        self._live: Live | None = None

    @contextmanager
    def working(self, label: str, stage: str) -> Iterator[None]:
        """A line for the job, or the stage in the line that it has."""
        with self._lock:
            _, stages = self._rows.setdefault(label, (Spinner("dots"), []))
            stages.append(stage)
            self._draw()
        try:
            yield
        finally:
            with self._lock:
                stages.remove(stage)
                if not stages:
                    del self._rows[label]
                self._draw()

    @contextmanager
    def bar(self, *columns: ProgressColumn) -> Iterator[Bar]:
        """Lines of these columns, for what is added as tasks."""
        bar = Bar(*columns, console=self._console, auto_refresh=False)
        with self._lock:
            self._bars.append(bar)
            self._draw()
        try:
            yield bar
        finally:
            with self._lock:
                if self._live:
                    self._live.refresh()  # how far it came
                self._bars.remove(bar)
                self._draw()

    def _draw(self) -> None:
        """Begin with the first line, end behind the last."""
        if (self._rows or self._bars) and self._live is None:
            self._live = Live(console=self._console, get_renderable=self._lines, transient=True, refresh_per_second=8)
            self._live.start()
        elif not self._rows and not self._bars and self._live is not None:
            self._live.stop()
            self._live = None

    def _lines(self) -> RenderableType:
        rows = []
        for label, (spinner, stages) in [*self._rows.items()]:
            spinner.update(text=Text(f"{label} {', '.join([*stages])}"))
            rows.append(spinner)
        return Group(*rows, *(bar.get_renderable() for bar in [*self._bars]))
