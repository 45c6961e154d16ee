# SPDX-License-Identifier: GPL-2.0-or-later
"""What the three files say of packages that are not in them yet, by createrepo_c's reader and writer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import PublishError
from pipeline.mirrors.metadata import streams
from pipeline.mirrors.metadata.elements import END, FILELISTS, KINDS, OTHER, PRIMARY, Kind, check_count
from pipeline.mirrors.metadata.faults import Damaged

_CHANGELOG_LIMIT = 10

# For each kind, the packages' elements, each without its end tag.
Described = dict[Kind, list[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class NewRpm:
    """A package to be named at `href`; its file lies at `path`."""

    path: Path
    href: str


def describe(rpms: Iterable[NewRpm]) -> Described:
    """Raises: PublishError for a file that is no package."""
    return _dumped(map(_package, rpms))


def describe_anew(paths: Sequence[Path]) -> Described:
    """All packages of a former primary, filelists and other that only a parser reads. Raises: Damaged."""
    import createrepo_c

    said = {streams.check(path) for path in paths}
    try:
        described = _dumped(createrepo_c.PackageIterator(*map(str, paths), warningcb=lambda kind, text: True))
    except createrepo_c.CreaterepoCError as error:
        raise Damaged(str(error)) from None
    for count in said:
        check_count(count, len(described[PRIMARY]))
    return described


def _package(rpm: NewRpm) -> Any:
    import createrepo_c  # late: it loads a large library

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


def _dumped(packages: Iterable[Any]) -> Described:
    import createrepo_c

    described: Described = {kind: [] for kind in KINDS}
    for package in packages:
        described[PRIMARY].append(_element(createrepo_c.xml_dump_primary(package)))
        described[FILELISTS].append(_element(createrepo_c.xml_dump_filelists(package)))
        described[OTHER].append(_element(createrepo_c.xml_dump_other(package)))
    return described


def _element(text: str) -> str:
    return text.strip().removesuffix(END)
