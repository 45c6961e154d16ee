# SPDX-License-Identifier: GPL-2.0-or-later
"""What is published already must be older: hosts take a package for an upgrade by rpm's own order alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cmp_to_key

from pipeline import release
from pipeline.errors import ReleaseError
from pipeline.memo import by_identity
from pipeline.model import Evr, PublishedRpm


def refuse_older(new: Iterable[PublishedRpm], published: Sequence[PublishedRpm]) -> None:
    """Raises: ReleaseError when hosts would not take a package for an upgrade of one of its name."""
    there = {rpm.nevra for rpm in published}
    for ours in (rpm for rpm in new if rpm.nevra not in there):
        same_name = [rpm for rpm in published if (rpm.name, rpm.arch == "src") == (ours.name, ours.arch == "src")]
        refuse(ours.evr, same_name)


def refuse(ours: Evr, rivals: Iterable[PublishedRpm]) -> None:
    """Raises: ReleaseError naming the highest rival that our release does not beat, and both in rpm's order."""
    unbeaten = [rpm for rpm in rivals if release.compare(ours, rpm.evr) <= 0]
    rival = max(unbeaten, key=cmp_to_key(_compare), default=None)
    if rival is None:
        return
    order = f"rpm's order is {ours} < {rival.evr}" if release.compare(ours, rival.evr) else f"both are {ours}"
    if release.number_in(rival.evr.release) is None:
        raise ReleaseError(
            "vendor-newer",
            f"the vendor's {rival.name}-{rival.evr} is published and beats our {ours}: hosts would keep it ({order})",
            hint="rebase the series onto that version (`-s refresh`), or take that package off the mirror",
        )
    raise ReleaseError(
        "not-newer",
        f"{rival.name}: {ours} does not beat {rival.evr}, which the mirror has: hosts would keep that ({order})",
        hint="rpm compares a release part by part, its label before its number: go back to a label that sorts"
        " higher, or publish to a mirror without that release",
    )


def rivals(published: tuple[PublishedRpm, ...], source: str, *, but: Evr | None = None) -> list[PublishedRpm]:
    """The published packages that were built from a source package of this name, except one release of it."""
    return [rpm for rpm in _by_source(published).get(source, ()) if rpm.evr != but]


@by_identity(4)  # the packages of a mirror are asked for by each job
def _by_source(published: tuple[PublishedRpm, ...]) -> dict[str, list[PublishedRpm]]:
    sorted_out: dict[str, list[PublishedRpm]] = {}
    for rpm in published:
        sorted_out.setdefault(rpm.source, []).append(rpm)
    return sorted_out


def _compare(left: PublishedRpm, right: PublishedRpm) -> int:
    return release.compare(left.evr, right.evr)
