# SPDX-License-Identifier: GPL-2.0-or-later
"""The states that a repository had: what the log tells of them, and which of them still lie there as snapshots."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PublishError
from pipeline.mirrors import layout, mirror
from pipeline.mirrors.mirror import Metadata
from pipeline.mirrors.places.base import Destination
from pipeline.model import LogEntry, MirrorState
from pipeline.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """One state that was published; `is_there` tells whether it can still be had back."""

    entry: LogEntry
    is_there: bool
    stands: bool


def snapshots(state: MirrorState, place: Destination, *, log_path: Path | None = None) -> tuple[Snapshot, ...]:
    """All states that the log tells of, newest first. Raises: PublishError."""
    there = whole(state, place, log_path)
    return tuple(
        Snapshot(
            entry=entry,
            is_there=entry.revision in there,
            stands=entry.repomd_sha256 == state.repomd_sha256,
        )
        for entry in reversed(state.log)
    )


def whole(state: MirrorState, place: Destination, log_path: Path | None) -> frozenset[int]:
    """The revisions whose snapshot has its `repomd.xml`: it goes first when one is removed. Raises: PublishError.

    A place that is only written is asked for each that the log tells of.
    """
    told = [entry.revision for entry in state.log]
    revisions = listed(place, log_path) if place.can_be_listed else told
    paths = {f"{layout.snapshot(revision)}/{layout.REPOMD}": revision for revision in revisions}
    missing = frozenset(place.missing(paths, log_path)) if paths else frozenset()
    return frozenset(revision for path, revision in paths.items() if path not in missing)


def listed(place: Destination, log_path: Path | None) -> frozenset[int]:
    """The revisions that have a folder, whole or not. Raises: PublishError."""
    names = place.names_in(layout.SNAPSHOTS, log_path)
    return frozenset(int(name) for name in names if re.fullmatch("0|[1-9][0-9]*", name, re.ASCII))


def choose(known: Sequence[Snapshot], revision: int, place: Destination) -> Snapshot:
    """The snapshot of a revision. Raises: PublishError when there is none, naming those that are there."""
    found = next((each for each in known if each.entry.revision == revision), None)
    if found is not None and found.is_there:
        return found
    there = [str(each.entry.revision) for each in known if each.is_there][:8]
    why = "was pruned" if found else "was never published"
    raise PublishError(
        "snapshot-gone",
        f"the revision {revision} of {place.address} {why}",
        hint=f"choose one of {', '.join(there)}"
        if there
        else "there is none: nothing was published with snapshots yet",
    )


def read(settings: Settings, place: Destination, snapshot: Snapshot, *, log_path: Path | None = None) -> Metadata:
    """A former state with its metadata files at hand, as `mirror.read_metadata`. Raises: PublishError."""
    home = layout.snapshot(snapshot.entry.revision)
    folder = Path(place.address) / home
    if not place.is_local:
        folder = settings.out_path / ".work" / f"{mirror.cache_dir(settings, place).name}-{snapshot.entry.revision}"
        signature = f"{home}/{layout.SIGNATURE}"
        (folder / layout.SIGNATURE).unlink(missing_ok=True)
        beside = [] if place.missing([signature], log_path) else [signature]  # what others published may have none
        place.fetch([f"{home}/{layout.REPOMD}", *beside], folder / layout.REPODATA, log_path)
    found = mirror.read_folder(folder, f"{place.address}/{home}", lambda hrefs: None if place.is_local else place.fetch(
        [f"{home}/{href}" for href in hrefs], folder / layout.REPODATA, log_path))  # fmt: skip
    if found.state.repomd_sha256 != snapshot.entry.repomd_sha256:
        raise PublishError(
            "snapshot-differs",
            f"{home} on {place.address} is not what the log says was published",
            hint="somebody changed it by hand: choose another revision",
        )
    return found


def refuse_missing(found: Metadata, place: Destination, *, log_path: Path | None = None) -> None:
    """Raises: PublishError when a package that the state names does not lie on the mirror any more."""
    missing = place.missing([rpm.href for rpm in found.state.packages], log_path)
    if missing:
        raise PublishError(
            "packages-gone",
            f"{missing[0]} of that revision is no more on {place.address} ({len(missing)} packages)",
            hint="choose a later revision, or publish these packages again",
        )
