# SPDX-License-Identifier: GPL-2.0-or-later
"""Read a snapshot back from where it now lies, as its readers will: by its url where there is one.

A snapshot is a whole repository of its own, so it can be tried before anybody is led to it. On this machine it is read
where it lies; from elsewhere it is copied.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from pipeline.errors import PublishError, SigningError
from pipeline.mirrors import layout, repodata, web
from pipeline.mirrors.places.base import Destination
from pipeline.signing import metadata as signature


def check_snapshot(
    place: Destination, revision: int, packages: Sequence[str], keys_path: Path, log_path: Path | None
) -> None:
    """See that readers get all that the snapshot's `repomd.xml` names, unchanged, and its packages through its links.

    Raises: PublishError.
    """
    snapshot = layout.snapshot(revision)
    where = f"{place.address}/{snapshot}"
    with _folder_for(place, snapshot) as folder:
        _get(place, snapshot, [layout.REPOMD, layout.SIGNATURE], folder, log_path)
        repomd, signed = (_content(folder / name, where) for name in (layout.REPOMD, layout.SIGNATURE))
        index = repodata.read_index(repomd, place.address)
        _get(place, snapshot, [file.href for file in index.files], folder, log_path)
        for file in index.files:
            repodata.verify(file, folder, where)
        _verify(repomd, signed, keys_path, where)
        for href in {href.partition("/")[0]: href for href in packages if href.endswith(".rpm")}.values():
            _check_link(place, snapshot, href, folder, log_path)


def _verify(repomd: bytes, signed: bytes, keys_path: Path, where: str) -> None:
    try:
        signature.verify(repomd, signed, [keys_path])
    except SigningError as error:
        raise PublishError(
            "mirror-differs",
            f"the signature in {where} is not what was sent: {error.message}",
            hint="look what stands between us and the mirror, then run the same again: readers see what they saw",
        ) from None


def _check_link(place: Destination, snapshot: str, href: str, folder: Path, log_path: Path | None) -> None:
    """See that a package is found from the snapshot. Raises: PublishError."""
    try:
        _get(place, snapshot, [href], folder, log_path)
        with (folder / href).open("rb") as stream:
            stream.read(1)  # that it is what was sent is seen from its own place
    except (PublishError, OSError) as error:
        why = error.message if isinstance(error, PublishError) else error.strerror
        raise PublishError(
            "mirror-links",
            f"{snapshot}/{href} on the mirror {place.url or place.address} cannot be read: {why}",
            hint="its links must be followed: `munge symlinks = no` for the rsync module, FollowSymLinks for httpd",
            log_path=log_path,
        ) from None


@contextmanager
def _folder_for(place: Destination, snapshot: str) -> Iterator[Path]:
    """Where the snapshot can be read: in its place, or a folder that it is copied to."""
    if _is_in_place(place):
        yield Path(place.address) / snapshot
        return
    with tempfile.TemporaryDirectory(dir=place.scratch_dir, prefix="readback-") as name:
        yield Path(name)


def _get(place: Destination, snapshot: str, names: Sequence[str], folder: Path, log_path: Path | None) -> None:
    """Have files of the snapshot, all of one folder, at the same names below a folder here, as readers get them."""
    if _is_in_place(place):
        return
    into_dir = (folder / names[0]).parent
    into_dir.mkdir(parents=True, exist_ok=True)
    if place.url:
        for name in names:
            web.fetch(f"{place.url}/{snapshot}/{quote(name)}", folder / name, place.timeout_seconds)
    else:
        place.fetch([f"{snapshot}/{name}" for name in names], into_dir, log_path)


def _content(path: Path, where: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PublishError(
            "mirror-failed",
            f"{path.name} of {where} cannot be read: {error.strerror}",
            hint="look at the mirror's disk, then run the same again: what readers use was not touched",
        ) from None


def _is_in_place(place: Destination) -> bool:
    return place.is_local and not place.url
