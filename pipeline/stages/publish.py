# SPDX-License-Identifier: GPL-2.0-or-later
"""Repository -> Publication: every place of the channel has the new snapshot, and no reader ever saw it half-done."""

from __future__ import annotations

from pipeline import files
from pipeline.context import TargetContext
from pipeline.errors import PublishError
from pipeline.mirrors import catchup, mirror, upload
from pipeline.mirrors.destination import find_destinations
from pipeline.model import Publication, Repository


def inputs(repository: Repository, *, context: TargetContext) -> dict[str, str]:
    """What stands at each place, so that a mirror that others changed is published to again."""
    places = find_destinations(context.settings, context.target_name)
    standing = {place.address: mirror.stands(place, context.log_path)[:12] or "nothing" for place in places}
    return {f"what stands on {address}": digest for address, digest in standing.items()}


def run(repository: Repository, *, context: TargetContext) -> Publication:
    """What stands on the mirror now. Raises: PublishError, and the mirror is as it was."""
    places = find_destinations(context.settings, context.target_name)
    standing = mirror.stands(places[0], context.log_path)
    if standing not in (repository.base_repomd_sha256, repository.repomd.sha256):
        raise upload.changed_meanwhile(places[0].address, f"its repomd.xml is another one ({standing[:12] or 'none'})")
    staged_dir = context.out_path / repository.tree.path
    load = catchup.load_of(staged_dir, repository.revision, repository.files, repository.base_repomd_sha256)
    try:
        return catchup.deliver(load, places, context.settings, context.progress, context.log_path)
    except PublishError as error:
        if error.reference == upload.REVISION_TAKEN:
            files.remove_tree(staged_dir)  # the next run stages it anew, under another number
        raise
