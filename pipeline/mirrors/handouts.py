# SPDX-License-Identifier: GPL-2.0-or-later
"""What people and hosts are handed out with a state: files in its `repodata/`, beside the metadata."""

from __future__ import annotations

from pathlib import Path

from pipeline.frontpage import feed, page
from pipeline.hostkit import kit, playbook, repofile, runbook
from pipeline.mirrors import layout
from pipeline.mirrors.facts import RepositoryFacts

_NO_RELEASE = (
    "This state of the repository has no release of ours, so there is nothing to take hosts to, and no way back."
)


def make(facts: RepositoryFacts, snapshot_dir: Path) -> dict[str, bytes]:
    """Name -> contents; the metadata of the state lies in the snapshot's folder."""
    armored = (snapshot_dir / layout.REPODATA / layout.KEYS).read_bytes()
    return {**soon_read(facts, armored), layout.PAGE: page.make(facts, snapshot_dir)}


def soon_read(facts: RepositoryFacts, armored: bytes) -> dict[str, bytes]:
    """All but the page, which may be long: what stands is held against it. `armored` are the keys beside them."""
    return {layout.FEED: feed.make(facts), **host_kit(facts, armored)}


def host_kit(facts: RepositoryFacts, armored: bytes) -> dict[str, bytes]:
    """The `.repo` file, the playbook and the runbook, for hosts that shall trust these public keys."""
    made = kit.of(facts, armored.decode("ascii", errors="replace"))
    if made is None:
        about = kit.about(facts)
        play, run = playbook.nothing(about, _NO_RELEASE), runbook.nothing(about, _NO_RELEASE)
    else:
        play, run = playbook.text(made), runbook.text(made)
    texts = {layout.HOSTS_REPO: repofile.text(facts), layout.HOSTS_PLAYBOOK: play, layout.HOSTS_TEXT: run}
    return {name: text.encode() for name, text in texts.items()}
