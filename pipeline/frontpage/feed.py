# SPDX-License-Identifier: GPL-2.0-or-later
"""The Atom feed of a repository: an entry each time that something was published. The same log gives the same bytes.

Source: RFC 4287; an entry keeps its id for good, so that no reader shows it twice.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from urllib.parse import quote

from pipeline.frontpage import history
from pipeline.mirrors import layout
from pipeline.mirrors.facts import RepositoryFacts
from pipeline.model import LogEntry
from pipeline.pages import template

# Rises when page, feed or host kit are made otherwise: the next release then brings them, with nothing else new.
FORM = "2"
_NAMESPACE = uuid.UUID("5f0c1a53-64a9-4e0b-9d55-0f6a5f3c6d10")  # by chance, once


def make(facts: RepositoryFacts) -> bytes:
    """What others published before us is no news of ours, and left out."""
    log = [entry for entry in facts.log if entry.action != "adopt"]
    base_url = facts.channel.urls[0] if facts.channel.urls else ""
    text = template.fill(
        Path(__file__).parent,
        "feed.atom.j2",
        form=FORM,
        id=_id(facts.log[0], "feed"),
        title=f"{', '.join(history.names(facts)) or 'packages'} for {facts.channel.target_name}",
        updated=log[-1].time if log else facts.log[-1].time,
        page_url=f"{base_url}/" if base_url else "",
        feed_url=f"{base_url}/{quote(layout.FEED)}" if base_url else layout.FEED,
        entries=[(_id(event.entry, "entry"), event) for event in history.newest(log)],
    )
    return text.encode(errors="replace")


def _id(entry: LogEntry, kind: str) -> str:
    """A line of the log never changes, so what it says names it for good."""
    name = f"{kind} {entry.revision} {entry.time} {entry.repomd_sha256}"
    return uuid.uuid5(_NAMESPACE, name.encode(errors="replace").decode()).urn
