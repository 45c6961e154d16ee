# SPDX-License-Identifier: GPL-2.0-or-later
"""The payload of a source RPM: a strict cpio reader that writes plain files under base names only.

`rpm -i` and `cpio` follow whatever a payload says, out of their folder too.
"""

from __future__ import annotations

import lzma
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import IO

from pipeline.errors import SrpmError

_MAGICS = (b"070701", b"070702")
_HEADER_BYTES = 110
_MAX_NAME_BYTES = 255
_CHUNK_BYTES = 1 << 20
_TRAILER = "TRAILER!!!"
_HINT = "get the source RPM again, from where it was made"


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A file of the archive, as its header has it; `mtime_seconds` is since the epoch."""

    name: str
    mode: int
    size_bytes: int
    mtime_seconds: int


def unpack(stream: IO[bytes], destination: Path, *, max_bytes: int) -> tuple[str, ...]:
    """The names of all files in the archive, which now lie in `destination`.

    Raises: SrpmError for a name that is no base name or comes twice, for anything but a plain file,
    for an archive that is cut short, and for one with more than `max_bytes` in its files.
    """
    destination.mkdir(parents=True, exist_ok=True)
    names: list[str] = []
    left_bytes = max_bytes
    for member in _members(stream):
        _check(member, names)
        left_bytes -= member.size_bytes
        if left_bytes < 0:
            raise _error("payload-too-large", f"its payload is larger than {max_bytes} bytes, the most that is taken")
        names.append(member.name)
        _write(stream, member, destination / member.name)
    return tuple(names)


def _members(stream: IO[bytes]) -> Iterator[Member]:
    """Each header in turn; the caller reads the content before it asks for the next."""
    while True:
        member = _read_header(stream)
        if member.name == _TRAILER:
            _read_to_end(stream)
            return
        yield member
        _read(stream, -member.size_bytes % 4)


def _read_header(stream: IO[bytes]) -> Member:
    """Source: cpio(5), "New ASCII Format": thirteen numbers of eight hexadecimal digits."""
    header = _read(stream, _HEADER_BYTES)
    if header[:6] not in _MAGICS:
        raise _error("payload-damaged", "its payload is no cpio archive, or is damaged")
    try:
        fields = [int(header[start : start + 8], 16) for start in range(6, _HEADER_BYTES, 8)]
    except ValueError:
        raise _error("payload-damaged", "its payload has a damaged header") from None
    mode, mtime, size_bytes, name_bytes = fields[1], fields[5], fields[6], fields[11]
    if not 1 < name_bytes <= _MAX_NAME_BYTES:
        raise _error("payload-damaged", f"its payload has a file name of {name_bytes} bytes")
    name = _read(stream, name_bytes)[:-1].decode("utf-8", errors="replace")
    _read(stream, -(_HEADER_BYTES + name_bytes) % 4)
    return Member(name=name, mode=mode, size_bytes=size_bytes, mtime_seconds=mtime)


def _check(member: Member, seen: list[str]) -> None:
    if "/" in member.name or member.name in (".", "..") or not member.name.isprintable():
        raise _error("payload-path", f"its payload names '{member.name}', which is no plain file name")
    if not S_ISREG(member.mode):
        raise _error("payload-kind", f"'{member.name}' in its payload is no plain file")
    if member.name in seen:
        raise _error("payload-twice", f"'{member.name}' is twice in its payload")


def _write(stream: IO[bytes], member: Member, path: Path) -> None:
    left_bytes = member.size_bytes
    with path.open("xb") as output:
        while left_bytes:
            chunk = _read(stream, min(left_bytes, _CHUNK_BYTES))
            output.write(chunk)
            left_bytes -= len(chunk)
    path.chmod(0o644)
    os.utime(path, (member.mtime_seconds, member.mtime_seconds))


def _read(stream: IO[bytes], size_bytes: int) -> bytes:
    """Exactly so many bytes: what a decompressor makes of a damaged stream is one kind of error."""
    try:
        content = stream.read(size_bytes)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise _error("payload-damaged", f"its payload cannot be decompressed: {error}") from None
    if len(content) != size_bytes:
        raise _error("payload-damaged", "its payload is cut short")
    return content


def _read_to_end(stream: IO[bytes]) -> None:
    """Behind the trailer there is padding, and the check sum of the compression."""
    for _ in range(1024):
        try:
            if not stream.read(_CHUNK_BYTES):
                return
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise _error("payload-damaged", f"its payload cannot be decompressed: {error}") from None
    raise _error("payload-damaged", "its payload has more behind its end than a gigabyte")


def _error(reference: str, why: str) -> SrpmError:
    return SrpmError(reference, why, hint=_HINT)
