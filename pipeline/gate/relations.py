# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether what one package provides is what another one names, by rpm's own comparison."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.rpmheaders import Dependency, Header

# Source: rpm's rpmds.h, RPMSENSE_*.
_FLAGS = {"<": 2, ">": 4, "=": 8}


def overlap(provided: Dependency, named: Dependency) -> bool:
    """Whether the two have a version in common; one without a version has all of them.

    Source: rpm's rpmdsCompare(), which yum's rangeCompare() agrees with.
    """
    if provided.name != named.name:
        return False
    if not provided.operator or not named.operator:
        return True
    import rpm  # late: it loads the system's binding

    sides = (
        rpm.ds((each.name, sum(_FLAGS[sign] for sign in each.operator), each.evr), kind)
        for each, kind in ((named, "Requires"), (provided, "Provides"))
    )
    wanted, there = sides
    return bool(wanted.Compare(there))


def itself(header: Header) -> Dependency:
    """The package as its name says it; only this is what Obsoletes look at."""
    evr = header.evr
    return Dependency(name=header.name, operator="=", evr=f"{evr.epoch}:{evr.version}-{evr.release}")


def provided_by(headers: Iterable[Header]) -> dict[str, list[Dependency]]:
    """All that these packages provide, by its name; each provides itself."""
    found: dict[str, list[Dependency]] = {}
    for header in headers:
        for each in (itself(header), *header.relations["provides"]):
            found.setdefault(each.name, []).append(each)
    return found
