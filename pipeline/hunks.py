# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a hunk does not fit: the lines that the patch expects against those that the file has. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@")
_MAX_SHOWN = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Hunk:
    """The old side of one hunk: what must be in the file, from line `start` (counted from 1)."""

    path: str
    start: int
    header: str
    expected: tuple[str, ...]


def read_hunks(patch: str) -> Iterator[Hunk]:
    """Every hunk of a unified diff, in order. git judges patches; this only explains a refusal."""
    path = ""
    lines = iter(patch.splitlines())
    for line in lines:
        if line.startswith("--- "):
            path = line[4:].split("\t")[0].removeprefix("a/")
        match = _HUNK.match(line)
        if match:
            wanted = int(match.group(2) or "1")
            yield Hunk(path=path, start=int(match.group(1)), header=line, expected=tuple(_old_side(lines, wanted)))


def _old_side(lines: Iterator[str], wanted: int) -> Iterator[str]:
    while wanted:
        line = next(lines, None)
        if line is None:
            return
        if line[:1] in (" ", "-", ""):
            wanted -= 1
            yield line[1:]


def differing_lines(expected: Sequence[str], found: Sequence[str], start: int) -> list[str]:
    """Lines to show: `-` what the patch expects, `+` what the file has where it fits best."""
    first = _best_place(expected, found, start - 1)
    there = found[first : first + len(expected)]
    shown = [f"(the file, from line {first + 1})"]
    for kind, a, b, c, d in SequenceMatcher(a=expected, b=there, autojunk=False).get_opcodes():
        if kind != "equal":
            shown += [f"-{line}" for line in expected[a:b]] + [f"+{line}" for line in there[c:d]]
    return shown[:_MAX_SHOWN]


def _best_place(expected: Sequence[str], found: Sequence[str], near: int) -> int:
    """Where most of the expected lines stand, the nearest of equals."""
    wanted = set(expected)
    last = max(0, len(found) - len(expected))

    def score(place: int) -> tuple[int, int]:
        return (sum(line in wanted for line in found[place : place + len(expected)]), -abs(place - near))

    return max(range(last + 1), key=score, default=0)
