# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of one set that could not be on a host together: over a file, by Conflicts, or by Obsoletes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from pipeline.gate.problem import Problem
from pipeline.gate.relations import itself, overlap
from pipeline.rpmheaders import Header, PackagedFile

# The first two digits of a mode say what kind of file it is. Source: inode(7).
_KIND_DIGITS = 2
_DIRECTORY = "04"


def over_files(headers: Sequence[Header]) -> Iterator[Problem]:
    """Each path that two packages of a set bring in two ways; a pair is told once, by its first path."""
    owners: dict[str, list[Header]] = {}
    for header in headers:
        for path in header.files if not header.is_source else ():
            owners.setdefault(path, []).append(header)
    told: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for path, sharing in sorted(owners.items()):
        for first, second in combinations(sharing, 2):
            why = _difference(first.files[path], second.files[path])
            if why and first.nevra != second.nevra:
                told.setdefault((first.nevra, second.nevra), []).append((path, why))
    for (one, other), found in told.items():
        path, why = found[0]
        more = f" (and {len(found) - 1} more files)" if len(found) > 1 else ""
        yield Problem(
            reference="file-conflict",
            message=f"{one} and {other} both have {path} with {why}{more}: rpm installs one of them alone",
            mend="let one of them own the file: take it off the other's %files",
        )


def by_word(headers: Sequence[Header]) -> Iterator[Problem]:
    """Each package that says it cannot be beside another one of its set."""
    for header, other in _pairs(headers):
        there = (itself(other), *other.relations["provides"])
        for named in sorted(header.relations["conflicts"], key=str):
            if any(overlap(each, named) for each in there):
                yield Problem(
                    reference="set-conflicts",
                    message=f"{header.nevra} conflicts with {named}, which is {other.nevra} of the same set",
                    mend="take the Conflicts off the spec, or give it a version that the set is not",
                )


def by_obsoleting(headers: Sequence[Header]) -> Iterator[Problem]:
    """Each package that would take another one off the hosts: within a set, or on the way between two.

    Source: rpm 4.8.0, lib/depends.c: a name of its own is not looked at, and what others provide is not either.
    """
    for header, other in _pairs(headers):
        for named in sorted(header.relations["obsoletes"], key=str):
            if overlap(itself(other), named):
                yield Problem(
                    reference="set-obsoletes",
                    message=f"{header.nevra} obsoletes {named}, so it would remove {other.nevra}",
                    mend="take the Obsoletes off the spec, or give it a version below the vendor's",
                )


def _pairs(headers: Sequence[Header]) -> Iterator[tuple[Header, Header]]:
    binaries = [header for header in headers if not header.is_source]
    return ((one, other) for one in binaries for other in binaries if one.name != other.name)


def _difference(first: PackagedFile, second: PackagedFile) -> str:
    """In what two files of one path differ so that rpm does not take both; empty if it does.

    Source: rpm 4.8.0, rpmfiCompare(): ghosts and directories never conflict; rpm 4.18, rpmfilesCompare(): mode and
    owner count too; and two programs for different machines: the 64-bit one is taken.
    """
    if "ghost" in {*first.kinds.split(), *second.kinds.split()}:
        return ""
    kinds = {first.mode[:_KIND_DIGITS], second.mode[:_KIND_DIGITS]}
    if kinds == {_DIRECTORY} or (first.colour and second.colour and first.colour != second.colour):
        return ""
    if len(kinds) > 1:
        return f"modes {first.mode} and {second.mode}"
    if first.link != second.link:
        return f"links to {first.link} and {second.link}"
    if first.digest != second.digest:
        return "other contents"
    if first.mode != second.mode and not first.link:
        return f"modes {first.mode} and {second.mode}"
    return f"owners {first.owner} and {second.owner}" if first.owner != second.owner else ""
