# SPDX-License-Identifier: GPL-2.0-or-later
"""A source RPM is checked before anything of it is used, and its payload unpacked by our own reader."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import rpmfile
from rpmfile.errors import RPMError

from pipeline import command
from pipeline.errors import SrpmError
from pipeline.model import Evr
from pipeline.sources import payload, tarball

MAX_UNPACKED_BYTES = 2 << 30
_MAX_HEADER_BYTES = 64 << 20
_CHECK_SECONDS = 300
_LEAD_MAGIC = b"\xed\xab\xee\xdb"
# Source: rpm's own check of tags (rpmCharCheck): what a name, and a version or release, may have.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_VERSION = re.compile(r"[A-Za-z0-9._+~^]+")
_DECOMPRESSORS: dict[str, Callable[[IO[bytes]], Any]] = {
    "gzip": gzip.open,
    "bzip2": bz2.open,
    "xz": lzma.open,
    "lzma": lzma.open,
}
_AGAIN = "get it again, or take another source with --source"


@dataclass(frozen=True, kw_only=True, slots=True)
class SourcePackage:
    """What a checked source RPM says of itself, and the files of its payload."""

    name: str
    evr: Evr
    spec: str
    sources: tuple[str, ...]

    @property
    def file_name(self) -> str:
        return f"{self.name}-{self.evr.version}-{self.evr.release}.src.rpm"


def read_srpm(path: Path, payload_dir: Path, *, label: str, name: str, version: str) -> SourcePackage:
    """The source RPM `name`-`version` at `path`, whose files now lie in `payload_dir`.

    Not one byte of the payload is looked at before the digests in the package hold. `label` is
    what messages call it.

    Raises: SrpmError naming what is wrong with it.
    """
    try:
        _check_format(path)
        _check_digests(path)
        header, payload_offset = _read_header(path)
        found_name, evr = _identity(header)
        _check_identity(found_name, evr, name, version)
        names = _unpack(path, payload_offset, _text(header, "archive_compression") or "gzip", payload_dir)
        package = SourcePackage(name=found_name, evr=evr, spec=_only_spec(names), sources=_sources(names))
        _check_tarballs(payload_dir, package)
    except SrpmError as error:
        raise SrpmError(error.reference, f"{label}: {error.message}", hint=error.hint) from None
    return package


def read_identity(path: Path, *, label: str) -> tuple[str, Evr]:
    """Which source RPM it is that lies at `path`, by its header. Raises: SrpmError naming what is wrong with it."""
    try:
        _check_format(path)
        _check_digests(path)
        return _identity(_read_header(path)[0])
    except SrpmError as error:
        raise SrpmError(error.reference, f"{label}: {error.message}", hint=error.hint) from None


def _check_format(path: Path) -> None:
    with path.open("rb") as stream:
        start = stream.read(64)
    if not start:
        raise SrpmError("srpm-empty", "the file is empty", hint=_AGAIN)
    if not start.startswith(_LEAD_MAGIC):
        shown = start[:16].decode("ascii", errors="replace").strip()
        raise SrpmError("not-an-rpm", f"it is not an RPM package: it begins with {shown!r}", hint=_AGAIN)


def _check_digests(path: Path) -> None:
    """Source: rpmkeys(8). A signature would need its key; digests show damage without one."""
    checked = command.run(
        ["rpmkeys", "--checksig", "--nosignature", str(path.absolute())],
        timeout_seconds=_CHECK_SECONDS,
        accept=(0, 1),
    )
    if checked.exit_code != 0:
        raise SrpmError(
            "srpm-damaged", "its digests do not hold: it was cut short or changed after it was made", hint=_AGAIN
        )


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """The main header's tags, and where the payload begins."""
    try:
        with path.open("rb") as stream:
            package = rpmfile.RPMFile(fileobj=stream)
            offset = int(package.data_offset)
            header = dict(package.headers)
    except (RPMError, AssertionError, struct.error, ValueError, IndexError, OverflowError, MemoryError) as error:
        raise SrpmError("srpm-damaged", f"its header cannot be read: {error}", hint=_AGAIN) from None
    if offset > _MAX_HEADER_BYTES:
        raise SrpmError("srpm-damaged", f"its header has {offset} bytes", hint=_AGAIN)
    return header, offset


def _text(header: dict[str, Any], tag: str) -> str:
    value = header.get(tag, b"")
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else ""


def _identity(header: dict[str, Any]) -> tuple[str, Evr]:
    """Source: rpm's headerIsSource(): a package that names no source RPM is one itself."""
    name = _text(header, "name")
    if header.get("sourcerpm"):
        raise SrpmError(
            "srpm-binary",
            f"it is a binary package of {name}, made from {_text(header, 'sourcerpm')}",
            hint="give the source RPM, whose name ends in .src.rpm",
        )
    if "nosource" in header or "nopatch" in header:
        raise SrpmError("srpm-nosource", "it leaves sources out (.nosrc.rpm)", hint="give one that holds all sources")
    epoch = header.get("epoch", header.get("serial", 0))
    evr = Evr(
        epoch=epoch if isinstance(epoch, int) else 0, version=_text(header, "version"), release=_text(header, "release")
    )
    return name, evr


def _check_identity(name: str, evr: Evr, wanted_name: str, wanted_version: str) -> None:
    if "%" in f"{name}{evr.version}{evr.release}":
        raise SrpmError(
            "srpm-macro",
            f"it calls itself {name}-{evr}: a macro in it was not defined when it was made",
            hint="make it again with `rpmbuild -bs` and the macro defined",
        )
    plain = _NAME.fullmatch(name) and _VERSION.fullmatch(evr.version) and _VERSION.fullmatch(evr.release)
    if not plain:
        raise SrpmError("srpm-name", f"it calls itself '{name}-{evr}', which no package may be called", hint=_AGAIN)
    if (name, evr.version) != (wanted_name, wanted_version):
        raise SrpmError(
            "srpm-other",
            f"it is {name}-{evr}, and {wanted_name} {wanted_version} is wanted",
            hint=f"give the right one, or set packages.{wanted_name}.version in pipeline.toml",
        )


def _unpack(path: Path, offset: int, compression: str, payload_dir: Path) -> tuple[str, ...]:
    decompressor = _DECOMPRESSORS.get(compression)
    if decompressor is None:
        raise SrpmError(
            "srpm-compression",
            f"its payload is compressed with {compression}, which CentOS 6 cannot read either",
            hint="make it again with `rpmbuild -bs --define '_source_payload w9.gzdio'`",
        )
    with path.open("rb") as stream:
        stream.seek(offset)
        with decompressor(stream) as content:
            return payload.unpack(content, payload_dir, max_bytes=MAX_UNPACKED_BYTES)


def _only_spec(names: tuple[str, ...]) -> str:
    specs = [name for name in names if name.endswith(".spec")]
    if len(specs) != 1:
        found = f"{len(specs)} specs ({', '.join(specs)})" if specs else "no spec"
        raise SrpmError("srpm-specs", f"its payload holds {found}, where one is expected", hint=_AGAIN)
    return specs[0]


def _sources(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(name for name in names if not name.endswith(".spec")))


def _check_tarballs(payload_dir: Path, package: SourcePackage) -> None:
    for name in package.sources:
        if tarball.is_tarball(payload_dir / name):
            tarball.check(payload_dir / name, max_bytes=MAX_UNPACKED_BYTES)
