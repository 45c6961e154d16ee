# SPDX-License-Identifier: GPL-2.0-or-later
"""Let an earlier content of a repository stand again, as a new revision: yum keeps its cache over an older one."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pipeline.errors import PublishError
from pipeline.mirrors import catchup, history, lease, lineage, mirror, snapshot, trust
from pipeline.mirrors.destination import find_destinations
from pipeline.mirrors.facts import Channel
from pipeline.mirrors.mirror import Metadata
from pipeline.mirrors.places.base import Destination
from pipeline.mirrors.sets import left_out
from pipeline.mirrors.snapshot import Staging
from pipeline.model import LogEntry, Publication
from pipeline.progress import Progress
from pipeline.settings import Settings
from pipeline.signing import bundle, keyring


def run(
    settings: Settings, target_name: str, revision: int, progress: Progress, *, log_path: Path, dry_run: bool = False
) -> Publication:
    """What stands on the mirror now: the content of the revision, under a higher number.

    No client tries it: that was done when it was published. A dry run tells what would come and go, and touches
    nothing.

    Raises: PublishError, LockedError, SigningError; readers then see what they saw.
    """
    places = find_destinations(settings, target_name)
    if dry_run:
        metadata, _, _ = _read(settings, target_name, places[0], revision, progress, log_path)
        return catchup.publication(places, snapshot.next_revision(metadata.state), "", changed=True)
    with lease.held(places[0], snapshot.publisher(), progress, log_path=log_path):
        metadata, former, chosen = _read(settings, target_name, places[0], revision, progress, log_path)
        scratch_dir = settings.out_path / ".work"
        scratch_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=scratch_dir, prefix="rollback-") as scratch:
            number = snapshot.next_revision(metadata.state)
            staging = Staging(dir=Path(scratch) / "repo", revision=number, before=metadata)
            channel = Channel(settings=settings, target_name=target_name, places=places)
            _stage(staging, former, chosen, channel, progress)
            load = catchup.load_of(staging.dir, staging.revision, (), metadata.state.repomd_sha256)
            return catchup.deliver(load, places, settings, progress, log_path)


def _read(
    settings: Settings, target_name: str, place: Destination, revision: int, progress: Progress, log_path: Path
) -> tuple[Metadata, Metadata, LogEntry]:
    """What stands, what shall stand again and its line of the log; the difference is told.

    Raises: PublishError, SigningError.

    What stands need not be signed by us: this is the way out of it. What others published before us never was.
    """
    keys = bundle.configured(settings, target_name)
    metadata = mirror.read_metadata(settings, place, log_path=log_path)
    chosen = history.choose(history.snapshots(metadata.state, place, log_path=log_path), revision, place)
    if chosen.stands:
        raise PublishError(
            "stands-already", f"the revision {revision} is what stands on {place.address}", hint="nothing to do"
        )
    former = history.read(settings, place, chosen, log_path=log_path)
    if chosen.entry.action != "adopt":
        trust.refuse_foreign(former, keys)
    history.refuse_missing(former, place, log_path=log_path)
    now, then = (tuple(rpm.nevra for rpm in each.state.packages) for each in (metadata, former))
    there = frozenset(now), frozenset(then)
    for verb, names in (("comes back", [n for n in then if n not in there[0]]),
                        ("goes", [n for n in now if n not in there[1]])):  # fmt: skip
        for nevra in names:
            progress.note(f"{verb}: {nevra}")
    return metadata, former, chosen.entry


def _stage(staging: Staging, former: Metadata, chosen: LogEntry, channel: Channel, progress: Progress) -> None:
    """Fill the snapshot. Its keys are those that are configured; that of then is among them, or it was refused."""
    if told := left_out(former.state.packages):
        progress.warning(told)
    with keyring.opened(channel.settings, progress, target_name=channel.target_name) as key:
        staging.describe_again(former, key)
    keys = bundle.configured(channel.settings, channel.target_name)
    staging.finish(_entry(staging, chosen), former.state.packages, keys, channel)


def _entry(staging: Staging, chosen: LogEntry) -> LogEntry:
    return LogEntry(
        revision=staging.revision,
        time=snapshot.now(),
        action="rollback",
        repomd_sha256=staging.repomd_sha256,
        detail=lineage.aim_text(chosen.revision),
        commit=chosen.commit,  # the content's, as everywhere in the log
        who=snapshot.publisher(),
    )
