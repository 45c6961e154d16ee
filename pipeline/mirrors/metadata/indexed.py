# SPDX-License-Identifier: GPL-2.0-or-later
"""gzip whose parts are found and copied without looking into the others; any reader takes it for plain gzip.

Each part ends with a full flush, so that the next one does not refer to it. The header's extra field, which
readers skip, holds each part's length and CRC. dictzip does the same.

Source: RFC 1952, 2.3.1.1. One member, though gzip may have several: libxml2's own reader of 2.8 and later
takes only the first one right (seen with 2.9.14), and yum's parser is libxml2.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.mirrors.metadata.faults import Damaged, NotPlain

# Magic, deflate, "has an extra field"; no time; no flags; no known system; the field's length, "rp", and its own.
_HEAD = struct.Struct("<4sIBBH2sH")
_MAGIC = (b"\x1f\x8b\x08\x04", 0, 0, 255)
_ENTRY = struct.Struct("<II")
_TAIL = struct.Struct("<II")
_LAST_BLOCK = b"\x03\x00"
_LEVEL = 6
_MAX_TEXT_BYTES = 1 << 26
_MAX_FIELD_BYTES = 0xFFFF - 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Deflated text that needs no other, and the text's CRC."""

    body: bytes | memoryview
    crc: int


def pack(text: bytes) -> Part:
    """The same text and zlib give the same bytes."""
    deflated = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return Part(body=deflated.compress(text) + deflated.flush(zlib.Z_FULL_FLUSH), crc=zlib.crc32(text))


def unpack(part: Part) -> bytes:
    """The text, checked. Raises: Damaged."""
    opened = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        text = opened.decompress(part.body, _MAX_TEXT_BYTES)
    except zlib.error as error:
        raise Damaged(str(error)) from None
    if opened.unconsumed_tail:
        raise Damaged("a part of it is too large")
    if zlib.crc32(text) != part.crc:
        raise Damaged("a part of it has another CRC than it says")
    return text


def join(parts: Sequence[Part], text_crc: int, text_size: int) -> Iterator[bytes | memoryview]:
    """The file, in pieces. What has more parts than a header can hold goes without: it is whole all the same."""
    entries = b"".join(_ENTRY.pack(len(part.body), part.crc) for part in parts)
    if len(entries) > _MAX_FIELD_BYTES:
        entries = b""
    yield _HEAD.pack(*_MAGIC, 4 + len(entries), b"rp", len(entries)) + entries
    for part in parts:
        yield part.body
    yield _LAST_BLOCK + _TAIL.pack(text_crc, text_size & 0xFFFFFFFF)


def locate(content: bytes) -> list[Part]:
    """The parts, not looked into. Raises: NotPlain for gzip that was written otherwise; Damaged."""
    if len(content) < _HEAD.size:
        raise NotPlain("another kind of gzip")
    *magic, size, mark, entries_size = _HEAD.unpack_from(content)
    if tuple(magic) != _MAGIC or mark != b"rp" or size != entries_size + 4 or not entries_size:
        raise NotPlain("another kind of gzip")
    start = _HEAD.size + entries_size
    found, view = [], memoryview(content)
    for length, crc in _entries(content[_HEAD.size : start]):
        found.append(Part(body=view[start : start + length], crc=crc))
        start += length
    if len(content) != start + len(_LAST_BLOCK) + _TAIL.size:
        raise Damaged("it ends too early or too late")
    return found


def _entries(content: bytes) -> Iterator[tuple[int, int]]:
    try:
        yield from _ENTRY.iter_unpack(content)
    except struct.error as error:
        raise Damaged(str(error)) from None
