# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a set of packages is one build, all of it, and at least what the vendor has. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from pipeline.gate.problem import Problem
from pipeline.rpmheaders import Header

_BUILD_AGAIN = "run the same again, so that the set is built and signed anew"
# Some rpms make them and some do not, and nothing requires them.
_FOR_DEBUGGERS = ("-debuginfo", "-debugsource", "-debuginfo-common")


def missing(wanted: Iterable[str], there: Collection[str]) -> tuple[str, ...]:
    """The names that are wanted and not there, sorted; those of packages for debuggers do not count."""
    return tuple(sorted(name for name in set(wanted) - set(there) if not name.endswith(_FOR_DEBUGGERS)))


def listed(names: Sequence[str], most: int = 5) -> str:
    """The names for a sentence: the first few, and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def all_of_build(ours: Iterable[Header], built: Iterable[str]) -> Iterator[Problem]:
    """`built` are the NEVRAs that the build made."""
    found, meant = Counter(header.nevra for header in ours), Counter(built)
    for what, names in (("is not in the signed set", meant - found), ("was not built", found - meant)):
        for nevra in sorted(names):
            yield Problem(
                reference="set-incomplete", message=f"{nevra} {what}: the set is not the build", mend=_BUILD_AGAIN
            )


def all_of_vendor(ours: Iterable[Header], vendor: Iterable[Header]) -> Iterator[Problem]:
    """A host that has such a subpackage would keep the vendor's, which requires the vendor's others."""
    lacking = missing(_names(vendor), _names(ours))
    if lacking:
        yield Problem(
            reference="subpackage-missing",
            message=f"the vendor has {listed(lacking)}, and our build does not",
            mend="build with the vendor's options (macros such as with_hooks under targets.<target>.macros), or mend"
            " the spec template",
        )


def more_than_vendor(ours: Iterable[Header], vendor: Iterable[Header]) -> tuple[str, ...]:
    """The subpackages of ours that the vendor has not, sorted."""
    return tuple(sorted(_names(ours) - _names(vendor)))


def one_build(whose: str, headers: Sequence[Header]) -> Iterator[Problem]:
    """Whether all of a set have one epoch, version, release and source package; `whose` is for the messages."""
    evrs = Counter(header.evr for header in headers)
    if not evrs:
        return
    common = evrs.most_common(1)[0][0]
    for header in headers:
        if header.evr != common:
            yield Problem(
                reference="releases-mixed",
                message=f"{header.nevra}: {whose} others are {common}: one build has one version and release",
                mend="take Version, Release and Epoch of its own off the subpackage in the spec, and build again",
            )
    sources = Counter(header.source_rpm for header in headers if not header.is_source)
    if len(sources) > 1:
        source = sources.most_common(1)[0][0]
        for header in headers:
            if not header.is_source and header.source_rpm != source:
                yield _other_source(header, source)
    for header in headers:
        file_name = f"{header.name}-{header.evr.version}-{header.evr.release}.src.rpm"
        if header.is_source and sources and file_name not in sources:
            yield _other_source(header, sources.most_common(1)[0][0])


def unique(headers: Iterable[Header]) -> Iterator[Problem]:
    """Two packages of one name, version and architecture: nobody could tell which a host has."""
    for nevra, count in sorted(Counter(header.nevra for header in headers).items()):
        if count > 1:
            yield Problem(
                reference="nevra-twice",
                message=f"{nevra} is {count} times in the set",
                mend="ours must have a release of its own: see the spec template and packages.<package>.label",
            )


def one_epoch(ours: Sequence[Header], vendor: Sequence[Header]) -> Iterator[Problem]:
    """An epoch goes before the version: with another one, one of the two ways between the sets is closed."""
    for header in ours:
        theirs = {each.evr.epoch for each in vendor if each.name == header.name and each.is_source == header.is_source}
        if theirs and header.evr.epoch not in theirs:
            other = f"the vendor's {header.name} has {theirs.pop()}"
            yield Problem(
                reference="epoch-differs",
                message=f"{header.nevra} has epoch {header.evr.epoch}, and {other}",
                mend="write the vendor's Epoch into the spec template, or none where it has none",
            )


def _names(headers: Iterable[Header]) -> set[str]:
    return {header.name for header in headers if not header.is_source}


def _other_source(header: Header, source: str) -> Problem:
    itself = "is another source package" if header.is_source else f"is built from {header.source_rpm}"
    return Problem(
        reference="sources-mixed", message=f"{header.nevra} {itself}, the others from {source}", mend=_BUILD_AGAIN
    )
