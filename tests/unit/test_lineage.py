# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a rollback would go to, read from the log alone."""

from __future__ import annotations

import pytest

from pipeline.mirrors import lineage
from tests.unit.test_withdrawn import log


@pytest.mark.parametrize(
    ("rows", "revision"),
    [
        ((), None),
        (("publish a",), None),
        (("publish a", "publish b"), 1),
        (("publish a", "publish b", "publish"), 1),  # nothing new came with the last
        (("publish a", "publish", "publish b"), 2),
        (("adopt", "publish a"), 1),
        (("adopt",), None),
        (("publish a", "publish b", "rollback to 1"), None),  # what was rolled back is no way
        (("publish a", "publish b", "publish c", "rollback to 2"), 1),
        (("publish a", "publish b", "rollback to 1", "publish c"), 3),
        (("publish a", "rollback to 77"), None),
    ],
)
def test_the_content_that_the_last_change_came_upon(rows: tuple[str, ...], revision: int | None) -> None:
    entries = log(*rows)
    line = lineage.read(entries).line_before()
    assert (None if line is None else entries[line].revision) == revision


def test_a_state_has_the_releases_of_those_before_it() -> None:
    read = lineage.read(log("publish a", "promote b", "publish c", "rollback to 2"))
    assert read.releases(3) == (("a", "1-1"), ("b", "1-1"))
    assert read.beginning(3) == read.log[1]
