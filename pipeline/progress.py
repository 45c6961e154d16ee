# SPDX-License-Identifier: GPL-2.0-or-later
"""What people see while it runs (standard error), and a state log that programs can read.

On a terminal rich draws colours and moving lines; elsewhere the same words come as plain lines. Several threads may
write at once: each writes into a section of its own.
"""

from __future__ import annotations

import copy
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TaskID, TaskProgressColumn, TextColumn, TransferSpeedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from pipeline.board import Board
from pipeline.ci.marks import Marks
from pipeline.errors import Interrupted, PipelineError
from pipeline.floor import Floor, Item
from pipeline.model import StageOutcome
from pipeline.printable import printable

_STYLE = {"ok": "green", "cached": "cyan", "failed": "bold red", "skipped": "dim", "run": "yellow"}
_TAIL_LINES = 20
_TAIL_BYTES = 64 * 1024
_WORTH_TELLING_BYTES = 4_000_000
_BETWEEN_LINES_SECONDS = 10.0


class Progress:
    """The only writer to standard error; `marks` is what its lines become in a CI that reads along."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        console: Console | None = None,
        marks: Marks | None = None,
    ) -> None:
        self._marks = marks or Marks()
        self._console = console or Console(
            stderr=True,
            markup=False,
            highlight=False,
            emoji=False,
            soft_wrap=True,
            # Some CIs have FORCE_COLOR set: their logs take colours, but no spinner.
            force_terminal=False if self._marks.is_ci else None,
        )
        self._quiet = quiet
        self._verbose = verbose
        self._state_path: Path | None = None
        self._noted: set[str] = set()
        self._width = 0
        self._who = ""
        self._board = Board(self._console)
        self._lock = threading.RLock()
        self._emit: Callable[[Item], None] = self._emit_now
        self._floor = Floor(self._emit)

    def expect(self, labels: Sequence[str]) -> None:
        """Who will be told of: of several the lines are as wide as each other's, and say whose they are."""
        self._width = max(map(len, labels), default=0) if len(labels) > 1 else 0

    @contextmanager
    def section(self) -> Iterator[Progress]:
        """For one of several who have something to tell at once: its lines stay together."""
        with self._floor.block() as block:
            mine = copy.copy(self)
            mine._emit, mine._floor = block.put, Floor(block.put)
            yield mine

    @contextmanager
    def chapter(self, title: str) -> Iterator[Progress]:
        """For one job, with a state log of its own; a CI shows its lines as one until somebody opens it."""
        if not self._marks.is_ci or self._quiet:
            mine = copy.copy(self)
            mine._who = f"{title}: " if self._width else ""
            yield mine
            return
        with self.section() as mine, mine._folded(title):
            yield mine

    @property
    def is_verbose(self) -> bool:
        """Whether people asked for more than the usual."""
        return self._verbose

    def log_state_to(self, path: Path) -> None:
        """Append every stage's start and end, one JSON object a line, to `path`."""
        self._state_path = path

    def heading(self, text: str) -> None:
        self._say(Text(printable(text), style="bold"))

    def note(self, text: str) -> None:
        self._say(Text(f"    {self._who}{printable(text)}", style="dim"))

    def note_once(self, text: str) -> None:
        """A line that several stages of a run have to tell: the first one does."""
        if text not in self._noted:
            self._noted.add(text)
            self.note(text)

    def detail(self, text: str) -> None:
        """A line for those who asked with -v."""
        if self._verbose:
            self.note(text)

    def warning(self, text: str) -> None:
        marked = self._marks.warning(printable(text))
        if marked:
            self._put_mark(marked)
        else:
            self._put(Text(f"warning: {self._who}{printable(text)}", style="yellow"))

    @contextmanager
    def working(self, label: str, stage: str) -> Iterator[None]:
        """While a stage runs: a line on a terminal's foot, one in the state log."""
        self._state({"event": "start", "label": label, "stage": stage})
        if self._quiet or not self._console.is_terminal:
            yield
            return
        with self._board.working(label, stage):
            yield

    def ended(self, label: str, *outcomes: StageOutcome) -> None:
        """One line a stage, with its time and its reason."""
        self._state(*(_event(label, outcome) for outcome in outcomes))
        for outcome in outcomes:
            self._say(_line(label.ljust(self._width), outcome))

    def skipped(self, label: str, outcomes: Sequence[StageOutcome]) -> None:
        """One line for all that is left out for one reason."""
        if len(outcomes) == 1:
            self.ended(label, outcomes[0])
        elif outcomes:
            self._state(*(_event(label, outcome) for outcome in outcomes))
            names = f"{outcomes[0].stage} to {outcomes[-1].stage}"
            self._say(_line(label.ljust(self._width), replace(outcomes[0], stage=names)))

    @contextmanager
    def transfer(self, label: str, total_bytes: int | None) -> Iterator[Callable[[int], None]]:
        """A bar of bytes on a terminal; elsewhere silence. Yields a function that takes the bytes done so far."""
        if self._quiet or not self._console.is_terminal:
            yield lambda done_bytes: None
            return
        columns = (TextColumn("    {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with self._board.bar(*columns) as bar:
            task = bar.add_task(label, total=total_bytes)
            yield lambda done_bytes: bar.update(task, completed=done_bytes)

    @contextmanager
    def transfers(self, loads: Sequence[tuple[str, int]]) -> Iterator[tuple[Callable[[int], None], ...]]:
        """A bar of bytes for each (label, bytes), side by side; off a terminal a plain line now and then.

        Yields a function for each, that takes the bytes done so far. It is full when it is told so: what was sent may
        not have arrived.
        """
        if self._quiet or sum(size for _, size in loads) < _WORTH_TELLING_BYTES:
            yield tuple(lambda done_bytes: None for _ in loads)
            return
        if not self._console.is_terminal:
            yield tuple(_Lines(label, total, self.note).tell for label, total in loads)
            return
        columns = (TextColumn("    {task.description}"), BarColumn(), TaskProgressColumn(), DownloadColumn(),
                   TransferSpeedColumn())  # fmt: skip
        with self._board.bar(*columns) as bars:
            tasks = [bars.add_task(printable(label), total=total) for label, total in loads]
            yield tuple(partial(_advance, bars, task) for task in tasks)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        if self._quiet:
            return
        title = f"{self._who}{title}" if title else ""
        if not self._console.is_terminal:
            self._plain_table(title, columns, rows)
            return
        table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(printable(cell), style=_STYLE.get(cell, "")) for cell in row))
        self._emit(partial(self._console.print, table))

    def failure(self, error: PipelineError, *, stage: str = "", reproduce: str = "") -> None:
        """Where, one sentence, the mend, the last lines of the log, its path, and the command."""
        with self.section() as whole:
            whole._tell_failure(error, stage, reproduce)

    def _tell_failure(self, error: PipelineError, stage: str, reproduce: str) -> None:
        message = "\n".join(map(printable, error.message.split("\n")))
        marked = self._marks.error(printable(stage), message)
        if marked:
            self._put_mark(marked)
        else:
            head = Text(f"error: {stage}: " if stage else "error: ", style="bold red")
            self._put(head.append(message, style="default"))
        if error.hint:
            self._put(Text(f"  mend: {printable(error.hint)}"))
        if error.log_path and error.log_path.exists() and not isinstance(error, Interrupted):
            self._tail(error.log_path)
        if reproduce or error.reproduce:
            self._put(Text(f"  reproduce: {printable(reproduce or error.reproduce)}"))

    def _tail(self, log_path: Path) -> None:
        lines = tail(log_path)
        title = f"  last {len(lines)} lines of {log_path}:"
        begin, end = self._marks.verbatim()
        with self._folded(printable(title.strip())):
            if not self._marks.is_ci:  # there, it is the fold's title
                self._put(Text(title))
            self._put_mark(begin)
            for line in lines:
                self._emit(partial(self._console.print, Text(f"  | {printable(line)}", style="dim")))
            self._put_mark(end)

    @contextmanager
    def _folded(self, title: str) -> Iterator[None]:
        self._put_mark(self._marks.opened(printable(title)))
        try:
            yield
        finally:
            self._put_mark(self._marks.closed())

    def _plain_table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        cells = [list(columns), *(list(row) for row in rows)]
        widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
        with self.section() as whole:
            whole._say(Text(title))
            for row in cells:
                padded = "  ".join(printable(cell).ljust(width) for cell, width in zip(row, widths, strict=True))
                whole._say(Text(padded.rstrip()))

    def _say(self, line: Text) -> None:
        if not self._quiet:
            self._put(line)

    def _put(self, line: Text) -> None:
        plain = self._marks.defused(line.plain)
        shown = line if plain == line.plain else Text(plain, style=line.style)
        self._emit(partial(self._console.print, shown))

    def _put_mark(self, mark: str) -> None:
        """As it is: rich would take the carriage returns out."""
        if mark:
            self._emit(partial(self._write, f"{mark}\n"))

    def _write(self, text: str) -> None:
        self._console.file.write(text)
        self._console.file.flush()

    def _emit_now(self, item: Item) -> None:
        with self._lock:
            item()

    def _state(self, *events: dict[str, object]) -> None:
        if self._state_path is None or not events:
            return
        now = round(time.time(), 3)
        text = "".join(json.dumps({"time": now, **event}) + "\n" for event in events)
        # A disk that is full is for the stage to tell, not for its log.
        with suppress(OSError):
            self._state_path.parent.mkdir(parents=True, exist_ok=True)
            with self._state_path.open("a", encoding="utf-8") as stream:
                stream.write(text)


class _Lines:
    """Where one transfer is, in plain lines: at each quarter, and every ten seconds between."""

    def __init__(self, label: str, total_bytes: int, say: Callable[[str], None]) -> None:
        self._label = label
        self._total_bytes = total_bytes
        self._say = say
        self._quarter = 0
        self._told_seconds = time.monotonic()

    def tell(self, done_bytes: int) -> None:
        quarter = 4 * done_bytes // max(self._total_bytes, 1)
        if quarter <= self._quarter and time.monotonic() - self._told_seconds < _BETWEEN_LINES_SECONDS:
            return
        self._quarter, self._told_seconds = quarter, time.monotonic()
        percent = 100 * done_bytes // max(self._total_bytes, 1)
        self._say(f"{self._label}: {done_bytes / 1e6:.1f} of {self._total_bytes / 1e6:.1f} MB ({percent} %)")


def _event(label: str, outcome: StageOutcome) -> dict[str, object]:
    return {
        "event": "end",
        "label": label,
        "stage": outcome.stage,
        "result": outcome.result,
        "seconds": round(outcome.seconds, 3),
        "reason": outcome.reason,
        "where": outcome.where,
    }


def _line(label: str, outcome: StageOutcome) -> Text:
    line = Text(f"{label}  {outcome.stage:<9}")
    line.append(f" {outcome.result:<7}", style=_STYLE[outcome.result])
    line.append(f" {outcome.seconds:7.2f} s")
    why = (outcome.reason.partition("\n")[0], f"at {outcome.where}" if outcome.where else "")
    line.append(f"  {printable(', '.join(filter(None, why)))}", style="dim")
    return line


def _advance(bars: Bar, task: TaskID, done_bytes: int) -> None:
    bars.update(task, completed=done_bytes)


def tail(path: Path) -> list[str]:
    """The last lines of a log, whatever its size or its encoding."""
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _TAIL_BYTES))
        text = stream.read().decode("utf-8", errors="replace")
    return text.splitlines()[-_TAIL_LINES:]


def keep_standard_error() -> None:
    """Write to a descriptor of our own: specfile lays number 2 aside for a moment, with what other threads say."""
    standard = sys.__stderr__
    if standard is not None and sys.stderr is standard:  # else somebody keeps it already, or a test reads it
        sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding=standard.encoding, errors=standard.errors)


def print_document(text: str) -> None:
    """The one JSON document on standard output."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
