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
    armored = (snapshot_dir / layout.REPODATA / layout.KEYS).read_text(encoding="ascii")
    kit_texts = {name: text.encode() for name, text in host_kit(facts, armored).items()}
    return {**small(facts), **kit_texts, layout.PAGE: page.make(facts, snapshot_dir)}


def small(facts: RepositoryFacts) -> dict[str, bytes]:
    """Those of them that tell whether all that stands was made as it would be today, and are soon read: `BOOKS`."""
    return {layout.FEED: feed.make(facts), layout.HOSTS_REPO: hosts_repo(facts).encode()}


def hosts_repo(facts: RepositoryFacts) -> str:
    """The repository as hosts are told of it."""
    return repofile.text(facts)


def host_kit(facts: RepositoryFacts, armored: str) -> dict[str, str]:
    """The playbook and the runbook; `armored` are the public keys that hosts shall trust."""
    made = kit.of(facts, armored)
    if made is None:
        about = kit.about(facts)
        return {
            layout.HOSTS_PLAYBOOK: playbook.nothing(about, _NO_RELEASE),
            layout.HOSTS_TEXT: runbook.nothing(about, _NO_RELEASE),
        }
    return {layout.HOSTS_PLAYBOOK: playbook.text(made), layout.HOSTS_TEXT: runbook.text(made)}
