# SPDX-License-Identifier: GPL-2.0-or-later
"""Source tarballs: checked before anything unpacks them, read from, and made the same each time."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from pipeline.errors import SrpmError

_OPENERS: dict[bytes, Callable[[Path, str], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
# tarfile reads extended headers whole: a few bytes of gzip could ask for all memory.
_MAX_READ_BYTES = 1 << 20
_MAX_SPEC_BYTES = 16 << 20
_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, ValueError)
_HINT = "get the source again, from where it was made"


def is_tarball(path: Path) -> bool:
    """Whether rpm's %setup would take the file for an archive: by its name, or by what is in it."""
    if path.name.endswith(_SUFFIXES):
        return True
    try:
        with _open(path) as archive:
            return archive.next() is not None
    except _UNREADABLE:
        return False


def check(path: Path, *, max_bytes: int) -> str:
    """The one top folder that all of the tarball stays in, also through its links.

    Raises: SrpmError for a name or link that leads out, a device, a second top folder, an archive
    that cannot be read to its end, or one with more than `max_bytes` in its files.
    """
    tops: set[str] = set()
    links: set[PurePosixPath] = set()
    left_bytes = max_bytes
    with _readable(path) as archive:
        for member in archive:
            left_bytes -= member.size
            if left_bytes < 0:
                raise _error("tar-too-large", path, f"is larger than {max_bytes} bytes when it is unpacked")
            tops.add(_check_member(path, member, links).parts[0])
    if len(tops) != 1:
        found = ", ".join(sorted(tops)[:5]) or "nothing"
        raise _error("tar-folders", path, f"holds {found} at its top, where one folder is expected")
    return tops.pop()


def read_member(path: Path, name: str) -> bytes:
    """The content of one small plain file of the tarball. Raises: SrpmError."""
    with _readable(path) as archive:
        for member in archive:
            if PurePosixPath(member.name) == PurePosixPath(name) and member.isreg():
                if member.size > _MAX_SPEC_BYTES:
                    raise _error("tar-too-large", path, f"has a {name} of {member.size} bytes")
                content = archive.extractfile(member)
                assert content is not None
                found = io.BytesIO()
                shutil.copyfileobj(content, found, _MAX_READ_BYTES)
                return found.getvalue()
    raise _error("tar-lacks", path, f"has no {name}")


def pack(folder: Path, top_name: str, destination: Path, *, mtime_seconds: int) -> None:
    """Write a .tar.gz of a folder, the same bytes for the same content, whoever owns it and whenever."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if PurePosixPath(member.name).name == "__pycache__":
            return None
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        member.mtime = mtime_seconds
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        return member

    with (
        destination.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
        # tarfile sorts the names of a folder.
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        archive.add(folder, arcname=top_name, filter=plain)
    os.utime(destination, (mtime_seconds, mtime_seconds))


class _Capped(io.RawIOBase):
    """A stream that refuses to hand out much at once."""

    def __init__(self, inner: IO[bytes]) -> None:
        self._inner = inner

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_READ_BYTES:
            raise ValueError(f"it has a header of {size} bytes")
        return self._inner.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._inner.seek(offset, whence)

    def tell(self) -> int:
        return self._inner.tell()


@contextmanager
def _open(path: Path) -> Iterator[tarfile.TarFile]:
    with path.open("rb") as start:
        magic = start.read(6)
    opener = next((opener for begin, opener in _OPENERS.items() if magic.startswith(begin)), None)
    with (
        opener(path, "rb") if opener else path.open("rb") as inner,
        tarfile.open(fileobj=_Capped(inner), mode="r:") as archive,
    ):
        yield archive


@contextmanager
def _readable(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with _open(path) as archive:
            yield archive
    except _UNREADABLE as error:
        raise _error("tar-unreadable", path, f"is no tar archive that can be read: {error}") from None


def _check_member(path: Path, member: tarfile.TarInfo, links: set[PurePosixPath]) -> PurePosixPath:
    """The member's name, checked. `links` are the symbolic links so far.

    Source: PEP 706, filter 'data', told from names alone: a member below a link is refused, and a
    link may go up only at its start, so what the names say is where the files will be.
    """
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or not name.parts:
        raise _error("tar-path", path, f"names '{member.name}', which leads out of its folder")
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        raise _error("tar-kind", path, f"holds '{member.name}', which is a device or a pipe")
    if len(name.parts) == 1 and not member.isdir():
        raise _error("tar-folders", path, f"holds the file '{member.name}' outside of any folder")
    if links.intersection(name.parents):
        raise _error("tar-link", path, f"holds '{member.name}', which lies behind a link")
    target = PurePosixPath(member.linkname)
    if member.issym() and _leads_out(target, len(name.parent.parts)):
        raise _error("tar-link", path, f"holds the link '{member.name}' to '{target}', out of its folder")
    if member.islnk() and (".." in target.parts or target.parts[:1] != name.parts[:1]):
        raise _error("tar-link", path, f"holds the hard link '{member.name}' to '{target}', out of its folder")
    if member.issym():
        links.add(name)
    return name


def _leads_out(target: PurePosixPath, depth: int) -> bool:
    """Whether a symbolic link in a folder `depth` levels deep may come out of the top one."""
    ups = next((index for index, part in enumerate(target.parts) if part != ".."), len(target.parts))
    return target.is_absolute() or ".." in target.parts[ups:] or ups >= depth


def _error(reference: str, path: Path, why: str) -> SrpmError:
    return SrpmError(reference, f"{path.name} {why}", hint=_HINT)
