# SPDX-License-Identifier: GPL-2.0-or-later
"""A mirror held against the clock, this machine's ledger, the releases' remote, and the channel's first place."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import cmp_to_key

from pipeline import release
from pipeline.allocation.tags import Tags
from pipeline.audit.findings import Finding, finding
from pipeline.audit.sight import Sight, Wish
from pipeline.gitenv import located
from pipeline.ledger import Ledger
from pipeline.model import BuildResult, Evr, SignedSet

_DAY_SECONDS = 24 * 3600
# A revision is the time that it was made, but for repositories that others made.
_FIRST_TIME = 1_000_000_000


def age_days(sight: Sight) -> float | None:
    """How long ago what stands was published; `None` where its revision is no time."""
    revision = sight.standing.index.revision if sight.standing.index else 0
    return (time.time() - revision) / _DAY_SECONDS if revision >= _FIRST_TIME else None


def clock(sight: Sight, wish: Wish) -> Iterator[Finding]:
    age = age_days(sight)
    if wish.max_age_days and age is not None and age > wish.max_age_days:
        yield finding(
            "revision-old", str(sight.revision), f"it stands for {age:.1f} days, and {wish.max_age_days:g} are allowed"
        )


def ledger(sight: Sight, wish: Wish) -> Iterator[Finding]:
    """What was built and signed on this machine, against what is published; silent where nothing was built."""
    if sight.standing.packages is None:
        return
    for package in wish.package_names:
        published = _published(sight, package)
        book = Ledger(wish.settings.out_path / wish.target_name / package, wish.settings.out_path)
        signed: SignedSet | None = book.last("sign", SignedSet)
        built: BuildResult | None = book.last("build", BuildResult)
        ours = _newest(rpm.evr for rpm in (signed.ours if signed else ()) if rpm.source == package)
        if not _is_promoted_to(sight) and ours and (published is None or release.compare(ours, published) > 0):
            there = f"{published} is the newest there" if published else "no release of ours is there"
            yield finding("not-published", f"{package}-{ours}", f"it was built and signed here, and {there}")
        made = _newest(evr for evr in (ours, built.srpm.evr if built else None) if evr)
        if made and published and release.compare(published, made) > 0:
            yield finding("newer-than-built", f"{package}-{published}", f"it is published, and {made} was built here")


def remote(sight: Sight, wish: Wish) -> Iterator[Finding]:
    """The numbers that all publishers share, against what is published. Raises: NetworkError."""
    address = wish.settings.releases.remote
    if sight.standing.packages is None or not address or wish.settings.target(wish.target_name).dist == ".demo":
        return
    for package in wish.package_names:
        taken = Tags(
            remote=located(address, wish.settings.root_dir),
            prefix=f"release/{package}/{wish.target_name}/",
            tagger=wish.settings.packager,
            offline=wish.settings.offline,
        ).read()
        published = _published(sight, package)
        reserved = _newest(each.evr for each in taken.reservations)
        if not _is_promoted_to(sight) and reserved and (published is None or release.compare(reserved, published) > 0):
            there = f"{published} is the newest there" if published else "no release of ours is there"
            yield finding("reserved-unpublished", f"{package}-{reserved}", f"its number was given out, and {there}")
        if published and release.number_in(published.release) not in taken.numbers:
            yield finding(
                "never-reserved", f"{package}-{published}", "it is published, and nobody was given its number"
            )


def first(sight: Sight, leader: Sight) -> Iterator[Finding]:
    """A place of a channel against the one that is read first."""
    if sight.standing.repomd_sha256 in ("", leader.standing.repomd_sha256) or not leader.standing.repomd_sha256:
        return
    has = {(rpm.href, rpm.sha256) for rpm in sight.standing.packages or ()}
    lacks = [rpm.nevra for rpm in leader.standing.packages or () if (rpm.href, rpm.sha256) not in has]
    missing = f"; it lacks {lacks[0]} ({len(lacks)} packages)" if lacks else ""
    yield finding(
        "place-behind",
        sight.site.address,
        f"it is at revision {sight.revision}, and {leader.site.address} at {leader.revision}{missing}",
    )


def _is_promoted_to(sight: Sight) -> bool:
    """Whether the channel is filled by `promote`: what is newer waits elsewhere until somebody moves it."""
    filled = [entry.action for entry in sight.log if entry.action in ("publish", "promote")]
    return filled[-1:] == ["promote"]


def _published(sight: Sight, package: str) -> Evr | None:
    """The newest release of ours that stands."""
    return _newest(
        rpm.evr
        for rpm in sight.standing.packages or ()
        if rpm.source == package and release.number_in(rpm.evr.release) is not None
    )


def _newest(evrs: Iterable[Evr]) -> Evr | None:
    return max(evrs, key=cmp_to_key(release.compare), default=None)
