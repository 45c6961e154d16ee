# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a package goes in a repository: one that is published stays where and as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.context import TargetContext
from pipeline.errors import PublishError
from pipeline.mirrors import published
from pipeline.model import PublishedRpm, Rpm


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
        if not published.is_same_content(self.context.out_path / rpm.file.path, there, self.context):
            raise PublishError(
                "nevra-taken",
                f"{rpm.nevra} is published already with other contents"
                f" (sha256 {there.sha256[:12]}, ours {rpm.file.sha256[:12]})",
                hint="a published package never changes: bump the release, by running `.venv/bin/nox -s release` again"
                " or by raising release_floor in pipeline.toml",
            )
        return Placed(rpm=rpm, published=there, is_new=False)


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
