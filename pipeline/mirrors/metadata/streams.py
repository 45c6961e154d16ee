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
_MAX_DEPTH = 32
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


def read_whole(path: Path) -> bytes:
    """The file's bytes as they lie there. Raises: Damaged."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Damaged(str(error)) from None


def checked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same pieces, if they are well-formed XML in UTF-8, flat and without a doctype. Raises: Damaged."""
    parser = _Parser()
    for piece in pieces:
        parser.feed(piece, is_last=False)
        yield piece
    parser.feed(b"", is_last=True)


def check(path: Path) -> int | None:
    """The number of packages that the root element tells. Raises: Damaged unless the whole file is such XML."""
    parser = _Parser()
    for piece in read_pieces(path):
        parser.feed(piece, is_last=False)
    parser.feed(b"", is_last=True)
    return int(parser.said) if parser.said.isascii() and parser.said.isdigit() else None


class _Parser:
    """expat, which stops early where a larger parser would be filled to the brim."""

    def __init__(self) -> None:
        self.said = ""
        self._depth = 0
        self._parser = expat.ParserCreate("UTF-8")
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.StartElementHandler = self._go_in
        self._parser.EndElementHandler = self._go_out

    def feed(self, piece: bytes, *, is_last: bool) -> None:
        try:
            self._parser.Parse(piece, is_last)
        except expat.ExpatError as error:
            raise Damaged(f"it is no XML in UTF-8: {error}") from None

    def _go_in(self, _: str, attributes: dict[str, str]) -> None:
        if self._depth == 0:
            self.said = attributes.get("packages", "")
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise Damaged(f"its elements are nested more than {_MAX_DEPTH} deep")

    def _go_out(self, _: str) -> None:
        self._depth -= 1

    @staticmethod
    def _refuse_doctype(*_: object) -> None:
        raise Damaged("it has a doctype, which no metadata has")
