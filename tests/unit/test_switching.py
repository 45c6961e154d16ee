# SPDX-License-Identifier: GPL-2.0-or-later
"""A link that is replaced in one step, and a folder that gives way to one."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pipeline.mirrors import switching


def test_a_link_is_made_and_replaced(tmp_path: Path) -> None:
    switching.point(tmp_path / "link", "one")
    switching.point(tmp_path / "link", "two")
    assert os.listdir(tmp_path) == ["link"]
    assert (tmp_path / "link").readlink() == Path("two")


def test_what_a_killed_run_left_is_in_nobody_s_way(tmp_path: Path) -> None:
    (tmp_path / f".link.{os.getpid()}").symlink_to("half")
    switching.point(tmp_path / "link", "one")
    assert os.listdir(tmp_path) == ["link"]


def test_a_folder_gives_way_with_no_moment_without(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file").touch()
    ended, misses = threading.Event(), []

    def look() -> None:
        while not ended.is_set():
            if not (tmp_path / "link" / "file").exists():
                misses.append(1)

    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "file").touch()
    looker = threading.Thread(target=look)
    looker.start()
    for _ in range(200):
        switching.point(tmp_path / "link", "new")
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "file").touch()
        switching._exchange(tmp_path / "other", tmp_path / "link")
        (tmp_path / "other").unlink()
    ended.set()
    looker.join()
    assert misses == []


def test_where_nothing_can_be_written_it_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        switching.point(tmp_path / "none" / "link", "one")
