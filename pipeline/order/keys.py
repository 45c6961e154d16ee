# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a built package decides whether those that are built on it are built again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from pipeline import provides
from pipeline.model import BuildResult, RebuildOn, Reservation
from pipeline.rpmheaders import Dependency, Header, read_header

# One a program, in the packages with debug information: it differs whenever the program does.
_OF_ONE_BUILD = ("debuginfo(build-id)",)


def key_of(build: BuildResult, reservation: Reservation, out_path: Path, rebuild_on: RebuildOn) -> str:
    """The key: all that the package is made of, or what it provides. Raises: BuildError for a damaged package."""
    if rebuild_on == "change":
        return reservation.input_sha256
    given = sorted({text for rpm in build.rpms for text in _provided(read_header(out_path / rpm.file.path))})
    return sha256("\n".join(given).encode()).hexdigest()


def digest_of_rpms(build: BuildResult) -> str:
    """All that its binary packages are, to the byte."""
    return sha256("\n".join(sorted(rpm.file.sha256 for rpm in build.rpms)).encode()).hexdigest()


def capabilities_of(build: BuildResult, out_path: Path) -> tuple[str, ...]:
    """What its binary packages provide, files as well, as rpm writes it. Raises: BuildError for a damaged package."""
    headers = [read_header(out_path / rpm.file.path) for rpm in build.rpms]
    given = {str(each) for header in headers for each in header.relations["provides"]}
    return tuple(sorted(given.union(*(header.files for header in headers))))


def _provided(header: Header) -> Iterator[str]:
    """Without its own release, which rises with every build, and without the patches, upon which nothing is built."""
    for each in header.relations["provides"]:
        if each.name not in _OF_ONE_BUILD and not provides.is_of_patch(each.name):
            yield f"{header.name}: {replace(each, evr=_without_release(each, header))}"


def _without_release(given: Dependency, header: Header) -> str:
    return given.evr.removesuffix(f"-{header.evr.release}")
