# SPDX-License-Identifier: GPL-2.0-or-later
"""Read a snapshot back from where it now lies, as its readers will: by its url where there is one.

A snapshot is a whole repository of its own, so it can be tried before anybody is led to it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import PublishError
from pipeline.mirrors import layout, repodata, web
from pipeline.mirrors.destination import Destination
from pipeline.signing import metadata as signature


def check_snapshot(
    place: Destination, revision: int, packages: Sequence[str], keys_path: Path, log_path: Path | None
) -> None:
    """See that readers get all that the snapshot's `repomd.xml` names, unchanged, and its packages through its links.

    Raises: PublishError.
    """
    with tempfile.TemporaryDirectory(dir=place.scratch_dir, prefix="readback-") as name:
        folder = Path(name)
        snapshot = layout.snapshot(revision)
        _get(
            place, [f"{snapshot}/{layout.REPOMD}", f"{snapshot}/{layout.SIGNATURE}"], folder / layout.REPODATA, log_path
        )
        index = repodata.read_index((folder / layout.REPOMD).read_bytes(), place.address)
        _get(place, [f"{snapshot}/{file.href}" for file in index.files], folder / layout.REPODATA, log_path)
        for file in index.files:
            repodata.verify(file, folder, f"{place.address}/{snapshot}")
        signature.verify((folder / layout.REPOMD).read_bytes(), (folder / layout.SIGNATURE).read_bytes(), [keys_path])
        _check_links(place, snapshot, packages, folder / "packages", log_path)


def _check_links(
    place: Destination, snapshot: str, packages: Sequence[str], folder: Path, log_path: Path | None
) -> None:
    """See that one new package of each folder is found from the snapshot. Raises: PublishError."""
    for href in {href.partition("/")[0]: href for href in packages if href.endswith(".rpm")}.values():
        try:
            _get(place, [f"{snapshot}/{href}"], folder, log_path)
        except PublishError as error:
            raise PublishError(
                "mirror-links",
                f"{snapshot}/{href} on the mirror {place.url or place.address} cannot be read: {error.message}",
                hint="its links must be followed: `munge symlinks = no` for the rsync module, FollowSymLinks for httpd",
                log_path=log_path,
            ) from None


def _get(place: Destination, names: Sequence[str], folder: Path, log_path: Path | None) -> None:
    """Copy files of the place into one folder here, as readers get them."""
    folder.mkdir(parents=True, exist_ok=True)
    if place.url:
        for name in names:
            web.fetch(f"{place.url}/{name}", folder / name.rpartition("/")[2], place.timeout_seconds)
    else:
        place.fetch(names, folder, log_path)
