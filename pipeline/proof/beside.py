# SPDX-License-Identifier: GPL-2.0-or-later
"""What a client draws in from the repository that is tried, besides the sets: other packages of it, newest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline import release
from pipeline.model import PublishedRpm
from pipeline.proof.trial import Packages
from pipeline.rpmheaders import Header


def drawn_in(primary_path: Path, headers: Iterable[Header], others: Mapping[str, PublishedRpm]) -> Packages:
    """Those of the `others`, by href, that meet what the sets with these headers require, and what these require.

    Of each name the newest is taken, as a client does. Whether versions fit is the client's to say.
    """
    sets = tuple(headers)
    wanted = {each.name for header in sets for each in header.relations["requires"]}
    met = {each.name for header in sets for each in header.relations["provides"]}
    met |= {path for header in sets for path in header.files}
    there, found = _newest(primary_path, others), dict[str, PublishedRpm]()
    while new := {name: each for name, each in there.items() if name not in found and _gives(each) & (wanted - met)}:
        for name, package in new.items():
            found[name] = others[package.location_href]
            wanted |= {each[0] for each in package.requires}
            met |= _gives(package)
    return tuple(found.values())


def _gives(package: Any) -> set[str]:
    """Names that it provides, and the files that clients look for in a requirement."""
    return {*(each[0] for each in package.provides), *(f"{folder}{name}" for _, folder, name, *_ in package.files)}


def _newest(primary_path: Path, others: Mapping[str, PublishedRpm]) -> dict[str, Any]:
    """Name -> package. Source: createrepo_c's Python documentation, which says what its tuples hold."""
    import createrepo_c  # late: it loads a large library

    newest: dict[str, Any] = {}

    def take(package: Any) -> None:
        rpm, other = others.get(package.location_href), newest.get(package.name)
        if rpm and (other is None or release.compare(rpm.evr, others[other.location_href].evr) > 0):
            newest[package.name] = package

    createrepo_c.xml_parse_primary(str(primary_path), pkgcb=take, do_files=True)
    return newest
