# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether what a series adds to Python files runs on an old Python, such as CentOS 6's 2.6. Pure.

Only the functions that the series touches are looked at: a vendor's whole file may be Python 2 alone,
which vermin cannot parse under Python 3 and then passes.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher


def faults(before: str, after: str, minimum: tuple[int, int]) -> Iterator[str]:
    """What of the lines that `after` adds needs a newer Python than `minimum`, each with its line number."""
    lines = after.splitlines()
    judged: set[int] = set()
    for first, end in _added(before.splitlines(), lines):
        for place in range(first, end):
            if place in judged or not lines[place].strip():
                continue
            start, stop = _function_around(lines, place)
            fault = _fault(lines[start:stop], minimum)
            if fault == _UNREADABLE:  # the vendor's part of the function may be what cannot be read
                start, stop = place, _readable_end(lines, place, end)
                fault = _fault(lines[start:stop], minimum)
            judged.update(range(start, stop))
            if fault == _UNREADABLE:
                number, why = _syntax_error(lines[start:stop])
                yield f"line {start + number}: {why}; {fault}"
            elif fault:
                yield f"line {start + 1}: {fault}"


_UNREADABLE = "this is no Python that can be checked: write it so that Python 2 and 3 both read it"


def _added(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[int, int]]:
    """The runs of lines that `after` has and `before` has not, as half-open ranges from 0."""
    for kind, _, _, first, end in SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
        if kind in ("insert", "replace"):
            yield first, end


def _function_around(lines: Sequence[str], place: int) -> tuple[int, int]:
    """The lines of the innermost function, or class-level statement, that a line belongs to."""
    start = place
    while start > 0 and not lines[start].lstrip().startswith(("def ", "class ", "@")):
        start -= 1
        if lines[start].strip() and _indent(lines[start]) < _indent(lines[place]) <= 4:
            return place, place + 1  # a statement of a class or module, not of a function
    stop = start + 1
    while stop < len(lines) and (not lines[stop].strip() or _indent(lines[stop]) > _indent(lines[start])):
        stop += 1
    return (start, stop) if stop > place else (place, place + 1)


def _readable_end(lines: Sequence[str], place: int, end: int) -> int:
    """Where a part of added lines that is Python ends: all of them if they are, else as few as make a statement."""
    return next((stop for stop in (end, *range(place + 1, end)) if _is_readable(_source(lines[place:stop]))), end)


def _fault(block: Sequence[str], minimum: tuple[int, int]) -> str:
    import vermin  # late: few stages need it

    source = _source(block)
    if not _is_readable(source):
        return _UNREADABLE
    needed = vermin.detect(source)[0]
    if needed is None:
        return f"runs on no Python 2, and {_told(minimum)} is wanted"
    return f"needs Python {_told(needed)}, and {_told(minimum)} is wanted" if tuple(needed) > minimum else ""


def _source(block: Sequence[str]) -> str:
    return textwrap.dedent("\n".join(block)) + "\n"


def _is_readable(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def _syntax_error(block: Sequence[str]) -> tuple[int, str]:
    """In which line of the block, from 1, Python 3 stops to read, and why."""
    try:
        ast.parse(_source(block))
    except SyntaxError as error:
        return error.lineno or 1, f"{error.msg}: {(error.text or '').strip()}"
    return 1, "it is no statement of its own"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _told(version: Sequence[int]) -> str:
    return ".".join(map(str, version))
