# SPDX-License-Identifier: GPL-2.0-or-later
"""The log of a repository: one JSON line a publish, each with the digest of the line before it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, fields
from datetime import datetime
from functools import lru_cache
from typing import Any

from pipeline.errors import PublishError
from pipeline.model import LogEntry

_FIRST = ""
# As snapshot.now() writes it, and the largest number that every reader of JSON keeps exactly.
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
LAST_REVISION = 2**53


@lru_cache(maxsize=4)
def read(content: bytes, place: str) -> tuple[LogEntry, ...]:
    """The entries, oldest first. Raises: PublishError when a line was changed, or one between is gone."""
    former, entries = _FIRST, []
    for number, line in enumerate(content.splitlines(), 1):
        try:
            said = json.loads(line)
            entry = _entry(said)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise _broken(place, f"line {number} cannot be read") from None
        if said.get("former_sha256") != former:
            raise _broken(place, f"line {number} does not follow the line before it")
        former = hashlib.sha256(line).hexdigest()
        entries.append(entry)
    return tuple(entries)


def appended(content: bytes, entry: LogEntry) -> bytes:
    """The log with one line more."""
    lines = content.splitlines()
    former = hashlib.sha256(lines[-1]).hexdigest() if lines else _FIRST
    line = json.dumps({**asdict(entry), "former_sha256": former}, sort_keys=True, separators=(",", ":"))
    return content + line.encode() + b"\n"


def _entry(said: dict[str, Any]) -> LogEntry:
    known = {field.name for field in fields(LogEntry)}
    values = {name: value for name, value in said.items() if name in known}
    for name in ("releases", "statements"):
        values[name] = tuple((str(left), str(right)) for left, right in values.get(name, ()))
    entry = LogEntry(**values)
    texts = (entry.time, entry.action, entry.detail, entry.repomd_sha256, entry.commit, entry.who)
    if type(entry.revision) is not int or not all(isinstance(text, str) for text in texts):
        raise TypeError("a value of another type")
    if not 0 <= entry.revision <= LAST_REVISION or not _TIME.fullmatch(entry.time):
        raise ValueError("a value out of its range")
    datetime.fromisoformat(entry.time)  # that day is there
    return entry


def _broken(place: str, why: str) -> PublishError:
    return PublishError(
        "publish-log-broken",
        f"the publish log of {place} is not whole: {why}",
        hint="somebody changed it by hand: put it back from another place of the channel or from an earlier snapshot",
    )
