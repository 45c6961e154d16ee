# SPDX-License-Identifier: GPL-2.0-or-later
"""Move a snapshot of one channel to another, without a build: the very packages that were tried there.

What the other channel has stays; the packages of the snapshot come to it, with what is said of each beside it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline import checkout, files, guard
from pipeline.context import TargetContext
from pipeline.engines.choice import engine_of
from pipeline.errors import PublishError, UsageError
from pipeline.gate import single
from pipeline.mirrors import catchup, history, layout, lease, mirror, placement, published, snapshot, standing, trust
from pipeline.mirrors.destination import find_destinations
from pipeline.mirrors.facts import Channel
from pipeline.mirrors.mirror import Metadata
from pipeline.mirrors.places.base import Destination
from pipeline.mirrors.sets import left_out, sets_of
from pipeline.mirrors.snapshot import Staging
from pipeline.model import LogEntry, Publication, PublishedRpm
from pipeline.progress import Progress
from pipeline.proof import staged
from pipeline.settings import Settings, refuse_unknown_mirror
from pipeline.signing import bundle, keyring, packages


@dataclass(frozen=True, kw_only=True, slots=True)
class _Move:
    """What comes: the packages of a snapshot, and where they lie; and the keys to verify with, those configured."""

    source: Destination
    entry: LogEntry
    packages: tuple[PublishedRpm, ...]
    keys: dict[str, bytes]


def run(
    settings: Settings,
    target_name: str,
    source_name: str,
    revision: int | None,
    progress: Progress,
    *,
    log_path: Path,
    dry_run: bool = False,
) -> Publication:
    """What stands in the channel of `settings` now: what it had, and the snapshot of the channel `source_name`.

    Without a revision it is the one that stands there. A client tries it before anybody sees it. A dry run tells what
    would come, and touches nothing.

    Raises: PublishError, ReleaseError, LockedError, SigningError, GateError, VerifyError.
    """
    refuse_unknown_mirror(source_name, settings.mirrors)
    places = find_destinations(settings, target_name)
    source = find_destinations(settings.model_copy(update={"mirror_override": source_name}), target_name)[0]
    if source.address == places[0].address:
        raise UsageError("promote-itself", f"'{source_name}' is the channel itself", hint="give --from and --to")
    move = _read_move(settings, target_name, source, revision, log_path)
    for rpm in filter(mirror.is_demo, move.packages):
        for place in places:
            mirror.refuse_demo(rpm.nevra, place)
    if dry_run:
        metadata, new = _plan(move, places[0], settings, log_path)
        for rpm in new:
            progress.note(f"comes: {rpm.nevra}")
        channel = Channel(settings=settings, target_name=target_name, places=places)
        changed = bool(new) or not standing.is_whole(metadata, move.keys, channel, log_path)
        revision = snapshot.next_revision(metadata.state) if changed else metadata.state.revision
        return catchup.publication(places, revision, "", changed=changed)
    with lease.held(places[0], snapshot.publisher(), progress, log_path=log_path):
        return _publish(move, places, settings, target_name, progress, log_path)


def _read_move(
    settings: Settings, target_name: str, source: Destination, revision: int | None, log_path: Path
) -> _Move:
    """Raises: PublishError, SigningError; for what we did not sign, too."""
    keys = bundle.configured(settings, target_name)
    metadata = mirror.read_metadata(settings, source, log_path=log_path)
    mirror.refuse_changed(metadata, source, log_path=log_path)
    if not metadata.is_ours:
        raise PublishError(
            "nothing-to-promote",
            f"{source.address} has nothing that was published from here",
            hint="release to that channel first, or correct --from",
        )
    known = history.snapshots(metadata.state, source, log_path=log_path)
    standing = next((each.entry.revision for each in known if each.stands), metadata.state.revision)
    chosen = history.choose(known, standing if revision is None else revision, source)
    former = history.read(settings, source, chosen, log_path=log_path)
    trust.refuse_foreign(former, keys)
    history.refuse_missing(former, source, log_path=log_path)
    return _Move(source=source, entry=chosen.entry, packages=former.state.packages, keys=keys)


def _plan(
    move: _Move, place: Destination, settings: Settings, log_path: Path
) -> tuple[Metadata, tuple[PublishedRpm, ...]]:
    """What the channel has, and the packages that come to it. Raises: PublishError, ReleaseError."""
    metadata = mirror.read_metadata(settings, place, log_path=log_path)
    mirror.refuse_changed(metadata, place, log_path=log_path)
    if metadata.is_ours:
        trust.refuse_foreign(metadata, move.keys)
    new = _new(move, metadata.state.packages, place)
    guard.refuse_older(new, metadata.state.packages)
    placement.refuse_shared_places((*metadata.state.packages, *new))
    return metadata, new


def _publish(
    move: _Move,
    places: Sequence[Destination],
    settings: Settings,
    target_name: str,
    progress: Progress,
    log_path: Path,
) -> Publication:
    metadata, new = _plan(move, places[0], settings, log_path)
    channel = Channel(settings=settings, target_name=target_name, places=places)
    if not new and standing.is_whole(metadata, move.keys, channel, log_path):
        state = metadata.state
        return catchup.publication(places, state.revision, state.repomd_sha256, changed=False)
    context = _context(settings, target_name, progress, log_path)
    context.scratch_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=context.scratch_dir, prefix="promote-") as scratch:
        staging = Staging(dir=Path(scratch) / "repo", revision=snapshot.next_revision(metadata.state), before=metadata)
        names = _stage(move, new, staging, log_path)
        _describe(move, new, staging, channel, context)
        sets = sets_of(new, (*metadata.state.packages, *new))
        if sets.ours:
            staged.prove(sets, staging.dir, context)
        load = catchup.load_of(staging.dir, staging.revision, names, metadata.state.repomd_sha256)
        return catchup.deliver(load, places, settings, progress, log_path)


def _describe(
    move: _Move,
    new: Sequence[PublishedRpm],
    staging: Staging,
    channel: Channel,
    context: TargetContext,
) -> None:
    """The metadata, and all that belongs to the snapshot; its keys are those that are configured."""
    everything = (*staging.before.state.packages, *new)
    if told := left_out(everything):
        context.progress.warning(told)
    with keyring.opened(context.settings, context.progress, target_name=context.target_name) as key:
        staging.describe([rpm.href for rpm in new], everything, key)
    staging.finish(
        _entry(move, new, staging, context.settings),
        everything,
        move.keys,
        channel,
    )


def _context(settings: Settings, target_name: str, progress: Progress, log_path: Path) -> TargetContext:
    return TargetContext(
        settings=settings,
        target_name=target_name,
        target=settings.target(target_name),
        engine=engine_of(settings, target_name),
        progress=progress,
        home_dir=settings.out_path / target_name,
        log_path=log_path,
    )


def _new(move: _Move, there: Sequence[PublishedRpm], place: Destination) -> tuple[PublishedRpm, ...]:
    """The packages that the channel does not have. Raises: PublishError for one that it has with other bytes."""
    by_nevra = {rpm.nevra: rpm for rpm in there}
    for rpm in move.packages:
        found = by_nevra.get(rpm.nevra)
        if found is not None and found.sha256 != rpm.sha256:
            raise PublishError(
                "nevra-taken",
                f"{rpm.nevra} is on {place.address} already with other contents (sha256 {found.sha256[:12]})",
                hint="a published package never changes: release it anew, which gives it a number of its own",
            )
    return tuple(rpm for rpm in move.packages if rpm.nevra not in by_nevra)


def _stage(move: _Move, new: Sequence[PublishedRpm], staging: Staging, log_path: Path) -> tuple[str, ...]:
    """Fetch the packages, see that they are ours and fit for the target; the names of all that is staged."""
    beside = [f"{rpm.href}{ending}" for rpm in new for ending in layout.BESIDE]
    missing = set(move.source.missing(beside, log_path))
    names = [*(rpm.href for rpm in new), *(name for name in beside if name not in missing)]
    move.source.fetch_below(names, staging.dir, log_path)
    published.refuse_other(new, staging.dir, move.source)
    paths = [staging.dir / rpm.href for rpm in new]
    with bundle.as_files(move.keys) as key_paths:
        packages.verify(paths, key_paths, log_path=log_path)
    single.check(paths, log_path=log_path)
    return tuple(names)


def _entry(move: _Move, new: Sequence[PublishedRpm], staging: Staging, settings: Settings) -> LogEntry:
    return LogEntry(
        revision=staging.revision,
        time=snapshot.now(),
        action="promote",
        repomd_sha256=staging.repomd_sha256,
        detail=f"{move.entry.revision} from {move.source.url or move.source.address}",
        releases=tuple(sorted((rpm.name, str(rpm.evr)) for rpm in new if rpm.arch == "src")),
        statements=tuple(
            (PurePosixPath(name).name, files.sha256_of(staging.dir / name))
            for name in (f"{rpm.href}.intoto.json" for rpm in new if rpm.arch == "src")
            if (staging.dir / name).is_file()
        ),
        commit=move.entry.commit or checkout.read(settings.root_dir).commit,
        who=snapshot.publisher(),
    )
