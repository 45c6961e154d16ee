# SPDX-License-Identifier: GPL-2.0-or-later
"""What decides a result, as name -> digest or value, and how two of them differ. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping


def digest(inputs: Mapping[str, str]) -> str:
    """The sha256 of the inputs, whatever their order."""
    return hashlib.sha256(json.dumps(dict(inputs), sort_keys=True).encode()).hexdigest()


def difference(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What changed, what is new and what is gone, in words; empty if nothing is."""
    changed = [_told(name, before[name], now[name]) for name in now if name in before and before[name] != now[name]]
    added = [f"{name} is new" for name in now if name not in before]
    removed = [f"{name} is gone" for name in before if name not in now]
    return ", ".join(changed + added + removed)


def _told(name: str, before: str, now: str) -> str:
    """Digests mean nothing to a reader; short values do."""
    if len(before) >= 64 or len(now) >= 64:
        return f"{name} changed"
    return f"{name} changed from {before or 'nothing'} to {now or 'nothing'}"
