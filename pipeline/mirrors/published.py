# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages as they lie on the mirror, at hand and verified."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline import files
from pipeline.context import TargetContext
from pipeline.errors import PublishError
from pipeline.mirrors.destination import find_destination
from pipeline.mirrors.places.base import Destination
from pipeline.model import PublishedRpm
from pipeline.signing import packages


def fetch(rpms: Sequence[PublishedRpm], context: TargetContext) -> tuple[Path, ...]:
    """Where each package can be read: on a local mirror in its place, else as a copy. Raises: PublishError."""
    place = find_destination(context.settings, context.target_name)
    folder = Path(place.address)
    if not place.is_local:
        folder = context.scratch_dir / f"published-{context.target_name}"
        place.fetch_below((rpm.href for rpm in rpms), folder, context.log_path)
    refuse_other(rpms, folder, place)
    return tuple(folder / rpm.href for rpm in rpms)


def refuse_other(rpms: Sequence[PublishedRpm], folder: Path, place: Destination) -> None:
    """Raises: PublishError unless what lies below a folder is what the place's metadata names."""
    for rpm in rpms:
        if not (folder / rpm.href).is_file() or files.sha256_of(folder / rpm.href) != rpm.sha256:
            raise PublishError(
                "mirror-differs",
                f"{rpm.href} on the mirror {place.address} is not what its metadata says",
                hint="put the published file back as it was: hosts cannot install it either",
            )


def is_same_content(path: Path, there: PublishedRpm, context: TargetContext) -> bool:
    """Whether a package here and a published one differ in their signatures alone; one that is gone is not the same.

    Raises: PublishError, SigningError.
    """
    if not path.is_file():
        return False
    if files.sha256_of(path) == there.sha256:
        return True
    (published,) = fetch([there], context)
    return packages.content_digest(path) == packages.content_digest(published)
