# SPDX-License-Identifier: GPL-2.0-or-later
"""Statements and SBOMs beside our packages: are they there, and those of the log, and do packages hold with them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from pipeline import release
from pipeline.attestation import sbom, statement
from pipeline.audit.findings import Finding, finding
from pipeline.audit.sight import Sight, Wish
from pipeline.audit.site import Hand
from pipeline.model import PublishedRpm

ENDINGS = (statement.SUFFIX, sbom.SUFFIX)


def ours(rpms: Sequence[PublishedRpm], sight: Sight) -> tuple[PublishedRpm, ...]:
    """Those of the packages that came with a release that the log tells of: something must be said of each."""
    told = {release for entry in sight.log for release in entry.releases}
    return tuple(
        rpm for rpm in rpms if (rpm.source, str(rpm.evr)) in told and release.number_in(rpm.evr.release) is not None
    )


def beside(rpms: Sequence[PublishedRpm], sight: Sight) -> tuple[str, ...]:
    """The names of what is said of our packages among these."""
    return tuple(f"{rpm.href}{ending}" for rpm in ours(rpms, sight) for ending in ENDINGS)


def absent(rpms: Sequence[PublishedRpm], sight: Sight) -> Iterator[Finding]:
    """What is not there of all that should stand beside packages."""
    names = beside(rpms, sight)
    there = sight.site.sizes(names)
    for name in (name for name in names if name not in there):
        yield finding("statement-missing", name, "it is not there, and the package is one of ours")


def wrong(rpms: Sequence[PublishedRpm], hand: Hand, sight: Sight) -> Iterator[Finding]:
    """Whether packages, at hand and unchanged, hold with what is said of them; what is missing is told elsewhere."""
    from pipeline.attestation import verify  # late: the libraries load slowly

    logged = _logged(sight)
    for rpm in ours(rpms, sight):
        path = hand.dir / rpm.href
        beside = [path.with_name(f"{path.name}{ending}") for ending in ENDINGS]
        failed = [f"{rpm.href}{ending}" for ending in ENDINGS if f"{rpm.href}{ending}" in hand.failed]
        for name in failed:
            yield finding("unreadable", name, hand.failed[name])
        if failed or not all(each.is_file() for each in beside):
            continue
        known = logged.get(beside[0].name)
        if known and hashlib.sha256(beside[0].read_bytes()).hexdigest() not in known:
            continue  # told as changed
        for problem in verify.hold(path, rpm.sha256).problems[:1]:
            yield finding("statement-wrong", rpm.href, problem)


def logged(sight: Sight, wish: Wish) -> Iterator[Finding]:
    """The statements whose digests the log has, of all packages that a state names and that are there."""
    known = _logged(sight)
    names = {
        f"{rpm.href}{statement.SUFFIX}": rpm.href
        for state in (sight.standing, *sight.snapshots.values())
        for rpm in state.packages or ()
        if f"{PurePosixPath(rpm.href).name}{statement.SUFFIX}" in known
    }
    packages = sight.site.sizes(sorted(names.values()))
    names = {name: href for name, href in names.items() if href in packages}
    standing = set(beside(sight.standing.packages or (), sight))
    if wish.quick:
        there = sight.site.sizes(names)
        yield from (_gone(name) for name in names if name not in there and name not in standing)
        return
    contents, failed = sight.site.read(tuple(names), wish.scratch_dir)
    for name in names:
        if name in contents:
            if hashlib.sha256(contents[name]).hexdigest() not in known[PurePosixPath(name).name]:
                yield finding("statement-changed", name, "its sha256 is not the one that the log says was published")
        elif name not in failed and name not in standing:
            yield _gone(name)


def _gone(name: str) -> Finding:
    return finding("statement-missing", name, "the log says that it was published, and it is not there")


def _logged(sight: Sight) -> dict[str, set[str]]:
    """File name -> each sha256 that the log has for it: earlier lines told it again, as it was then on that disk."""
    known: dict[str, set[str]] = {}
    for entry in sight.log:
        for name, sha256 in entry.statements:
            known.setdefault(name, set()).add(sha256)
    return known
