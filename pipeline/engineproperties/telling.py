# SPDX-License-Identifier: GPL-2.0-or-later
"""Merges as people and programs are told of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.engineproperties.merge import Change, Merge


def diff(merge: Merge) -> tuple[str, ...]:
    """The text before and after, a line each key: ' ' as it was, '-' gone, '+' new."""
    return tuple(line for change in merge.changes for line in _lines(change))


def warnings(merge: Merge) -> tuple[str, ...]:
    return tuple(
        f"version {merge.version}: the regex of '{key}' has a ';' in it, where the engine cuts it, and engine-config "
        rf"may refuse the line: write \x3b there"
        for key in merge.cut_keys
    )


def document(merges: Sequence[Merge]) -> dict[str, Any]:
    """What `--json` prints of merges that could be made."""
    return {"status": "ok", "versions": [_version(each) for each in merges], "error": None}


def _lines(change: Change) -> tuple[str, ...]:
    if change.state == "kept":
        return (f"  {change.key}={change.new}",)
    former = () if change.former is None else (f"- {change.key}={change.former}",)
    return (*former, f"+ {change.key}={change.new}")


def _version(merge: Merge) -> dict[str, Any]:
    return {
        "version": merge.version,
        "former": merge.former,
        "new": merge.new,
        "changed": merge.is_changed,
        "set": merge.set_line,
        "undo": merge.undo_line,
        "changes": [
            {"key": each.key, "state": each.state, "former": each.former, "new": each.new} for each in merge.changes
        ],
        "warnings": list(warnings(merge)),
    }
