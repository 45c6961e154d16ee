# SPDX-License-Identifier: GPL-2.0-or-later
"""Names in a repository on a mirror; docs/adr/0010 has the picture and the reasons."""

from __future__ import annotations

import re
from collections.abc import Iterable

REPODATA = "repodata"
REPOMD = "repodata/repomd.xml"
SIGNATURE = "repodata/repomd.xml.asc"
LOG = "publish.log"
MIRRORLIST = "mirrorlist"
KEYS = "keys.asc"
CARRIED = "carried.json"
SNAPSHOTS = "snapshots"
# For people: made from all the rest, and not read again for more than to see whether it is that of the state.
PAGE = "repository.html"
FEED = "feed.atom"
# What a web server shows of a folder is named so; in `repodata/` it would hide the metadata from those who look.
INDEX = "index.html"
PAGES = {INDEX: PAGE, PAGE: PAGE, FEED: FEED}
# The page's links fit at the root and in a snapshot, so it has its own name there too, besides the one that web
# servers show: that may be somebody's own.
ADDRESSES = (INDEX, PAGE)
# The host kit.
HOSTS_REPO = "hosts.repo"
HOSTS_PLAYBOOK = "hosts.yml"
HOSTS_TEXT = "hosts.txt"
HOST_KIT = (HOSTS_REPO, HOSTS_PLAYBOOK, HOSTS_TEXT)
# What stands in `repodata/` besides metadata and is read with it.
BOOKS = (LOG, CARRIED, KEYS, MIRRORLIST, FEED, *HOST_KIT)
# Asked for by these names at the root: links to files in `repodata`, so that they change with it.
POINTERS = {LOG: LOG, MIRRORLIST: MIRRORLIST, KEYS: KEYS, **PAGES, **{name: name for name in HOST_KIT}}
# Beside a package, its name with these endings: statement, SBOM, and the patches beside a source package.
BESIDE = (".intoto.json", ".cdx.json", ".patches")

_SNAPSHOT = re.compile(rf"(?:.*/)?{SNAPSHOTS}/([0-9]+)/{REPODATA}/?")


def address_of_page(name: str) -> str:
    """Where people find ours when a file of somebody's own has this name."""
    return PAGE if name == INDEX else f"{REPODATA}/{PAGES[name]}"


def snapshot(revision: int) -> str:
    """The folder of one state: a whole repository of its own."""
    return f"{SNAPSHOTS}/{revision}"


def link_to(revision: int) -> str:
    """What the link `repodata` says when this revision stands."""
    return f"{snapshot(revision)}/{REPODATA}"


def mirrorlist(urls: Iterable[str], revision: int) -> bytes:
    """The addresses of a snapshot at the places whose readers have these urls."""
    return "".join(f"{url}/{snapshot(revision)}/\n" for url in urls).encode()


def revision_in(link: str) -> int | None:
    """The revision that a link `repodata` leads to; `None` for a link that is none of ours."""
    match = _SNAPSHOT.fullmatch(link)
    return int(match[1]) if match else None


def tops(hrefs: Iterable[str]) -> tuple[str, ...]:
    """The first parts of packages' locations: what a snapshot needs a link to."""
    return tuple(sorted({href.partition("/")[0] for href in hrefs}))
