# SPDX-License-Identifier: GPL-2.0-or-later
"""What a mirror holds now: its packages and its revision, and the metadata that names them.

A local mirror is read where it lies. Of another one, a copy of the metadata is kept under
`out/.cache/mirror/`, so that only what changed is read again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PublishError
from pipeline.mirrors import repodata
from pipeline.mirrors.destination import Destination, find_destination
from pipeline.mirrors.repodata import Index, MetadataFile
from pipeline.model import MirrorState, PublishedRpm, Rpm
from pipeline.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """A mirror's state with its metadata files, at hand below `dir`; without an index there is no repository."""

    state: MirrorState
    repomd: bytes = b""
    index: Index | None = None
    dir: Path = Path()


def read_state(settings: Settings, target_name: str, *, log_path: Path | None = None) -> MirrorState:
    """What the target's repository holds; an empty state when there is none yet.

    Raises: PublishError when the mirror cannot be reached or read, or its repodata is broken;
    SettingsError for a destination that is none.
    """
    return _read(settings, find_destination(settings, target_name), ("primary",), log_path).state


def read_metadata(settings: Settings, target_name: str, *, log_path: Path | None = None) -> Metadata:
    """The same with all that a new set of metadata is made from. Raises: as `read_state`."""
    return _read(settings, find_destination(settings, target_name), None, log_path)


def is_demo(rpm: Rpm | PublishedRpm) -> bool:
    """Whether the package bears the demo's dist tag."""
    return "demo" in rpm.evr.release.split(".")


def refuse_demo(nevra: str, destination: Destination) -> None:
    """Raises: PublishError when this package of the demo would leave this machine."""
    if not destination.is_local:
        raise PublishError(
            "demo-stays-here",
            f"{nevra} is made from the demo, and {destination.address} is not a directory of this machine",
            hint="publish the demo to a directory (--mirror DIR), or build from vdsm's source (--target el6)",
        )


def _read(
    settings: Settings, destination: Destination, kinds: tuple[str, ...] | None, log_path: Path | None
) -> Metadata:
    repomd = destination.repomd(log_path)
    if repomd is None:
        return Metadata(state=MirrorState(destination=destination.address))
    index = repodata.read_index(repomd, destination.address)
    wanted = [file for file in index.files if kinds is None or file.kind in kinds]
    folder = Path(destination.address)
    if not destination.is_local:
        folder = settings.out_path / ".cache" / "mirror" / hashlib.sha256(destination.address.encode()).hexdigest()[:16]
        _renew(destination, index, wanted, folder, log_path)
    for file in wanted:
        repodata.verify(file, folder, destination.address)
    primary = next(file for file in wanted if file.kind == "primary")
    state = MirrorState(
        destination=destination.address,
        repomd_sha256=hashlib.sha256(repomd).hexdigest(),
        revision=index.revision,
        packages=repodata.read_packages(folder / primary.href, destination.address),
    )
    return Metadata(state=state, repomd=repomd, index=index, dir=folder)


def _renew(
    destination: Destination, index: Index, wanted: list[MetadataFile], folder: Path, log_path: Path | None
) -> None:
    """Fetch what the copy lacks, and drop what the index names no more."""
    by_parent: dict[Path, list[str]] = {}
    for file in wanted:
        if not repodata.is_verified(file, folder):
            by_parent.setdefault((folder / file.href).parent, []).append(file.href)
    for parent, hrefs in by_parent.items():
        destination.fetch(hrefs, parent, log_path)
    named = {folder / file.href for file in index.files}
    for path in folder.rglob("*"):
        if path.is_file() and path not in named:
            path.unlink(missing_ok=True)
