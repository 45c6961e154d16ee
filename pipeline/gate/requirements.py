# SPDX-License-Identifier: GPL-2.0-or-later
"""What packages require: met by their own set where it is theirs to meet, and all the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pipeline.gate.problem import Problem
from pipeline.gate.relations import overlap, provided_by
from pipeline.rpmheaders import Dependency, Header


def unmet(whose: str, headers: Sequence[Header], names: Iterable[str] = ()) -> Iterator[Problem]:
    """Each requirement that names something of the set and is not met by it.

    `names` are packages that belong to the set, be they there or not; `whose` set it is, for the messages.
    """
    provided = provided_by(header for header in headers if not header.is_source)
    own = {*provided, *names}
    for header, wanted in _wanted(headers):
        there = provided.get(wanted.name, [])
        if wanted.name in own and not any(overlap(each, wanted) for each in there):
            versions = ", ".join(dict.fromkeys(each.evr.removeprefix("0:") for each in there))
            found = f"has {wanted.name} {versions}" if there else f"has no {wanted.name}"
            yield Problem(
                reference="requirement-unmet",
                message=f"{header.nevra} requires {wanted}, and {whose} set {found}",
                mend="mend the Requires in the spec: subpackages require each other by %{version}-%{release}",
            )


def external(headers: Sequence[Header], beside: Sequence[Header] = ()) -> tuple[str, ...]:
    """What the set requires of the hosts, sorted: capabilities, and files, that no package of it has, or beside it."""
    provided = provided_by(header for header in (*headers, *beside) if not header.is_source)
    paths = {path for header in (*headers, *beside) if not header.is_source for path in header.files}
    return tuple(
        sorted({str(each) for _, each in _wanted(headers) if each.name not in provided and each.name not in paths})
    )


def _wanted(headers: Iterable[Header]) -> Iterator[tuple[Header, Dependency]]:
    """Requirements of binary packages, but those of rpm itself; a source package's are for the build."""
    for header in headers:
        if not header.is_source:
            for wanted in sorted(header.relations["requires"], key=str):
                if not wanted.name.startswith("rpmlib("):
                    yield header, wanted
