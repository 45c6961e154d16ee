# SPDX-License-Identifier: GPL-2.0-or-later
"""Which snapshots and packages nobody needs any more, and their removal.

What stands is never touched, so the vendor's packages, which every state carries, stay as well.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from pipeline.mirrors import history, layout, lease, mirror, snapshot
from pipeline.mirrors.destination import find_destinations
from pipeline.mirrors.history import Snapshot
from pipeline.mirrors.places.base import Destination
from pipeline.model import PublishedRpm
from pipeline.progress import Progress
from pipeline.settings import Settings
from pipeline.settingtables import RetentionSettings

_DAY_SECONDS = 24 * 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class Pruning:
    """What is of no use at one place: whole snapshots, and packages that no kept one names.

    `unfinished` are the revisions that a publish began and never let anybody see.
    """

    place: str
    snapshots: tuple[Snapshot, ...]
    unfinished: tuple[int, ...]
    packages: tuple[PublishedRpm, ...]
    kept: int
    removed: bool

    @property
    def size_bytes(self) -> int:
        return sum(rpm.size_bytes for rpm in self.packages)


def run(
    settings: Settings, target_name: str, progress: Progress, *, remove: bool, log_path: Path
) -> tuple[Pruning, ...]:
    """What was removed at each place, or without `remove` would be. Raises: PublishError, LockedError."""
    places = find_destinations(settings, target_name)
    if not remove:
        return tuple(_plan(settings, place, log_path) for place in places)
    with lease.held(places[0], snapshot.publisher(), progress, log_path=log_path):
        return tuple(_remove(_plan(settings, place, log_path), place, log_path) for place in places)


def expendable(known: Sequence[Snapshot], retention: RetentionSettings, now: float) -> tuple[Snapshot, ...]:
    """Those of the snapshots, newest first, that nothing keeps: their number, their age, or readers under way."""
    chosen = []
    superseded = now
    for number, each in enumerate(each for each in known if each.is_there):
        published = _seconds(each)
        kept = (
            each.stands
            or number < retention.keep_snapshots
            or published > now - retention.keep_days * _DAY_SECONDS
            or superseded > now - retention.grace_hours * 3600
        )
        superseded = published
        if not kept:
            chosen.append(each)
    return tuple(chosen)


def _plan(settings: Settings, place: Destination, log_path: Path) -> Pruning:
    metadata = mirror.read_metadata(settings, place, log_path=log_path)
    mirror.refuse_changed(metadata, place, log_path=log_path)
    state = metadata.state
    known = history.snapshots(state, place, log_path=log_path)
    chosen = expendable(known, settings.retention, time.time())
    kept = [each for each in known if each.is_there and each not in chosen]
    named = {rpm.href for rpm in state.packages}
    for each in kept:
        if chosen:
            named |= {rpm.href for rpm in history.read(settings, place, each, log_path=log_path).state.packages}
    dropped = {
        rpm.href: rpm
        for each in chosen
        for rpm in history.read(settings, place, each, log_path=log_path).state.packages
        if rpm.href not in named
    }
    return Pruning(
        place=place.address,
        snapshots=chosen,
        unfinished=_unfinished(settings, known, place, layout.tops(named), log_path),
        packages=tuple(dropped.values()),
        kept=len(kept),
        removed=False,
    )


def _unfinished(
    settings: Settings, known: Sequence[Snapshot], place: Destination, tops: Sequence[str], log_path: Path
) -> tuple[int, ...]:
    """Snapshots that no log tells of, and that nobody is just making: a revision is the time that it was made.

    What a removal left that was ended half-way is of no use either. What stands is none, whatever a log tells, and a
    folder with more in it than we put there is somebody else's.
    """
    told = {each.entry.revision: each.is_there for each in known}
    youngest = time.time() - settings.retention.grace_hours * 3600
    stands = layout.revision_in(place.link_text(layout.REPODATA, log_path))
    ours = {layout.REPODATA, *layout.ADDRESSES, *tops}
    return tuple(
        revision
        for revision in sorted(history.listed(place, log_path))
        if not told.get(revision, revision >= youngest)
        and revision != stands
        and ours.issuperset(place.names_in(layout.snapshot(revision), log_path))
    )


def _remove(plan: Pruning, place: Destination, log_path: Path) -> Pruning:
    """Packages first: a snapshot that is gone could not tell any more which were its own."""
    if plan.packages:
        place.remove([f"{rpm.href}{ending}" for rpm in plan.packages for ending in ("", *layout.BESIDE)], log_path)
    revisions = [*(each.entry.revision for each in plan.snapshots), *plan.unfinished]
    if revisions:
        folders = [layout.snapshot(revision) for revision in revisions]
        # A folder that is ended half-way through must not pass for a whole snapshot.
        place.remove([f"{folder}/{layout.REPOMD}" for folder in folders], log_path)
        place.remove(folders, log_path)
    return replace(plan, removed=True)


def _seconds(each: Snapshot) -> float:
    return datetime.fromisoformat(each.entry.time).timestamp()
