# SPDX-License-Identifier: GPL-2.0-or-later
"""Names in a repository on a mirror."""

from __future__ import annotations

import pytest

from pipeline.mirrors import layout


def test_the_link_names_its_revision() -> None:
    assert layout.link_to(7) == "snapshots/7/repodata"
    assert layout.revision_in(layout.link_to(7)) == 7


@pytest.mark.parametrize("link", ["", "repodata", "snapshots/x/repodata", "snapshots/7", "../7/repodata"])
def test_a_link_of_another_kind_has_none(link: str) -> None:
    assert layout.revision_in(link) is None


def test_a_snapshot_needs_a_link_to_each_first_part() -> None:
    assert layout.tops(["noarch/a.rpm", "a.rpm", "noarch/b.rpm", "old/x/y.rpm"]) == ("a.rpm", "noarch", "old")
