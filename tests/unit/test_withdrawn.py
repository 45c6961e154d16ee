# SPDX-License-Identifier: GPL-2.0-or-later
"""Which releases a rollback took back, read from the log alone."""

from __future__ import annotations

import time
import tracemalloc

from pipeline.mirrors import publishlog, withdrawn
from pipeline.model import LogEntry


def log(*rows: str) -> list[LogEntry]:
    """Entries 1, 2, 3 … of rows as `publish a b`, `rollback to 1`."""
    entries = []
    for revision, row in enumerate(rows, 1):
        action, *words = row.split()
        back = action == "rollback"
        entries.append(LogEntry(revision=revision, time="", action=action, repomd_sha256="",
                                detail=" ".join(words) if back else "",
                                releases=() if back else tuple((word, "1-1") for word in words)))  # fmt: skip
    return entries


def found(*rows: str) -> dict[str, tuple[int, int]]:
    """Name -> revision of the rollback, and the last that had it."""
    read = withdrawn.read(log(*rows))
    return {name: (each.rollback.revision, each.last_revision) for (name, _), each in read.items()}


def test_nothing_is_withdrawn_without_a_rollback() -> None:
    assert found() == {}
    assert found("adopt", "publish a", "promote b") == {}


def test_all_that_came_behind_the_aim_is() -> None:
    assert found("publish a", "publish b", "promote c", "rollback to 1") == {"b": (4, 3), "c": (4, 3)}


def test_what_came_behind_the_rollback_is_not() -> None:
    assert found("publish a", "publish b", "rollback to 1", "publish c") == {"b": (3, 2)}


def test_a_rollback_forward_brings_it_back() -> None:
    assert found("publish a", "publish b", "rollback to 1", "rollback to 2") == {}


def test_the_rollback_that_took_it_last_is_told() -> None:
    rows = ("publish a", "publish b", "rollback to 1", "rollback to 2", "rollback to 1")
    assert found(*rows) == {"b": (5, 4)}


def test_one_rolled_back_further_stays_told_where_it_stood_last() -> None:
    assert found("adopt", "publish a", "publish b", "rollback to 2", "rollback to 1") == {"b": (4, 3), "a": (5, 4)}


def test_one_that_was_promoted_again_stands() -> None:
    assert found("publish a", "publish b", "rollback to 1", "promote b") == {}


def test_an_aim_that_nobody_can_read_counts_as_empty() -> None:
    assert found("publish a", "rollback") == {"a": (2, 1)}


def test_a_log_of_five_thousand_lines_is_read_at_once_and_in_little_memory() -> None:
    content, former = [], b""
    for revision in range(1, 5001):
        back = revision % 10 == 0
        former = publishlog.appended(former, LogEntry(
            revision=revision, time="2026-11-21T10:00:00Z", action="rollback" if back else "publish",
            repomd_sha256=f"{revision:064}", detail=f"to {revision - 2}" if back else "",
            releases=() if back else (("vdsm", f"1-{revision}"),)))  # fmt: skip
        former = former.splitlines(keepends=True)[-1]
        content.append(former)
    begin = time.process_time()
    assert len(withdrawn.read(publishlog.read(b"".join(content), "M"))) == 500
    assert time.process_time() - begin < 5
    tracemalloc.start()
    try:
        withdrawn.read(publishlog.read(b"".join(content), "M"))
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
