# SPDX-License-Identifier: GPL-2.0-or-later
"""A metadata file's text, however it is compressed, in pieces; and whether it is XML that is safe to take."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

from pipeline.mirrors.metadata.faults import Damaged

_PIECE_BYTES = 1 << 20
_MAX_TEXT_BYTES = 1 << 30
_ZSTD = b"\x28\xb5\x2f\xfd"


def read_pieces(path: Path) -> Iterator[bytes]:
    """The text of a file that is plain, or compressed by gz, bz2, xz or zst. Raises: Damaged."""
    size = 0
    try:
        with path.open("rb") as raw:
            stream = _opened(raw)
            while piece := stream.read(_PIECE_BYTES):
                size += len(piece)
                if size > _MAX_TEXT_BYTES:
                    raise Damaged(f"it holds more than {_MAX_TEXT_BYTES >> 20} MiB")
                yield piece
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise Damaged(str(error)) from None


def _opened(raw: BinaryIO) -> BinaryIO:
    magic = raw.read(6)
    raw.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=raw, mode="rb")  # type: ignore[return-value]
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(raw)  # type: ignore[return-value]
    if magic.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(raw)  # type: ignore[return-value]
    return _unzstd(raw) if magic.startswith(_ZSTD) else raw


def _unzstd(raw: BinaryIO) -> BinaryIO:
    """By createrepo_c: Python's library learns zstd in 3.14 only."""
    import createrepo_c

    opened = tempfile.NamedTemporaryFile()  # noqa: SIM115  # it is returned
    try:
        createrepo_c.decompress_file(raw.name, opened.name, createrepo_c.ZSTD_COMPRESSION)
    except createrepo_c.CreaterepoCError as error:
        raise Damaged(str(error)) from None
    return opened  # type: ignore[return-value]


def checked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same pieces, if they are well-formed XML in UTF-8 without a doctype. Raises: Damaged."""
    parser = expat.ParserCreate("UTF-8")
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        for piece in pieces:
            parser.Parse(piece, False)
            yield piece
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise Damaged(f"it is no XML in UTF-8: {error}") from None


def _refuse_doctype(*_: object) -> None:
    raise Damaged("it has a doctype, which no metadata has")


def check(path: Path) -> None:
    """Raises: Damaged unless the whole file is such XML."""
    for _ in checked(read_pieces(path)):
        pass
