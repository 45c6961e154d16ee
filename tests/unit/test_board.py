# SPDX-License-Identifier: GPL-2.0-or-later
"""The foot of a terminal: a line a job with all stages that it is at, bars beside them, and nothing behind them."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import TextColumn
from rich.text import Text

from pipeline.board import Board


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80, legacy_windows=False)


def drawn(board: Board) -> list[str]:
    aside = Console(width=80, file=io.StringIO())
    with aside.capture() as captured:
        aside.print(board._lines())
    return [Text.from_ansi(line).plain.strip(" ⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏") for line in captured.get().splitlines() if line.strip()]


def test_each_job_has_one_line_with_the_stages_that_it_is_at(console):
    board = Board(console)
    with board.working("demo/a", "build"), board.working("demo/b", "unit"), board.working("demo/a", "unit"):
        assert drawn(board) == ["demo/a build, unit", "demo/b unit"]
    assert drawn(board) == []


def test_a_line_goes_when_its_last_stage_ends_though_that_failed(console):
    board = Board(console)
    with pytest.raises(ValueError), board.working("demo/a", "build"):
        raise ValueError
    assert drawn(board) == []


def test_transfers_stand_below_the_jobs(console):
    board = Board(console)
    with board.working("demo/a", "fetch"), board.bar(TextColumn("{task.description}")) as bar:
        bar.add_task("vdsm.src.rpm", total=10)
        assert drawn(board) == ["demo/a fetch", "vdsm.src.rpm"]


def test_the_cursor_is_back_when_nothing_is_drawn_any_more(console):
    board = Board(console)
    with board.working("demo/a", "build"), board.bar(TextColumn("x")):
        pass
    written = console.file.getvalue()
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h") == 1
    assert board._live is None
