# SPDX-License-Identifier: GPL-2.0-or-later
"""What lies in a repository and nothing names. Over http that cannot be known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from pipeline.audit.findings import Finding, finding
from pipeline.audit.reading import State
from pipeline.audit.sight import Sight, Wish
from pipeline.mirrors import layout, lease

# What rsync calls a file under way, and what a local switch and a copy do. Source: rsync(1), --temp-dir.
_LEFTOVER = re.compile(r"\..+\.([A-Za-z0-9]{6}|[0-9]+)")
_BOOKS = ("repomd.xml", "repomd.xml.asc", *layout.BOOKS, *layout.POINTERS.values())


def look(sight: Sight, wish: Wish) -> Iterator[Finding]:
    listing = sight.site.listing
    if listing is None or sight.standing.packages is None:
        return  # without a primary.xml all would be extra
    named = _named(sight)
    may_be_lost = any(map(_is_dumb, sight.snapshots.values()))  # packages of a snapshot that cannot be read
    for name in sorted({*listing.files, *listing.links}):
        if name in named or _is_of_unread(name, sight):
            continue
        if _LEFTOVER.fullmatch(PurePosixPath(name).name):
            yield finding("leftover", name, "it has the name of a file under way, and nothing names it")
        elif not may_be_lost:
            yield finding("file-extra", name, "neither what stands nor a snapshot names it")


def _named(sight: Sight) -> frozenset[str]:
    """All that the repository consists of."""
    names = {*layout.POINTERS, layout.REPODATA, lease.LOCK, lease.LEASE}
    for state in (sight.standing, *sight.snapshots.values()):
        prefix = f"{state.home}/" if state.home else ""
        names |= {f"{prefix}{layout.REPODATA}/{name}" for name in (*_BOOKS, *(state.carried or ()))}
        names |= {f"{prefix}{file.href}" for file in (state.index.files if state.index else ())}
        hrefs = [rpm.href for rpm in state.packages or ()]
        names |= {f"{href}{ending}" for href in hrefs for ending in ("", *layout.BESIDE)}
        names |= {f"{prefix}{top}" for top in (*layout.tops(hrefs), *layout.ADDRESSES)}
    return frozenset(names)


def _is_of_unread(name: str, sight: Sight) -> bool:
    """Whether it belongs to a snapshot that is told of already, or that cannot tell what is its own."""
    revision = name.removeprefix(f"{layout.SNAPSHOTS}/").partition("/")[0] if name.startswith(layout.SNAPSHOTS) else ""
    if not revision.isdecimal():
        return False
    state = sight.snapshots.get(int(revision))
    return state is None or _is_dumb(state)


def _is_dumb(state: State) -> bool:
    return state.index is None or state.packages is None or state.carried is None
