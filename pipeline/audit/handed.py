# SPDX-License-Identifier: GPL-2.0-or-later
"""What people and hosts are handed out with a state, which no signature covers: is it what is made from the state.

It is made again and held against what lies there; where that cannot be done, only its presence is seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from pipeline.audit.findings import Finding, finding
from pipeline.audit.sight import Sight, Wish
from pipeline.frontpage import feed, page
from pipeline.hostkit import repofile
from pipeline.mirrors import handouts, layout
from pipeline.mirrors.facts import Channel, RepositoryFacts, facts_of

_FORM = re.compile(rb'<generator version="([^"]*)"')
_ADDRESS = re.compile(rb"^(?:mirrorlist|baseurl)=(\S+?)/(?:mirrorlist)?$", re.MULTILINE)
_OTHER = "it is not what is made from this state and these settings"


def look(sight: Sight, wish: Wish) -> Iterator[Finding]:
    """Root runs the playbook on every host, so a host kit that differs is an error; a page or a feed is a warning."""
    facts = _facts(sight, wish)
    if facts is None or _other_address(sight, facts):
        return
    books = sight.standing.books
    has_log = bool(sight.log) and sight.log[-1].repomd_sha256 == sight.standing.repomd_sha256
    if has_log and layout.FEED in books:
        made = feed.make(facts)
        if _form(books[layout.FEED]) != _form(made):
            why = (
                "another version of the pipeline made it, so neither it nor the host kit can be held against the state"
            )
            yield finding("page-changed", _home(layout.FEED), why)
            return
        if books[layout.FEED] != made:
            yield finding("page-changed", _home(layout.FEED), _OTHER)
    yield from _kit(sight, facts)
    if has_log and not wish.quick:
        yield from _page(sight, wish, facts)


def is_of_another_address(sight: Sight, wish: Wish) -> bool:
    """Whether all of it was made for another address of the repository than the settings have: by other settings."""
    facts = _facts(sight, wish)
    return facts is not None and _other_address(sight, facts)


def _other_address(sight: Sight, facts: RepositoryFacts) -> bool:
    """One file alone that names another address was changed; all of them are made together."""
    books = sight.standing.books
    there = _ADDRESS.search(books.get(layout.HOSTS_REPO, b""))
    ours = _ADDRESS.search(repofile.text(facts).encode())
    if there is None or ours is None or there[1] == ours[1]:
        return False
    texts = (books.get(name, b"") for name in (layout.HOSTS_TEXT, layout.HOSTS_PLAYBOOK))
    # A kit of a state without a release of ours names none.
    return all(there[1] in text or b"baseurl" not in text for text in texts)


def _home(name: str) -> str:
    return f"{layout.REPODATA}/{name}"


def _form(content: bytes) -> bytes:
    found = _FORM.search(content)
    return found[1] if found else b""


def _facts(sight: Sight, wish: Wish) -> RepositoryFacts | None:
    """The facts of what stands; `None` where the settings are not those of its publisher, or it cannot be read.

    The keys are those that stand, which are held against the settings elsewhere.
    """
    standing, keys = sight.standing, sight.ring.keys
    if not wish.places or not sight.is_ours or standing.index is None or standing.packages is None or not keys:
        return None
    if wish.expected.fingerprint and any(key.fingerprint not in wish.expected.trusted for key in keys):
        return None
    channel = Channel(settings=wish.channel_settings, target_name=wish.target_name, places=wish.places)
    return facts_of(channel, sight.revision, standing.packages, [key.fingerprint for key in keys], sight.log)


def _kit(sight: Sight, facts: RepositoryFacts) -> Iterator[Finding]:
    books = sight.standing.books
    for name, content in handouts.host_kit(facts, books[layout.KEYS]).items():
        if name in books and books[name] != content:
            yield finding("kit-changed", _home(name), _OTHER)


def _page(sight: Sight, wish: Wish, facts: RepositoryFacts) -> Iterator[Finding]:
    """The page is made from all of the metadata, and from the patches beside source packages."""
    read, _ = sight.site.read([_home(layout.PAGE)], wish.scratch_dir)
    there, index = read.get(_home(layout.PAGE)), sight.standing.index
    if there is None or index is None or sight.standing.found:
        return
    home = layout.snapshot(sight.revision)
    with sight.site.at_hand([f"{home}/{file.href}" for file in index.files], wish.scratch_dir) as hand:
        if all(there != page.make(each, hand.dir / home) for each in (facts, _unnamed(facts))):
            yield finding("page-changed", _home(layout.PAGE), _OTHER)


def _unnamed(facts: RepositoryFacts) -> RepositoryFacts:
    """The facts as one who published by a destination has them: the page says what the channel is called."""
    settings = facts.channel.settings.model_copy(update={"mirror_override": facts.channel.places[0].address})
    return replace(facts, channel=replace(facts.channel, settings=settings))
