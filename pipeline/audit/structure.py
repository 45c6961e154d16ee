# SPDX-License-Identifier: GPL-2.0-or-later
"""How the repository lies there: signature, links, mirrorlist, log, snapshots. docs/adr/0010 has the picture."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator

from pipeline.audit.findings import Finding, finding
from pipeline.audit.reading import State
from pipeline.audit.sight import Sight, Wish
from pipeline.errors import PublishError, SigningError
from pipeline.mirrors import layout, web
from pipeline.signing import metadata as signature

_HOUR_SECONDS = 3600
# What the first of our states had already at the root; the rest came with later ones.
_ALWAYS = (layout.LOG, layout.MIRRORLIST, layout.KEYS)


def signed(sight: Sight, wish: Wish) -> Iterator[Finding]:
    """Whether `repomd.xml` is signed by a key that readers are told to trust, and that we trust."""
    books = sight.standing.books
    if sight.standing.index is None:
        return
    if "repomd.xml.asc" not in books:
        yield finding("repomd-unsigned", layout.SIGNATURE, "it is not there, so nobody can tell who made the metadata")
    elif sight.ring.paths:
        try:
            signature.verify(books["repomd.xml"], books["repomd.xml.asc"], sight.ring.paths)
        except SigningError as error:
            yield finding("repomd-signature", layout.SIGNATURE, error.message)


def links(sight: Sight, wish: Wish) -> Iterator[Finding]:
    """The fixed names at the root. Over http no link is seen: what is read by it must be the same."""
    if sight.standing.index is None:
        return
    if not sight.is_ours:
        yield finding("not-ours", layout.REPODATA, "it is a folder without a log: nothing here was published by us")
    listing = sight.site.listing
    if listing and layout.revision_in(listing.links.get(layout.REPODATA, "")) is None:
        yield finding("repodata-link", layout.REPODATA, "it is no link into snapshots/, so no publish can switch it")
    homes = {name: f"{layout.REPODATA}/{file_name}" for name, file_name in layout.POINTERS.items()}
    made_later = [name for name in homes if name not in _ALWAYS]
    there = sight.site.sizes([homes[name] for name in made_later])
    missing = [name for name in made_later if homes[name] not in there]
    if missing:
        why = f"what {', '.join(missing)} leads to is not there: the state was published before there was such a thing"
        yield finding("page-missing", homes[missing[0]], why)
    for name in (name for name in homes if name not in missing):
        yield from _link(sight, wish, name, homes[name])


def _link(sight: Sight, wish: Wish, name: str, home: str) -> Iterator[Finding]:
    listing = sight.site.listing
    if listing:
        if name in layout.PAGES and name in listing.files:
            yield finding("page-hidden", name, f"it is somebody's own file, and ours is {layout.address_of_page(name)}")
        elif listing.links.get(name) != home:
            yield finding("link-wrong", name, f"it is no link to {home}, so it does not change with it")
        return
    read, _ = sight.site.read((name, home), wish.scratch_dir)
    if read.get(name) != read.get(home):
        if name in layout.PAGES and name in read:
            yield finding("page-hidden", name, f"it is not ours, which is {layout.address_of_page(name)}")
        else:
            yield finding("link-wrong", name, f"it is not the same as {home}")


def mirrorlist(sight: Sight, wish: Wish) -> Iterator[Finding]:
    """By the mirrorlist readers stay in one snapshot: it must be the one that stands."""
    if sight.standing.index is None or not sight.is_ours:
        return
    lines = sight.standing.books.get(layout.MIRRORLIST, b"").decode(errors="replace").splitlines()
    home = layout.snapshot(sight.revision)
    if wish.urls is None:
        wrong = [line for line in lines if not line.endswith(f"/{home}/")]
        why = f"it names {wrong[0] if wrong else 'nothing'}, and {home} stands"
    else:
        wanted = [f"{url}/{home}/" for url in wish.urls]
        wrong = [] if lines == wanted else ["differs"]
        why = f"it names {', '.join(lines) or 'nothing'}, and should name {', '.join(wanted) or 'nothing'}"
    if wrong:
        yield finding("mirrorlist", layout.MIRRORLIST, why)


def log(sight: Sight, wish: Wish) -> Iterator[Finding]:
    """The log's chain, whether its end is what stands, and whether snapshots know another one."""
    if sight.standing.index is None:
        return
    name = f"{layout.REPODATA}/{layout.LOG}"
    content = sight.standing.books.get(layout.LOG)
    if not content:
        yield finding("log-missing", name, "it is not there, or empty: nobody can tell what was published, and by whom")
    elif sight.log_fault:
        yield finding("log-broken", name, sight.log_fault)
    else:
        last = sight.log[-1]
        if last.repomd_sha256 != sight.standing.repomd_sha256:
            yield finding(
                "log-tail", name, f"its last line tells of revision {last.revision}, and that is not what stands"
            )
        for revision, state in sight.snapshots.items():
            if revision <= sight.revision and not content.startswith(state.books.get(layout.LOG, b"")):
                yield finding("log-rewritten", name, f"it does not begin with the log of snapshot {revision}")


def snapshots(sight: Sight, wish: Wish) -> Iterator[Finding]:
    """Whether each state that is kept can be had back."""
    told = {entry.revision: entry.repomd_sha256 for entry in sight.log}
    gone = _missing(sight, wish)
    named = {rpm.href for rpm in sight.standing.packages or ()}
    for revision, state in sight.snapshots.items():
        if revision == sight.revision or state.repomd_sha256 == sight.standing.repomd_sha256:
            continue  # it is what stands
        home = layout.snapshot(revision)
        if state.found:
            more = f", and {len(state.found) - 1} more" if len(state.found) > 1 else ""
            first = state.found[0]
            yield finding("snapshot-damaged", home, f"{first.subject} of it: {first.why}{more}")
        elif state.repomd_sha256 != told.get(revision, state.repomd_sha256):
            yield finding("snapshot-damaged", home, "its repomd.xml is not the one that the log says was published")
        lost = [rpm.href for rpm in state.packages or () if rpm.href in gone and rpm.href not in named]
        if lost:
            yield finding("snapshot-packages", home, f"{lost[0]} of it is not there ({len(lost)} packages)")
    youngest = time.time() - wish.settings.retention.grace_hours * _HOUR_SECONDS
    for revision in (each for each in sight.unfinished if each < youngest):
        yield finding("snapshot-unfinished", layout.snapshot(revision), "a publish began it, and no log tells of it")


def _missing(sight: Sight, wish: Wish) -> frozenset[str]:
    hrefs = {rpm.href for state in sight.snapshots.values() for rpm in state.packages or ()}
    return frozenset(hrefs - sight.site.sizes(hrefs).keys())


def snapshot_links(sight: Sight, wish: Wish) -> Iterator[Finding]:
    """Whether packages are found from each snapshot: one of each folder is enough."""
    for revision, state in sight.snapshots.items():
        one_each = {href.partition("/")[0]: href for href in _present(sight, state)}
        home = layout.snapshot(revision)
        there = sight.site.sizes([f"{home}/{href}" for href in one_each.values()])
        for top, href in one_each.items():
            if f"{home}/{href}" not in there:
                yield finding("snapshot-link", f"{home}/{top}", f"{href} cannot be read by it")


def _present(sight: Sight, state: State) -> Iterator[str]:
    """Packages of a state that lie at the root, two at most of each folder: one may be gone."""
    by_top: dict[str, list[str]] = {}
    for rpm in state.packages or ():
        chosen = by_top.setdefault(rpm.href.partition("/")[0], [])
        if len(chosen) < 2:
            chosen.append(rpm.href)
    return iter(sight.site.sizes([href for chosen in by_top.values() for href in chosen]))


def url(sight: Sight, wish: Wish) -> Iterator[Finding]:
    """Whether readers are given, by the place's url, what stands at the place."""
    if not sight.site.url or sight.site.url == sight.site.address or sight.standing.index is None:
        return
    address = f"{sight.site.url}/{layout.REPOMD}"
    path = wish.scratch_dir / "by-url.xml"
    try:
        web.fetch(address, path, wish.settings.time_limits.publish)
    except PublishError as error:
        yield finding("url-differs", address, error.message)
        return
    if hashlib.sha256(path.read_bytes()).hexdigest() != sight.standing.repomd_sha256:
        yield finding("url-differs", address, f"it is not the repomd.xml that {sight.site.address} has")
