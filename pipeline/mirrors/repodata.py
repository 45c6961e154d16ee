# SPDX-License-Identifier: GPL-2.0-or-later
"""Repodata: read what `repomd.xml` names, verified, and write a new set that names more.

Source: yum 3.2.29 reads gz (never xz or zstd) and takes `repomd.xml` for newer by its revision.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from pipeline.errors import PublishError
from pipeline.mirrors.metadata import newrpms, records, splice
from pipeline.mirrors.metadata.elements import KINDS, Kind
from pipeline.mirrors.metadata.faults import unreadable
from pipeline.mirrors.metadata.newrpms import NewRpm
from pipeline.mirrors.metadata.packages import inside, number, read_packages

__all__ = ["BASE_KINDS", "Index", "MetadataFile", "NewRpm", "is_verified", "read_index", "read_packages", "renumbered"]
__all__ += ["set_times", "verify", "write"]

_XML = "{http://linux.duke.edu/metadata/repo}"
BASE_KINDS = tuple(kind.name for kind in KINDS)
# Made from the three above: they would name the former state.
_DERIVED_ENDINGS = ("_db", "_zck", "-ext", "_ext")
# Source: createrepo_c(8); "sha" is the old word for sha1.
_DIGESTS = {
    "sha": "sha1",
    "sha1": "sha1",
    "sha224": "sha224",
    "sha256": "sha256",
    "sha384": "sha384",
    "sha512": "sha512",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class MetadataFile:
    """One file that `repomd.xml` names."""

    kind: str
    href: str
    digest_name: str
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Index:
    """What a `repomd.xml` says; a revision that is no number counts as 0."""

    revision: int
    files: tuple[MetadataFile, ...]

    def file(self, kind: str) -> MetadataFile | None:
        return next((file for file in self.files if file.kind == kind), None)

    @property
    def primary(self) -> MetadataFile:
        """What names the packages; an index without it is not read at all."""
        return next(file for file in self.files if file.kind == "primary")

    @property
    def carried_files(self) -> tuple[MetadataFile, ...]:
        """What a new set is made from: the three base files, and groups, advisories and the like."""
        return tuple(file for file in self.files if not file.kind.endswith(_DERIVED_ENDINGS))


def read_index(content: bytes, place: str) -> Index:
    """What the `repomd.xml` of `place` names. Raises: PublishError."""
    try:
        root = ElementTree.fromstring(content)
        named = tuple(_metadata_file(data) for data in root.findall(f"{_XML}data"))
    except (ElementTree.ParseError, ValueError) as error:
        raise unreadable(place, f"repomd.xml cannot be read ({error})") from None
    index = Index(revision=number(root.findtext(f"{_XML}revision")), files=named)
    if index.file("primary") is None:
        raise unreadable(place, "repomd.xml names no primary metadata")
    return index


def verify(file: MetadataFile, folder: Path, place: str) -> None:
    """Raises: PublishError unless the file in the repository's `folder` is the one that was named."""
    try:
        with (folder / file.href).open("rb") as stream:
            found = hashlib.file_digest(stream, file.digest_name).hexdigest()
    except FileNotFoundError:
        raise unreadable(place, f"{file.href} is named by repomd.xml and is not there") from None
    if found != file.digest:
        raise unreadable(place, f"{file.href} has other contents than repomd.xml says")


def is_verified(file: MetadataFile, folder: Path) -> bool:
    try:
        verify(file, folder, "")
    except PublishError:
        return False
    return True


def write(
    folder: Path,
    *,
    new: Sequence[NewRpm],
    dropped: Collection[tuple[str, str]],
    before: Index | None,
    before_dir: Path,
    revision: int,
) -> None:
    """Write `folder/repodata` that names the new packages, and all that `before` names without the dropped ones.

    A package is dropped by its NEVRA and sha256. `before` describes what lies in `before_dir` and was verified.
    The same packages and the same revision give the same bytes. There is a whole `repodata` or none.

    Raises: PublishError.
    """
    import createrepo_c  # late: it loads a large library

    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".repodata-") as name:
            made_dir = Path(name) / "repodata"
            made_dir.mkdir()
            _write_files(made_dir, new, dropped, before, before_dir, revision)
            set_times(Path(name), revision)
            made_dir.rename(folder / "repodata")
    except (OSError, createrepo_c.CreaterepoCError) as error:
        raise PublishError(
            "repodata-unwritten",
            f"{folder.name}/repodata could not be written: {error}",
            hint="free space below out/, then run the same again",
        ) from None


def _write_files(
    made_dir: Path,
    new: Sequence[NewRpm],
    dropped: Collection[tuple[str, str]],
    before: Index | None,
    before_dir: Path,
    revision: int,
) -> None:
    place = str(before_dir)
    base, others = _sorted_out(before, before_dir)
    made = splice.make_all(made_dir, base, newrpms.describe(new), dropped, place)
    carried = [records.carry(kind, path, made_dir) for kind, path in others]
    (made_dir / "repomd.xml").write_text(records.repomd(made, carried, revision), encoding="utf-8")


def _sorted_out(before: Index | None, before_dir: Path) -> tuple[dict[Kind, Path], list[tuple[str, Path]]]:
    """The three files that name the packages, and those of other kinds."""
    if before is None:
        return {}, []
    base = {kind: before_dir / file.href for kind in KINDS if (file := before.file(kind.name))}
    if len(base) < len(KINDS):
        raise unreadable(str(before_dir), "repomd.xml names no filelists or no other metadata")
    others = [(file.kind, before_dir / file.href) for file in before.carried_files if file.kind not in BASE_KINDS]
    return base, others


def renumbered(content: bytes, revision: int) -> bytes:
    """A `repomd.xml` with another revision, and all else as it was."""
    return re.sub(rb"<revision>[^<]*</revision>", b"<revision>%d</revision>" % revision, content, count=1)


def set_times(folder: Path, revision: int) -> None:
    """Give the metadata files the revision for a time: the clock is the only thing that would differ."""
    stamp = records.stamp(revision)
    for path in (folder / "repodata").iterdir():
        path.chmod(0o644)
        os.utime(path, (stamp, stamp))


def _metadata_file(data: ElementTree.Element) -> MetadataFile:
    checksum = data.find(f"{_XML}checksum")
    location = data.find(f"{_XML}location")
    if checksum is None or location is None:
        raise ValueError("an entry without checksum or location")
    digest_name = _DIGESTS.get(checksum.get("type", ""))
    if digest_name is None:
        raise ValueError(f"checksum type '{checksum.get('type')}'")
    return MetadataFile(
        kind=data.get("type", ""),
        href=inside(location.get("href", "")),
        digest_name=digest_name,
        digest=(checksum.text or "").strip(),
    )
