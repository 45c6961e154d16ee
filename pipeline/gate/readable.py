# SPDX-License-Identifier: GPL-2.0-or-later
"""What rpm 4.8, CentOS 6's own, cannot read in one package, by its header alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.gate.problem import Problem
from pipeline.gate.relations import overlap
from pipeline.rpmheaders import Dependency, Header

# What rpm 4.8 can do, each with the version that it has it from. Source: rpm 4.8.0, lib/rpmds.c, rpmlibProvides.
# bzip2, xz and lzma, Lua and capabilities are choices of whoever compiles it; CentOS 6 is taken to have them all.
RPMLIB = {
    "VersionedDependencies": "3.0.3-1",
    "CompressedFileNames": "3.0.4-1",
    "PayloadIsBzip2": "3.0.5-1",
    "PayloadIsXz": "5.2-1",
    "PayloadIsLzma": "4.4.2-1",
    "PayloadFilesHavePrefix": "4.0-1",
    "ExplicitPackageProvide": "4.0-1",
    "HeaderLoadSortsTags": "4.0.1-1",
    "ScriptletInterpreterArgs": "4.0.3-1",
    "PartialHardlinkSets": "4.0.4-1",
    "ConcurrentAccess": "4.1-1",
    "BuiltinLuaScripts": "4.2.2-1",
    "FileDigests": "4.6.0-1",
    "FileCaps": "4.6.1-1",
}
# What came later, and how a package does without. Source: rpm 4.18 and 6.0, lib/rpmds.c.
_DO_WITHOUT = {
    "ScriptletExpansion": "take -e and -q off the scriptlets (`%post -e`): say in the spec what they would expand to",
    "TildeInVersions": "write no ~ in a version, release or dependency: `0.rc1` as the release sorts before `1`",
    "CaretInVersions": "write no ^ in a version, release or dependency",
    "LargeFiles": "no file may be larger than 4 GB: split it, or leave it out",
    "RichDependencies": "write `Requires: a` for one of the choices of `Requires: (a or b)`",
    "DynamicBuildRequires": "write the build requirements into the spec: %generate_buildrequires came with rpm 4.15",
    "PayloadIsZstd": "define _binary_payload and _source_payload as w9.gzdio",
}
_DO_WITHOUT_UNKNOWN = "find what in the spec needs it; an older rpm builds what an older rpm reads"
_PAYLOAD_MEND = "define _binary_payload and _source_payload as w9.gzdio, and build again"
# Source: rpm 4.8.0, rpmio/rpmio.c, Fdopen(); what says no compressor is read as gzip (lib/psm.c).
COMPRESSORS = ("gzip", "bzip2", "xz", "lzma")
# Source: RFC 4880, 9.4: OpenPGP's numbers.
_DIGESTS = {1: "MD5", 2: "SHA-1", 8: "SHA-256", 9: "SHA-384", 10: "SHA-512", 11: "SHA-224", 12: "SHA3-256"}
FILE_DIGESTS = (1, 8)
_PACKAGE_FORMAT = 4
# Source: rpm 4.8.0, build/parsePreamble.c, rpmCharCheck(): beside letters and digits; % { } are for macros.
_NAME = re.compile(r"[A-Za-z0-9._+-]+")
_VERSION = re.compile(r"[A-Za-z0-9._+]+")
_MACRO = re.compile(r"%")


def problems(header: Header) -> Iterator[Problem]:
    """Each thing in the package that rpm 4.8 refuses or would order wrongly."""
    yield from _names(header)
    yield from _features(header)
    yield from _encoding(header)


def _names(header: Header) -> Iterator[Problem]:
    parts = (("name", header.name, _NAME), ("version", header.evr.version, _VERSION))
    for what, text, allowed in (*parts, ("release", header.evr.release, _VERSION)):
        if _MACRO.search(text):
            yield Problem(
                reference="macro-left",
                message=f"{header.nevra}: a macro is left in its {what}: nothing defined it",
                mend="define it under targets.<target>.macros in pipeline.toml, or mend the spec template",
            )
        elif not allowed.fullmatch(text):
            strange = "".join(dict.fromkeys(sign for sign in text if not allowed.fullmatch(sign))) or "nothing"
            yield Problem(
                reference="name-refused",
                message=f"{header.nevra}: its {what} has {strange!r}, which rpm 4.8 refuses",
                mend=f"write the {what} with letters, digits, '.', '_' and '+' alone",
            )


def _features(header: Header) -> Iterator[Problem]:
    for wanted in sorted(header.relations["requires"], key=str):
        if not wanted.name.startswith("rpmlib("):
            continue
        feature = wanted.name.removeprefix("rpmlib(").removesuffix(")")
        known = RPMLIB.get(feature, "")
        if not known:
            why = "which rpm 4.8 does not have"
        elif not overlap(Dependency(name=wanted.name, operator="=", evr=known), wanted):
            why = f"and rpm 4.8 has that of {known}"
        else:
            continue
        yield Problem(
            reference="rpmlib-unknown",
            message=f"{header.nevra} requires {wanted}, {why}",
            mend=_DO_WITHOUT.get(feature, _DO_WITHOUT_UNKNOWN),
        )


def _encoding(header: Header) -> Iterator[Problem]:
    found = header.encoding
    if found.package_format != _PACKAGE_FORMAT:
        yield _unreadable(header, f"is in package format {found.package_format}, and rpm 4.8 reads 4",
                          "define _rpmformat as 4, and build again")  # fmt: skip
    if found.payload_format != "cpio":
        yield _unreadable(header, f"has a payload of {found.payload_format}, and rpm 4.8 reads cpio", _PAYLOAD_MEND)
    if found.payload_compressor not in COMPRESSORS:
        why = f"has a payload compressed with {found.payload_compressor}, and rpm 4.8 reads {', '.join(COMPRESSORS)}"
        yield _unreadable(header, why, _PAYLOAD_MEND)
    if header.files and found.file_digest not in FILE_DIGESTS:
        name = _DIGESTS.get(found.file_digest, f"algorithm {found.file_digest}")
        yield _unreadable(header, f"has file digests of {name}, and SHA-256 or MD5 is what all of rpm and yum read",
                          "define _binary_filedigest_algorithm and _source_filedigest_algorithm as 8")  # fmt: skip


def _unreadable(header: Header, why: str, mend: str) -> Problem:
    return Problem(reference="unreadable-for-target", message=f"{header.nevra} {why}", mend=mend)
