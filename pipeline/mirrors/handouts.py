# SPDX-License-Identifier: GPL-2.0-or-later
"""What people and hosts are handed out with a state: files in its `repodata/`, beside the metadata."""

from __future__ import annotations

from pathlib import Path

from pipeline.mirrors.facts import RepositoryFacts


def make(facts: RepositoryFacts, snapshot_dir: Path) -> dict[str, bytes]:
    """Name -> contents; the metadata of the state lies in the snapshot's folder."""
    return {}
