# SPDX-License-Identifier: GPL-2.0-or-later
"""Bring all places of a channel to one state: one that was away for a while gets all that it missed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline import files
from pipeline.errors import PublishError
from pipeline.mirrors import history, layout, mirror, publishlog, repodata, upload
from pipeline.mirrors.places.base import Destination
from pipeline.mirrors.upload import FilesDiffer, Load
from pipeline.model import LogEntry, MirrorState, Publication
from pipeline.progress import Progress
from pipeline.settings import Settings


def deliver(
    load: Load, places: Sequence[Destination], settings: Settings, progress: Progress, log_path: Path
) -> Publication:
    """Publish the load of the first place to it, and to the others. Raises: PublishError."""
    first = places[0]
    standing = {place: mirror.stands(place, log_path) for place in places}
    behind = [place for place, digest in standing.items() if digest != load.repomd_sha256]
    known = {"", load.base_repomd_sha256, *(entry.repomd_sha256 for entry in _log(load.dir, load.revision))}
    for place in behind:
        if place != first and standing[place] not in known:
            raise _ahead(place, first)
    loads = [(place, _load_for(load, place, first, settings, log_path)) for place in behind]
    if loads:
        try:
            upload.publish(loads, progress=progress, log_path=log_path)
        except FilesDiffer as error:
            clear_leftovers(error, settings, progress, log_path)
            upload.publish(loads, progress=progress, log_path=log_path)
    return publication(places, load.revision, load.repomd_sha256, changed=bool(loads))


def publication(places: Sequence[Destination], revision: int, repomd_sha256: str, *, changed: bool) -> Publication:
    """What is told of a channel whose places are all at one state."""
    return Publication(
        destination=places[0].address,
        revision=revision,
        repomd_sha256=repomd_sha256,
        changed=changed,
        places=tuple(place.address for place in places),
    )


def load_of(folder: Path, revision: int, names: Sequence[str], base_repomd_sha256: str) -> Load:
    """What a staged folder is to the place whose state it was made from."""
    log = _log(folder, revision)
    return Load(
        dir=folder,
        revision=revision,
        repomd_sha256=files.sha256_of(folder / layout.snapshot(revision) / layout.REPOMD),
        files=tuple(names),
        former=log[-2].revision if len(log) > 1 else 0,
        base_repomd_sha256=base_repomd_sha256,
    )


def clear_leftovers(differ: FilesDiffer, settings: Settings, progress: Progress, log_path: Path) -> None:
    """Remove what a publish that was not finished left under our names. Raises: FilesDiffer when a state names it.

    What no state names was never seen by a reader, so its name is still free.
    """
    place = differ.place
    taken = sorted({*differ.names} & {*layout.POINTERS})
    if taken:
        raise PublishError(
            "pointer-taken",
            f"{taken[0]} on {place.address} is somebody's own file, and a link of that name belongs there",
            hint="move it away, then run the same again: what readers use was not touched",
        )
    state = mirror.read_metadata(settings, place, log_path=log_path).state
    named = {rpm.href for rpm in state.packages}
    for each in history.snapshots(state, place, log_path=log_path):
        if each.is_there and not each.stands:
            named |= {rpm.href for rpm in history.read(settings, place, each, log_path=log_path).state.packages}
    if any(_package_of(name) in named for name in differ.names) or _has_stood(state, place, log_path):
        raise differ
    progress.warning(f"{len(differ.names)} files on {place.address} that an unfinished publish left are replaced")
    place.remove(differ.names, log_path)


def _has_stood(state: MirrorState, place: Destination, log_path: Path) -> bool:
    """Whether a mirror where nothing stands had states: the log in a snapshot tells of those before it."""
    if state.repomd_sha256:
        return False
    for revision in history.listed(place, log_path):
        name = f"{layout.link_to(revision)}/{layout.LOG}"
        if not place.missing([name], log_path):
            with tempfile.TemporaryDirectory(dir=place.scratch_dir, prefix="log-") as folder:
                place.fetch([name], Path(folder), log_path)
                if len(publishlog.read((Path(folder) / layout.LOG).read_bytes(), place.address)) > 1:
                    return True
    return False


def _log(folder: Path, revision: int) -> tuple[LogEntry, ...]:
    return publishlog.read((folder / layout.link_to(revision) / layout.LOG).read_bytes(), str(folder))


def _ahead(place: Destination, first: Destination) -> PublishError:
    """The error for a place that would lose what only it knows, its history with it."""
    return PublishError(
        "place-ahead",
        f"{place.address} has states that {first.address} does not know: {first.address} was put back or replaced",
        hint=f"make the place that is furthest ahead the first, or empty {place.address} if it may go",
    )


def _package_of(name: str) -> str:
    """The package that a file is, or lies beside: `a.rpm` for `a.rpm.cdx.json`."""
    head, found, _ = name.partition(".rpm.")
    return f"{head}.rpm" if found else name


def _load_for(load: Load, place: Destination, first: Destination, settings: Settings, log_path: Path) -> Load:
    """The load of the first place made fit for another one. Raises: PublishError."""
    if place == first or mirror.stands(place, log_path) == load.base_repomd_sha256:
        return load
    there = mirror.read_metadata(settings, place, log_path=log_path).state
    has = {(rpm.href, rpm.sha256) for rpm in there.packages}
    missed = [href for href, sha256 in _named(load) if (href, sha256) not in has and href not in load.files]
    beside = [f"{href}{ending}" for href in missed for ending in layout.BESIDE]
    without = set(first.missing(beside, log_path))
    missed += [name for name in beside if name not in without]
    folder = settings.out_path / ".work" / f"catch-up-{there.repomd_sha256[:12] or 'empty'}"
    files.remove_tree(folder)
    files.copy_tree(load.dir, folder)
    first.fetch_below(missed, folder, log_path)
    return replace(
        load,
        dir=folder,
        files=(*load.files, *missed),
        former=there.revision,
        base_repomd_sha256=there.repomd_sha256,
    )


def _named(load: Load) -> Iterable[tuple[str, str]]:
    """Location and sha256 of all that the snapshot names."""
    snapshot_dir = load.dir / layout.snapshot(load.revision)
    index = repodata.read_index((snapshot_dir / layout.REPOMD).read_bytes(), str(snapshot_dir))
    packages = repodata.read_packages(snapshot_dir / index.primary.href, str(snapshot_dir))
    return [(rpm.href, rpm.sha256) for rpm in packages]
