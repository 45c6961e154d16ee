# SPDX-License-Identifier: GPL-2.0-or-later
"""Repodata: read what `repomd.xml` names, verified, and write a new set that names more.

Source: yum 3.2.29 reads gz (never xz or zstd) and takes `repomd.xml` for newer by its revision.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

from pipeline import release
from pipeline.errors import PublishError
from pipeline.model import Evr, PublishedRpm

_XML = "{http://linux.duke.edu/metadata/repo}"
BASE_KINDS = ("primary", "filelists", "other")
# Made from the three above: they would name the former state.
_DERIVED_ENDINGS = ("_db", "_zck", "-ext", "_ext")
_CHANGELOG_LIMIT = 10
_LATEST_TIME = 2**31 - 1
# Source: createrepo_c(8); "sha" is the old word for sha1.
_DIGESTS = {
    "sha": "sha1",
    "sha1": "sha1",
    "sha224": "sha224",
    "sha256": "sha256",
    "sha384": "sha384",
    "sha512": "sha512",
}
_REMAKE = "remake its repodata with `createrepo_c --checksum sha256 --general-compress-type gz`"


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
    def carried_files(self) -> tuple[MetadataFile, ...]:
        """What a new set is made from: the three base files, and groups, advisories and the like."""
        return tuple(file for file in self.files if not file.kind.endswith(_DERIVED_ENDINGS))


@dataclass(frozen=True, kw_only=True, slots=True)
class NewRpm:
    """A package to be named at `href`; its file lies at `path`."""

    path: Path
    href: str


def read_index(content: bytes, place: str) -> Index:
    """What the `repomd.xml` of `place` names. Raises: PublishError."""
    try:
        root = ElementTree.fromstring(content)
        named = tuple(_metadata_file(data) for data in root.findall(f"{_XML}data"))
    except (ElementTree.ParseError, ValueError) as error:
        raise _unreadable(place, f"repomd.xml cannot be read ({error})") from None
    index = Index(revision=_number(root.findtext(f"{_XML}revision")), files=named)
    if index.file("primary") is None:
        raise _unreadable(place, "repomd.xml names no primary metadata")
    return index


def verify(file: MetadataFile, folder: Path, place: str) -> None:
    """Raises: PublishError unless the file in the repository's `folder` is the one that was named."""
    try:
        with (folder / file.href).open("rb") as stream:
            found = hashlib.file_digest(stream, file.digest_name).hexdigest()
    except FileNotFoundError:
        raise _unreadable(place, f"{file.href} is named by repomd.xml and is not there") from None
    if found != file.digest:
        raise _unreadable(place, f"{file.href} has other contents than repomd.xml says")


def is_verified(file: MetadataFile, folder: Path) -> bool:
    try:
        verify(file, folder, "")
    except PublishError:
        return False
    return True


def read_packages(primary_path: Path, place: str) -> tuple[PublishedRpm, ...]:
    """The packages that a primary.xml names, in its order. Raises: PublishError."""
    import createrepo_c  # late: it loads a large library

    found: list[PublishedRpm] = []
    try:
        createrepo_c.xml_parse_primary(
            str(primary_path), pkgcb=lambda package: found.append(_published(package, place)),
            warningcb=lambda kind, text: True, do_files=False,
        )  # fmt: skip
    except createrepo_c.CreaterepoCError as error:
        raise _unreadable(place, f"{primary_path.name} cannot be read ({error})") from None
    return tuple(found)


def write(
    folder: Path,
    *,
    new: Sequence[NewRpm],
    carried: Sequence[PublishedRpm],
    before: Index | None,
    before_dir: Path,
    revision: int,
) -> None:
    """Write `folder/repodata` that names the new packages and the carried ones, as `before_dir` describes these.

    The same packages and the same revision give the same bytes.

    Raises: PublishError.
    """
    import createrepo_c

    try:
        repomd = _write_files(folder, new, carried, before, before_dir, revision)
    except createrepo_c.CreaterepoCError as error:
        raise PublishError(
            "repodata-unwritten",
            f"createrepo_c could not write {folder.name}/repodata: {error}",
            hint="free space below out/, then run the same again",
        ) from None
    for record in repomd.records:
        record.timestamp = _stamp(revision)
        repomd.set_record(record)  # `records` gives copies
    (folder / "repodata" / "repomd.xml").write_text(repomd.xml_dump(), encoding="utf-8")
    set_times(folder, revision)


def _write_files(
    folder: Path,
    new: Sequence[NewRpm],
    carried: Sequence[PublishedRpm],
    before: Index | None,
    before_dir: Path,
    revision: int,
) -> Any:
    import createrepo_c

    writer = createrepo_c.RepositoryWriter(
        str(folder), num_packages=len(new) + len(carried), unique_md_filenames=True, changelog_limit=_CHANGELOG_LIMIT,
        compression=createrepo_c.GZ_COMPRESSION, checksum_type=createrepo_c.SHA256,
    )  # fmt: skip
    writer.repomd.set_revision(str(revision))
    if before is not None:
        for package in _described(before, before_dir, carried):
            writer.add_pkg(package)
        for file in before.carried_files:
            if file.kind not in BASE_KINDS:
                writer.add_repomd_metadata(file.kind, str(before_dir / file.href), use_compression=False)
    for rpm in new:
        writer.add_pkg(_package(rpm))
    writer.finish()
    return writer.repomd


def _package(rpm: NewRpm) -> Any:
    import createrepo_c

    try:
        return createrepo_c.package_from_rpm(
            str(rpm.path), createrepo_c.SHA256, location_href=rpm.href, changelog_limit=_CHANGELOG_LIMIT
        )
    except OSError as error:
        raise PublishError(
            "package-unreadable",
            f"{rpm.path.name} cannot be read as a package ({error})",
            hint="it is damaged: remove it, then run the same again, so that it is built anew",
        ) from None


def _described(before: Index, before_dir: Path, wanted: Iterable[PublishedRpm]) -> Iterator[Any]:
    """createrepo_c's own packages for the wanted ones, whole."""
    import createrepo_c

    paths = [str(before_dir / file.href) for kind in BASE_KINDS if (file := before.file(kind))]
    if len(paths) < len(BASE_KINDS):
        raise _unreadable(str(before_dir), "repomd.xml names no filelists or no other metadata")
    left = {(rpm.href, rpm.sha256) for rpm in wanted}
    for package in createrepo_c.PackageIterator(*paths, warningcb=lambda kind, text: True):
        if (package.location_href, package.pkgId) in left:
            yield package


def renumbered(content: bytes, revision: int) -> bytes:
    """A `repomd.xml` with another revision, and all else as it was."""
    return re.sub(rb"<revision>[^<]*</revision>", b"<revision>%d</revision>" % revision, content, count=1)


def set_times(folder: Path, revision: int) -> None:
    """Give the metadata files the revision for a time: the clock is the only thing that would differ."""
    stamp = _stamp(revision)
    for path in (folder / "repodata").iterdir():
        path.chmod(0o644)
        os.utime(path, (stamp, stamp))


def _stamp(revision: int) -> int:
    return min(revision, _LATEST_TIME)  # a revision given by hand may be any number


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
        href=_inside(location.get("href", "")),
        digest_name=digest_name,
        digest=(checksum.text or "").strip(),
    )


def _published(package: Any, place: str) -> PublishedRpm:
    if package.checksum_type != "sha256":
        raise _unreadable(place, f"it names {package.nevra()} by its {package.checksum_type}, not by its sha256")
    try:
        href = _inside(package.location_href)
    except ValueError as error:
        raise _unreadable(place, str(error)) from None
    return PublishedRpm(
        name=package.name,
        evr=Evr(epoch=_number(package.epoch), version=package.version, release=package.release),
        arch=package.arch,
        href=href,
        size_bytes=package.size_package,
        sha256=package.pkgId,
        source=release.source_name(package.rpm_sourcerpm, package.name),
    )


def _inside(href: str) -> str:
    """The href, if it stays in the repository: we write files by it."""
    path = PurePosixPath(href)
    if not href or path.is_absolute() or ".." in path.parts or "\n" in href:
        raise ValueError(f"the location '{href}' leads out of the repository")
    return href


def _number(text: str | None) -> int:
    stripped = (text or "").strip()
    return int(stripped) if stripped.isascii() and stripped.isdigit() else 0


def _unreadable(place: str, why: str) -> PublishError:
    return PublishError(
        "repodata-unreadable",
        f"the repository {place} is not whole: {why}",
        hint=f"if somebody is just publishing to it, run the same again; else {_REMAKE}",
    )
