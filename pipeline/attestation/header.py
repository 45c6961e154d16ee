# SPDX-License-Identifier: GPL-2.0-or-later
"""What a package's own header says, read by rpm itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline import release
from pipeline.model import Evr
from pipeline.provides import Capability, is_of_patch

# Source: rpm's rpmts.h: all RPMVSF_NO… bits; digests are rpmkeys' work, which says which one is wrong.
_NO_CHECKS = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """`source` is the name of the source package; `capabilities` are those of patches, sorted."""

    name: str
    evr: Evr
    arch: str
    source: str
    licence: str
    rpm_version: str
    capabilities: tuple[Capability, ...]

    @property
    def nevra(self) -> str:
        return f"{self.name}-{self.evr}.{self.arch}"


def read(path: Path) -> Header:
    """Raises: ValueError when it is no RPM; OSError."""
    import rpm  # loads the system's binding: late, it is slow

    transaction = rpm.TransactionSet()
    transaction.setVSFlags(_NO_CHECKS)
    with path.open("rb") as stream:
        try:
            header = transaction.hdrFromFdno(stream)
        except rpm.error as error:
            raise ValueError(f"it is no RPM: {error}") from None
    built_from = header["sourcerpm"] or ""
    pairs = zip(header["provides"], header["provideversion"], strict=True)
    return Header(
        name=header["name"],
        evr=Evr(epoch=header["epoch"] or 0, version=header["version"], release=header["release"]),
        arch=header["arch"] if built_from else "src",
        source=release.source_name(built_from, header["name"]),
        licence=header["license"],
        rpm_version=header["rpmversion"],
        capabilities=tuple(
            sorted((Capability(name=name, version=version) for name, version in pairs if is_of_patch(name)), key=str)
        ),
    )
