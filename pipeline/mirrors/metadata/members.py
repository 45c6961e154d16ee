# SPDX-License-Identifier: GPL-2.0-or-later
"""gzip members that say how long they are, so that one is found and copied without looking into it.

Source: RFC 1952: members may follow one another (2.2), and a header may hold extra fields (2.3.1.1), which
readers skip. BGZF does the same for genomes.
"""

from __future__ import annotations

import struct
import zlib

from pipeline.mirrors.metadata.faults import Damaged, NotPlain

# Magic, deflate, "has extra fields"; no time; no flags; no known system; 8 bytes extra: "rp", 4 bytes, the length.
_HEAD = struct.Struct("<4sIBBH2sHI")
_MARK = (b"\x1f\x8b\x08\x04", 0, 0, 255, 8, b"rp", 4)
_TAIL = struct.Struct("<II")
_LEVEL = 6
_MAX_TEXT_BYTES = 1 << 26


def pack(text: bytes) -> bytes:
    """One member: the same text and zlib give the same bytes."""
    body = zlib.compress(text, _LEVEL, -zlib.MAX_WBITS)
    head = _HEAD.pack(*_MARK, _HEAD.size + len(body) + _TAIL.size)
    return b"".join((head, body, _TAIL.pack(zlib.crc32(text), len(text))))


def locate(content: bytes) -> list[memoryview]:
    """The members, not looked into. Raises: NotPlain for a gzip file that was written otherwise; Damaged."""
    found, left = [], memoryview(content)
    while left:
        if len(left) < _HEAD.size or (head := _HEAD.unpack_from(left))[:-1] != _MARK:
            raise NotPlain("another kind of gzip")
        member, left = left[: head[-1]], left[head[-1] :]
        if len(member) < max(head[-1], _HEAD.size + _TAIL.size):
            raise Damaged("it ends too early")
        found.append(member)
    return found


def unpack(member: bytes | memoryview) -> bytes:
    """The text, checked by its CRC. Raises: Damaged."""
    size = _TAIL.unpack_from(member, len(member) - _TAIL.size)[1]
    if size > _MAX_TEXT_BYTES:
        raise Damaged("a part of it is too large")
    opened = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        text = opened.decompress(member, size + 1)
    except zlib.error as error:
        raise Damaged(str(error)) from None
    if not opened.eof or opened.unused_data:
        raise Damaged("a part of it ends elsewhere than it says")
    return text
