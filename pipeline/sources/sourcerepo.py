# SPDX-License-Identifier: GPL-2.0-or-later
"""A yum repository: its metadata, verified, the packages in it, and the newest source RPM of one version."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from pipeline import release
from pipeline.errors import NetworkError
from pipeline.model import Evr
from pipeline.progress import Progress
from pipeline.sources.address import redacted
from pipeline.sources.download import Limits, download

_REPOMD = "repodata/repomd.xml"
# Source: createrepo_c's checksum names; "sha" is how old repositories call SHA-1.
_ALGORITHMS = {"sha": "sha1", "sha1": "sha1", "sha224": "sha224", "sha256": "sha256", "sha384": "sha384",
               "sha512": "sha512"}  # fmt: skip
_SHOWN_RELEASES = 5
_HINT = "give another source with --source, or tell who runs the repository"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A package as the repository's metadata has it; `checksum` is of `algorithm`.

    `source_rpm` is the file name of the source package that it is built from; a source package has none.
    """

    url: str
    name: str
    evr: Evr
    arch: str
    source_rpm: str
    size_bytes: int
    algorithm: str
    checksum: str

    @property
    def nevra(self) -> str:
        return f"{self.name}-{self.evr}.{self.arch}"


def read_repomd(url: str, folder: Path, *, limits: Limits, progress: Progress) -> tuple[Path, str]:
    """The repository's `repomd.xml`, downloaded into `folder`, and its sha256. Raises: NetworkError."""
    path = folder / "repomd.xml"
    return path, download(_join(url, _REPOMD), path, limits=limits, progress=progress)


def newest(url: str, repomd: Path, *, name: str, version: str, limits: Limits, progress: Progress) -> Entry:
    """The source package `name`-`version` with the newest release, by rpm's own order.

    Raises: NetworkError when the metadata is damaged, or has no such package.
    """
    there = entries(url, repomd, limits=limits, progress=progress)
    of_name = [entry for entry in there if entry.arch == "src" and entry.name == name]
    wanted = [entry for entry in of_name if entry.evr.version == version]
    if not wanted:
        others = ", ".join(sorted({str(entry.evr) for entry in of_name})[:_SHOWN_RELEASES])
        raise NetworkError(
            "not-in-repository",
            f"{redacted(url)} has no source package {name} {version}{f' (it has {others})' if others else ''}",
            hint=f"correct the address or packages.{name}.version in pipeline.toml; it may be no source repository",
        )
    by_rpm = functools.cmp_to_key(release.compare)
    chosen = max(wanted, key=lambda entry: by_rpm(entry.evr))
    newest_of_all = max(of_name, key=lambda entry: by_rpm(entry.evr))
    if release.compare(newest_of_all.evr, chosen.evr) > 0:
        progress.warning(
            f"{redacted(url)} has {name} {newest_of_all.evr}: hosts that see it would take it for newer than ours,"
            f" which is made from {chosen.evr}"
        )
    return chosen


def fetch(entry: Entry, path: Path, *, limits: Limits, progress: Progress) -> None:
    """Puts the package at `path`, with the size and the checksum that the metadata has. Raises: NetworkError."""
    download(entry.url, path, limits=limits, progress=progress)
    size_bytes = path.stat().st_size
    if size_bytes != entry.size_bytes:
        why = f"it has {size_bytes} bytes, and the repository's metadata has {entry.size_bytes}"
        raise _damaged(entry.url, why)
    _verify(path, entry.algorithm, entry.checksum, entry.url)


def entries(url: str, repomd: Path, *, limits: Limits, progress: Progress) -> list[Entry]:
    """All packages of the repository. Raises: NetworkError when its metadata is damaged."""
    import createrepo_c  # late: it loads a large library

    record = _primary_record(url, repomd)
    path = repomd.with_name(f"primary-{PurePosixPath(record.location_href).name}")
    address = _join(url, record.location_href)
    download(address, path, limits=limits, progress=progress)
    _verify(path, record.checksum_type, record.checksum, address)
    found: list[Any] = []
    try:
        createrepo_c.xml_parse_primary(str(path), pkgcb=found.append, do_files=False)
    except createrepo_c.CreaterepoCError as error:
        raise _damaged(address, str(error)) from None
    return [_entry(url, package) for package in found]


def _primary_record(url: str, repomd: Path) -> Any:
    import createrepo_c

    try:
        records = createrepo_c.Repomd(str(repomd)).records
    except createrepo_c.CreaterepoCError as error:
        raise _damaged(_join(url, _REPOMD), str(error)) from None
    primary = [record for record in records if record.type == "primary" and record.location_href]
    if len(primary) != 1:
        raise _damaged(_join(url, _REPOMD), f"it names {len(primary)} primary files")
    return primary[0]


def _entry(url: str, package: Any) -> Entry:
    return Entry(
        url=_join(url, package.location_href),
        name=package.name,
        evr=Evr(epoch=int(package.epoch or 0), version=package.version, release=package.release),
        arch=package.arch,
        source_rpm=package.rpm_sourcerpm or "",
        size_bytes=package.size_package,
        algorithm=package.checksum_type,
        checksum=package.pkgId,
    )


def _join(url: str, location: str) -> str:
    """The address of a file of the repository. Raises: NetworkError for one outside of it."""
    if "://" in location or location.startswith("/") or ".." in PurePosixPath(location).parts:
        raise _damaged(url, f"its metadata names '{location}', which is not below it")
    return f"{url.rstrip('/')}/{quote(location, safe='/+~^%')}"


def _verify(path: Path, algorithm: str, checksum: str, url: str) -> None:
    known = _ALGORITHMS.get(algorithm)
    if known is None:
        raise _damaged(url, f"its checksum is of the kind '{algorithm}', which proves nothing")
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, known).hexdigest()
    if found != checksum:
        raise _damaged(url, f"its {algorithm} is {found}, and the repository's metadata has {checksum}")


def _damaged(url: str, why: str) -> NetworkError:
    return NetworkError("repository-damaged", f"cannot use {redacted(url)}: {' '.join(why.split())}", hint=_HINT)
