# SPDX-License-Identifier: GPL-2.0-or-later
"""Let an earlier content of a repository stand again, as a new revision: yum keeps its cache over an older one."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pipeline import checkout
from pipeline.errors import PublishError
from pipeline.mirrors import catchup, history, layout, lease, mirror, snapshot, withdrawn
from pipeline.mirrors.destination import find_destinations
from pipeline.mirrors.snapshot import Staging
from pipeline.model import LogEntry, Publication
from pipeline.progress import Progress
from pipeline.settings import Settings
from pipeline.signing import keyring


def run(
    settings: Settings, target_name: str, revision: int, progress: Progress, *, log_path: Path, dry_run: bool = False
) -> Publication:
    """What stands on the mirror now: the content of the revision, under a higher number.

    Raises: PublishError, LockedError, SigningError; readers then see what they saw.
    """
    places = find_destinations(settings, target_name)
    with lease.held(places[0], snapshot.publisher(), progress, log_path=log_path):
        metadata = mirror.read_metadata(settings, places[0], log_path=log_path)
        known = history.snapshots(metadata.state, places[0], log_path=log_path)
        chosen = history.choose(known, revision, places[0])
        if chosen.stands:
            raise PublishError(
                "stands-already", f"the revision {revision} is what stands on {places[0].address}", hint="nothing to do"
            )
        former = history.read(settings, places[0], chosen, log_path=log_path)
        history.refuse_missing(former, places[0], log_path=log_path)
        scratch_dir = settings.out_path / ".work"
        scratch_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=scratch_dir, prefix="rollback-") as scratch:
            staging = Staging(
                dir=Path(scratch) / "repo", revision=snapshot.next_revision(metadata.state), before=metadata
            )
            with keyring.opened(settings, progress, target_name=target_name) as key:
                staging.describe_again(former, key)
            staging.finish(
                _entry(staging, revision, settings),
                hrefs=[rpm.href for rpm in former.state.packages],
                keys=metadata.books[layout.KEYS],
                urls=[place.url for place in places if place.url],
                grace_seconds=settings.retention.grace_hours * 3600,
            )
            if dry_run:
                return catchup.publication(places, staging.revision, staging.repomd_sha256, changed=True)
            load = catchup.load_of(staging.dir, staging.revision, (), metadata.state.repomd_sha256)
            return catchup.deliver(load, places, settings, progress, log_path)


def _entry(staging: Staging, revision: int, settings: Settings) -> LogEntry:
    return LogEntry(
        revision=staging.revision,
        time=snapshot.now(),
        action="rollback",
        repomd_sha256=staging.repomd_sha256,
        detail=withdrawn.aim_text(revision),
        commit=checkout.read(settings.root_dir).commit,
        who=snapshot.publisher(),
    )
