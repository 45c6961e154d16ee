# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages that a primary.xml names, read by its text where that is plain, by createrepo_c elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline import release
from pipeline.mirrors.metadata import canonical, elements, indexed, streams
from pipeline.mirrors.metadata.elements import PRIMARY, unescape
from pipeline.mirrors.metadata.faults import Damaged, NotPlain, unreadable
from pipeline.mirrors.metadata.indexed import Part
from pipeline.model import Evr, PublishedRpm

_BASE = r'xml:base="[^"<]*"'
_LOCATION = re.compile(
    r'<size package="([0-9]{1,18})"[^<>]*/>'
    rf'\s*<location (?:{_BASE} )?href="([^"<\t\n]*)"(?: {_BASE})?\s*/>'
)  # fmt: skip
_SOURCE = "<rpm:sourcerpm>"


def read_packages(primary_path: Path, place: str) -> tuple[PublishedRpm, ...]:
    """The packages that a primary.xml names, in its order. Raises: PublishError."""
    try:
        try:
            return tuple(_read_plain(primary_path))
        except NotPlain:
            return tuple(_read_parsed(primary_path))
    except Damaged as error:
        raise unreadable(place, f"{primary_path.name} cannot be read ({error})") from None


def _read_plain(path: Path) -> Iterator[PublishedRpm]:
    try:
        said, found = canonical.locate(PRIMARY, streams.read_whole(path))
    except NotPlain:
        for batch in elements.read_batches(PRIMARY, streams.read_pieces(path)):
            yield from map(_package, batch)
        return
    chunks = [_chunk(bytes(part.body), part.crc) for part in found]
    elements.check_count(said, sum(map(len, chunks)))
    yield from chain.from_iterable(chunks)


@lru_cache(maxsize=4096)
def _chunk(body: bytes, crc: int) -> tuple[PublishedRpm, ...]:
    """The packages of one chunk. The next state of a repository has nearly all of them too."""
    return tuple(map(_package, elements.split(indexed.unpack(Part(body=body, crc=crc)))))


def _package(element: str) -> PublishedRpm:
    name, arch, epoch, version, rpm_release, sha256 = PRIMARY.key(element)
    found = _LOCATION.match(element, element.find("<size "))
    if found is None or not epoch.isdigit():
        raise NotPlain("a package that is written in another way")
    start = element.find(_SOURCE, found.end()) + len(_SOURCE)
    source_rpm = unescape(element[start : element.find("<", start)]) if start >= len(_SOURCE) else ""
    return PublishedRpm(
        name=name,
        evr=Evr(epoch=int(epoch), version=version, release=rpm_release),
        arch=arch,
        href=inside(unescape(found[2])),
        size_bytes=int(found[1]),
        sha256=sha256,
        source=release.source_name(source_rpm, name),
    )


def _read_parsed(path: Path) -> list[PublishedRpm]:
    import createrepo_c  # late: it loads a large library

    said = streams.check(path)
    found: list[PublishedRpm] = []
    try:
        createrepo_c.xml_parse_primary(
            str(path), pkgcb=lambda package: found.append(_published(package)),
            warningcb=lambda kind, text: True, do_files=False,
        )  # fmt: skip
    except createrepo_c.CreaterepoCError as error:
        raise Damaged(str(error)) from None
    elements.check_count(said, len(found))
    return found


def _published(package: Any) -> PublishedRpm:
    if package.checksum_type != "sha256":
        raise Damaged(f"it names {package.nevra()} by its {package.checksum_type}, not by its sha256")
    return PublishedRpm(
        name=package.name,
        evr=Evr(epoch=number(package.epoch), version=package.version, release=package.release),
        arch=package.arch,
        href=inside(package.location_href),
        size_bytes=package.size_package,
        sha256=package.pkgId,
        source=release.source_name(package.rpm_sourcerpm, package.name),
    )


def inside(href: str) -> str:
    """The href, if it stays in the repository: we write files by it. Raises: Damaged."""
    if not href or href[0] == "/" or "\n" in href or (".." in href and ".." in href.split("/")):
        raise Damaged(f"the location '{href}' leads out of the repository")
    return href


def number(text: str | None) -> int:
    """The number, or 0 for what is none."""
    stripped = (text or "").strip()
    return int(stripped) if stripped.isascii() and stripped.isdigit() else 0
