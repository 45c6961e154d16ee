# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a package goes in a repository: one that is published stays where and as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline import files
from pipeline.context import TargetContext
from pipeline.errors import PublishError
from pipeline.mirrors.destination import find_destination
from pipeline.model import PublishedRpm, Rpm
from pipeline.signing import packages


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """A package of ours, and what the repository names it as; what is not new is published already."""

    rpm: Rpm
    published: PublishedRpm
    is_new: bool


@dataclass(frozen=True, kw_only=True)
class Finder:
    """Finds the place of packages among those that a mirror has, by NEVRA."""

    there: Mapping[str, PublishedRpm]
    context: TargetContext

    def place(self, rpm: Rpm) -> Placed:
        """Where a package goes. Raises: PublishError when one of its name is there with other contents."""
        there = self.there.get(rpm.nevra)
        if there is None:
            return Placed(rpm=rpm, published=_published(rpm), is_new=True)
        if there.sha256 != rpm.file.sha256 and not self._is_same_content(rpm, there):
            raise PublishError(
                "nevra-taken",
                f"{rpm.nevra} is published already with other contents"
                f" (sha256 {there.sha256[:12]}, ours {rpm.file.sha256[:12]})",
                hint="a published package never changes: bump the release, by running `.venv/bin/nox -s release` again"
                " or by raising release_floor in pipeline.toml",
            )
        return Placed(rpm=rpm, published=there, is_new=False)

    def _is_same_content(self, rpm: Rpm, there: PublishedRpm) -> bool:
        """Whether the two differ in their signatures alone: one build signed twice is one package."""
        ours = packages.content_digest(self.context.out_path / rpm.file.path)
        return packages.content_digest(self._fetched(there)) == ours

    def _fetched(self, there: PublishedRpm) -> Path:
        """The published file, as its metadata has it. Raises: PublishError."""
        place = find_destination(self.context.settings, self.context.target_name)
        path = Path(place.address) / there.href
        if not place.is_local:
            folder = self.context.scratch_dir / f"published-{self.context.target_name}"
            path = folder / Path(there.href).name
            place.fetch([there.href], folder, self.context.log_path)
        if not path.is_file() or files.sha256_of(path) != there.sha256:
            raise PublishError(
                "mirror-differs",
                f"{there.href} on the mirror {place.address} is not what its metadata says",
                hint="put the published file back as it was: hosts cannot install it either",
            )
        return path


def refuse_shared_places(rpms: Iterable[PublishedRpm]) -> None:
    """A file name has no epoch in it, and two packages of ours may build the same subpackage. Raises: PublishError."""
    places: dict[str, PublishedRpm] = {}
    for rpm in rpms:
        other = places.setdefault(rpm.href, rpm)
        if other is not rpm and (other.nevra, other.sha256) != (rpm.nevra, rpm.sha256):
            raise PublishError(
                "place-taken",
                f"{rpm.nevra} and {other.nevra} would both be {rpm.href}",
                hint="give one of them another name or release",
            )


def _published(rpm: Rpm) -> PublishedRpm:
    folder = "SRPMS" if rpm.arch == "src" else rpm.arch
    return PublishedRpm(
        name=rpm.name,
        evr=rpm.evr,
        arch=rpm.arch,
        href=f"{folder}/{rpm.file.path.name}",
        size_bytes=rpm.file.size_bytes,
        sha256=rpm.file.sha256,
        source=rpm.source,
    )
