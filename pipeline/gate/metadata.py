# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether yum 3.2.29, CentOS 6's own, can read a repository's metadata, by what `repomd.xml` names. Pure.

Source: yum 3.2.29, yum/misc.py, decompress(): gz and bz2, and xz only with a module that hosts may lack; zstd never.
sha1 is for el5 alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pipeline.errors import GateError
from pipeline.gate.problem import Problem

BASE_KINDS = ("primary", "filelists", "other")
_DIGEST = "sha256"
_UNREADABLE = (".xz", ".zst", ".zck", ".lzma", ".br")
_MEND = "make it with `createrepo_c --general-compress-type gz --checksum sha256 --no-database`"

# What repomd.xml says of one file: its kind, its place, and the digest that it is named by.
Named = tuple[str, str, str]


def check(named: Iterable[Named]) -> None:
    """Raises: GateError that names all that yum could not read."""
    found = tuple(problems(named))
    if found:
        raise GateError(found[0].reference, "; ".join(each.message for each in found), hint=found[0].mend)


def problems(named: Iterable[Named]) -> Iterator[Problem]:
    """Each thing that yum could not read, or would not check."""
    files = tuple(named)
    for kind in BASE_KINDS:
        if not any(each[0] == kind for each in files):
            database = any(each[0] == f"{kind}_db" for each in files)
            yield _problem(f"repomd.xml names no {kind}{', but a database of it' if database else ''}")
    for kind, href, digest_name in files:
        if digest_name != _DIGEST:
            yield _problem(f"{href} is named by its {digest_name}, and {_DIGEST} is wanted")
        if kind in BASE_KINDS and not href.endswith(".xml.gz"):
            yield _problem(f"{href} is {kind} metadata that yum 3.2.29 cannot read: it reads .xml.gz")
        elif kind.endswith("_zck") or href.endswith(_UNREADABLE):
            yield _problem(f"{href} ({kind}) is compressed as yum 3.2.29 cannot read it")


def _problem(message: str) -> Problem:
    return Problem(reference="metadata-unreadable", message=message, mend=_MEND)
