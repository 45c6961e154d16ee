# SPDX-License-Identifier: GPL-2.0-or-later
"""What people and hosts are handed out with a state: files in its `repodata/`, beside the metadata."""

from __future__ import annotations

from pathlib import Path

from pipeline.frontpage import feed, page
from pipeline.mirrors import layout
from pipeline.mirrors.facts import RepositoryFacts


def make(facts: RepositoryFacts, snapshot_dir: Path) -> dict[str, bytes]:
    """Name -> contents; the metadata of the state lies in the snapshot's folder."""
    return {**small(facts), layout.PAGE: page.make(facts, snapshot_dir)}


def small(facts: RepositoryFacts) -> dict[str, bytes]:
    """Those of them that tell whether all that stands was made as it would be today, and are soon read: `BOOKS`."""
    return {layout.FEED: feed.make(facts)}
