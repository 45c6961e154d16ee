# SPDX-License-Identifier: GPL-2.0-or-later
"""A yum repository of somebody else's packages: which it is now, and all of one source RPM in it."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline import files, rpmbuild
from pipeline.errors import NetworkError
from pipeline.model import Rpm, Srpm
from pipeline.progress import Progress
from pipeline.sources import sourcerepo
from pipeline.sources.address import redacted
from pipeline.sources.download import Limits
from pipeline.sources.places import Place
from pipeline.sources.sourcerepo import Entry

_IDENTITY_SECONDS = 20
_SHOWN_RELEASES = 5
# What becomes a file name.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~^-]*")


def identity(there: Place, progress: Progress) -> str:
    """The sha256 of its `repomd.xml`, which says all that is in it; nothing more is asked for. Raises: NetworkError."""
    limits = Limits(deadline_seconds=_IDENTITY_SECONDS, attempts=1)
    with tempfile.TemporaryDirectory() as folder:
        return sourcerepo.read_repomd(there.url, Path(folder), limits=limits, progress=progress)[1]


def choose(entries: Sequence[Entry], srpm: Srpm, *, arches: frozenset[str]) -> tuple[Entry, ...]:
    """The packages of exactly this source RPM for these architectures, itself first, the others by name."""
    source_rpm = f"{srpm.name}-{srpm.evr.version}-{srpm.evr.release}.src.rpm"
    sources = [entry for entry in entries if (entry.arch, entry.name, entry.evr) == ("src", srpm.name, srpm.evr)]
    others = [entry for entry in entries if entry.source_rpm == source_rpm and entry.arch in arches]
    return (*sources[:1], *sorted(others, key=lambda entry: (entry.name, entry.arch)))


def others(entries: Sequence[Entry], name: str) -> str:
    """Which releases of a source package it has instead, for a message; empty for none."""
    sources = {entry.source_rpm or f"{entry.name}-{entry.evr}.src.rpm" for entry in entries}
    found = sorted(each.removesuffix(".src.rpm") for each in sources if each.rsplit("-", 2)[0] == name)
    more = f" and {len(found) - _SHOWN_RELEASES} more" if len(found) > _SHOWN_RELEASES else ""
    return f"{', '.join(found[:_SHOWN_RELEASES])}{more}"


def read(there: Place, folder: Path, *, limits: Limits, progress: Progress) -> tuple[list[Entry], str]:
    """All packages that it names, and its identity. Raises: NetworkError."""
    folder.mkdir(parents=True, exist_ok=True)
    repomd, digest = sourcerepo.read_repomd(there.url, folder, limits=limits, progress=progress)
    return sourcerepo.entries(there.url, repomd, limits=limits, progress=progress), digest


def fetch(
    entries: Sequence[Entry], folder: Path, *, pins: Mapping[str, str], limits: Limits, progress: Progress
) -> tuple[Rpm, ...]:
    """These packages, verified, in `folder/SRPMS` and `folder/<arch>`; the limits' deadline is one for all of them.

    The records are relative to `folder`; `pins` are digests by file name that must hold.

    Raises: NetworkError.
    """
    ends = time.monotonic() + limits.deadline_seconds
    fetched = []
    for entry in entries:
        left = replace(limits, deadline_seconds=max(0.1, ends - time.monotonic()))
        fetched.append(_fetch(entry, folder, pins, left, progress))
    return tuple(fetched)


def _fetch(entry: Entry, folder: Path, pins: Mapping[str, str], limits: Limits, progress: Progress) -> Rpm:
    name = f"{entry.name}-{entry.evr.version}-{entry.evr.release}.{entry.arch}.rpm"
    if not _PLAIN.fullmatch(name):
        raise _refused(entry, "no package may be called that")
    path = folder / ("SRPMS" if entry.arch == "src" else entry.arch) / name
    sourcerepo.fetch(entry, path, limits=limits, progress=progress)
    digest = files.sha256_of(path)
    if pins.get(name, digest) != digest:
        raise _refused(entry, f"its sha256 is {digest}, and {pins[name]} is pinned in pipeline.toml")
    try:
        rpm = rpmbuild.read_rpm(path, folder)
    except OSError as error:
        raise _refused(entry, f"it cannot be read as a package ({error})") from None
    if (rpm.name, rpm.evr, rpm.arch) != (entry.name, entry.evr, entry.arch):
        raise _refused(entry, f"it is {rpm.nevra}")
    return rpm


def _refused(entry: Entry, why: str) -> NetworkError:
    return NetworkError(
        "vendor-package-refused",
        f"{redacted(entry.url)} is named as {entry.nevra}: {why}",
        hint="tell who runs the repository, or name another one",
    )
