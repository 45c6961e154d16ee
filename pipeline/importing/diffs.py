# SPDX-License-Identifier: GPL-2.0-or-later
"""The lines of a diff, told apart: one that a hunk removes may look like a header, or like the end of a mail. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_SIGNATURE = b"-- "


def headers(diff: bytes) -> tuple[bytes, ...]:
    """The lines that are in no hunk."""
    return tuple(line for line, inside in _told_apart(diff) if not inside)


def without_signature(diff: bytes) -> bytes:
    """The diff without the mail's closing lines: what stands behind a line `-- ` that is in no hunk."""
    kept: list[bytes] = []
    for line, inside in _told_apart(diff):
        if line == _SIGNATURE and not inside:
            break
        kept.append(line)
    else:
        return diff
    return b"\n".join(kept) + b"\n"


def _told_apart(diff: bytes) -> Iterator[tuple[bytes, bool]]:
    """Each line, and whether it is of a hunk's text: a hunk says how many it has. Source: diff's "Detailed Unified"."""
    old = new = 0
    for line in diff.split(b"\n"):
        if old > 0 or new > 0:
            yield line, True
            old -= line[:1] in (b"-", b" ", b"")
            new -= line[:1] in (b"+", b" ", b"")
            continue
        if hunk := _HUNK.match(line):
            old, new = (int(count) if count is not None else 1 for count in hunk.groups())
        yield line, False
