# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON of records: read quickly, and written the one way that digests are made of."""

from __future__ import annotations

import json
from typing import Any

import orjson


def read(content: bytes) -> Any:
    """The value of a JSON text; whole numbers of more than 64 bits come out rounded, which `read_exactly` does not do.

    Raises: ValueError for what is none, RecursionError for one that is too deep.
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:  # it takes no half of a character, which names of files may have
        return read_exactly(content)


def read_exactly(content: bytes) -> Any:
    """As `read`, and slower. Raises: as `read`."""
    return json.loads(content)


def text_of(value: Any) -> bytes:
    """The JSON of a value in ASCII, the same whatever the order of its keys."""
    try:
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        if text.isascii():
            return text
    except orjson.JSONEncodeError:
        pass
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
