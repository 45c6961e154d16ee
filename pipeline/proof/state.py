# SPDX-License-Identifier: GPL-2.0-or-later
"""What is installed in the root, against what should be: packages by rpm's query, files by its verification. Pure.

The root is clean: it has no users but root. So rpm gives root what belongs to others, and takes off the set-user-ID
bits of that; owner, group and such a mode may differ there, nothing else, and nothing elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline import release
from pipeline.model import Evr, PublishedRpm
from pipeline.rpmheaders import Header

# Every rpm knows these tags; the database's own number of a transaction shows whether one was made.
QUERY = r"%{NAME}\t%|EPOCH?{%{EPOCH}}:{0}|\t%{VERSION}\t%{RELEASE}\t%{ARCH}\t%{INSTALLTID}\n"
_ROOT = "root:root"
_SET_ID_BITS = 0o6000
# Source: rpm(8), "Verify options": S, M, 5 and so on where something differs, `?` where it could not be read.
_DIFFERS = re.compile(r"([SM5DLUGTP.?]{8,})\s+(?:[acdglr] )?\s*(/.*)")
_WORDS = {
    "S": "size",
    "M": "mode",
    "5": "digest",
    "D": "device number",
    "L": "link",
    "U": "owner",
    "G": "group",
    "T": "time",
    "P": "capabilities",
    "?": "unreadable",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Installed:
    """A package in the root; `transaction` is the number that its installation had."""

    name: str
    evr: Evr
    arch: str
    transaction: str

    @property
    def nevra(self) -> str:
        return f"{self.name}-{self.evr}.{self.arch}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Complaint:
    """What is not as it should be; `package` is a name, empty where none can be told."""

    package: str
    text: str


def read_query(output: str) -> tuple[Installed, ...]:
    """The packages that rpm's query with `QUERY` names."""
    rows = [line.split("\t") for line in output.splitlines() if line.count("\t") == 5]
    return tuple(
        Installed(name=name, evr=Evr(epoch=int(epoch), version=version, release=of), arch=arch, transaction=transaction)
        for name, epoch, version, of, arch, transaction in rows
    )


def wrong_packages(
    installed: Iterable[Installed], expected: Sequence[PublishedRpm], names: Iterable[str]
) -> Iterator[Complaint]:
    """What is not at its EVR, not there, or there and not meant to be; only `names` are of the sets."""
    there = {package.name: package for package in installed}
    wanted = {rpm.name: rpm for rpm in expected}
    for name, rpm in wanted.items():
        found = there.get(name)
        if found is None:
            yield Complaint(package=name, text=f"{rpm.nevra} is not installed")
        elif (found.evr, found.arch) != (rpm.evr, rpm.arch):
            order = release.compare(found.evr, rpm.evr)
            sign = "<" if order < 0 else ">" if order else "="
            text = f"{found.nevra} is installed, not {rpm.nevra} (rpm's order is {found.evr} {sign} {rpm.evr})"
            yield Complaint(package=name, text=text)
    for name in sorted(set(names) & there.keys() - wanted.keys()):
        text = f"{there[name].nevra} stays installed, for which the set has no package: a host would have a mixed set"
        yield Complaint(package=name, text=text)


def wrong_files(output: str, headers: Mapping[str, Header]) -> Iterator[Complaint]:
    """What rpm's verification of the packages with these headers tells, without what a clean root cannot have."""
    owners = {path: (header, file) for header in headers.values() for path, file in header.files.items()}
    for line in filter(None, map(str.strip, output.splitlines())):
        if line.startswith("warning:"):
            continue
        match = _DIFFERS.fullmatch(line)
        if match is None:
            yield Complaint(package="", text=line)
            continue
        flags, path = match.groups()
        header, file = owners.get(path, (None, None))
        letters = set(flags) - {"."} - _may_differ(file.owner if file else _ROOT, int(file.mode, 8) if file else 0)
        if letters:
            told = ", ".join(word for letter, word in _WORDS.items() if letter in letters)
            yield Complaint(package=header.name if header else "", text=f"{path} differs from its package: {told}")


def _may_differ(owner: str, mode: int) -> set[str]:
    if owner == _ROOT:
        return set()
    return {"U", "G", "M"} if mode & _SET_ID_BITS else {"U", "G"}
