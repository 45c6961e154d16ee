# SPDX-License-Identifier: GPL-2.0-or-later
"""Every package that primary names: is it there, is it the one that was published, does its signature hold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline import parallel
from pipeline.audit import papers
from pipeline.audit.findings import Finding, finding
from pipeline.audit.sight import Sight, Wish
from pipeline.audit.site import Hand
from pipeline.mirrors import mirror
from pipeline.model import PublishedRpm
from pipeline.signing import packages as signing

# As many as a command line takes, and as a disk has room for.
_BATCH_COUNT = 400
_BATCH_BYTES = 256 << 20


def look(sight: Sight, wish: Wish) -> Iterator[Finding]:
    rpms = tuple({rpm.href: rpm for rpm in sight.standing.packages or ()}.values())
    there = sight.site.sizes([rpm.href for rpm in rpms])
    whole = []
    for rpm in rpms:
        size = there.get(rpm.href)
        if size is None:
            yield finding("package-missing", rpm.href, "the metadata names it, and it is not there")
        elif size not in (rpm.size_bytes, -1):
            yield finding("package-changed", rpm.href, f"it has {size} bytes, where the metadata says {rpm.size_bytes}")
        else:
            whole.append(rpm)
    yield from papers.absent(whole, sight)
    if not wish.quick:
        for batch in _batches(whole):
            names = [*(rpm.href for rpm in batch), *papers.beside(batch, sight)]
            with sight.site.at_hand(names, wish.scratch_dir) as hand:
                yield from _contents(batch, hand, sight)


def demo(sight: Sight, wish: Wish) -> Iterator[Finding]:
    """What is made from the demo and lies where hosts may come."""
    for rpm in () if sight.site.is_local else sight.standing.packages or ():
        if mirror.is_demo(rpm):
            yield finding("demo-published", rpm.nevra, f"it is made from the demo, and {sight.site.address} is no"
                          " directory of this machine")  # fmt: skip


def _contents(batch: Sequence[PublishedRpm], hand: Hand, sight: Sight) -> Iterator[Finding]:
    """What a full read of packages tells; a changed one is not told a second time for its signature."""
    unchanged = []
    told = parallel.run_all(lambda rpm: _digest(hand, rpm.href), batch)
    for rpm, (digest, why) in zip(batch, told, strict=True):
        if why:
            yield finding("unreadable", rpm.href, why)
        elif digest != rpm.sha256:
            yield finding("package-changed", rpm.href, "its sha256 is not the one that the metadata says")
        else:
            unchanged.append(rpm)
    if sight.ring.paths:
        yield from _signatures(unchanged, hand, sight)
    yield from papers.wrong(unchanged, hand, sight)


def _digest(hand: Hand, href: str) -> tuple[str, str]:
    """The sha256 of a file, or why it cannot be read."""
    if href in hand.failed:
        return "", hand.failed[href]
    try:
        with (hand.dir / href).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest(), ""
    except OSError as error:
        return "", error.strerror or str(error)


def _signatures(rpms: Sequence[PublishedRpm], hand: Hand, sight: Sight) -> Iterator[Finding]:
    by_path: dict[Path, PublishedRpm] = {hand.dir / rpm.href: rpm for rpm in rpms}
    adopted = _adopted(sight)
    for path, problem in signing.problems(tuple(by_path), sight.ring.paths).items():
        rpm = by_path[path]
        kind = "package-unsigned" if problem == signing.NOT_SIGNED else "package-signature"
        # Nobody can mend it: a published package never changes.
        harmless = rpm.sha256 in adopted and problem.startswith((signing.NOT_SIGNED, signing.BY_ANOTHER_KEY))
        why = f"{problem}; others published it before us" if harmless else problem
        yield finding(kind, rpm.href, why, severity="warning" if harmless else None)


def _adopted(sight: Sight) -> frozenset[str]:
    """The sha256 of what others published before us: all of their snapshot, or what no later line tells of."""
    if sight.adopted is None:
        return frozenset()
    before = sight.snapshots.get(sight.adopted.revision)
    if before is not None and before.packages is not None:
        return frozenset(rpm.sha256 for rpm in before.packages)
    ours = {release for entry in sight.log for release in entry.releases}
    return frozenset(rpm.sha256 for rpm in sight.standing.packages or () if (rpm.source, str(rpm.evr)) not in ours)


def _batches(rpms: Sequence[PublishedRpm]) -> Iterator[list[PublishedRpm]]:
    batch: list[PublishedRpm] = []
    size_bytes = 0
    for rpm in rpms:
        if batch and (len(batch) >= _BATCH_COUNT or size_bytes + rpm.size_bytes > _BATCH_BYTES):
            yield batch
            batch, size_bytes = [], 0
        batch.append(rpm)
        size_bytes += rpm.size_bytes
    if batch:
        yield batch
