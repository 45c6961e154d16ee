# SPDX-License-Identifier: GPL-2.0-or-later
"""The compat matrix as an SVG: a row for each tag, a column for each patch, and one for the tests if they ran.

A field's colour says nothing that its sign and its words do not say as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.model import PatchVerdict, TagVerdict
from pipeline.pages import template

# Wide enough for a letter of any font that the style asks for, on average.
_LETTER_PX = 7
_SIGN_PX = 22
_MARGIN_PX = 16
_ROW_PX = 24
_TOP_PX = 88
_SIGNS = {"clean": "✓", "offset": "↕", "upstream": "=", "conflict": "✗", "untried": "○"}
_MEANINGS = {
    "clean": "clean: fits as it is",
    "offset": "offset: fits, that many lines away",
    "upstream": "upstream: the tag has it already",
    "conflict": "conflict: does not fit",
    "untried": "untried: comes behind a conflict",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Field:
    """One field: `kind` chooses colour and sign, `title` is shown to a pointer that rests on it."""

    kind: str
    words: str
    title: str

    @property
    def sign(self) -> str:
        return _SIGNS[self.kind]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    tag: str
    fields: tuple[_Field, ...]


def draw(package: str, summary: str, tags: Sequence[TagVerdict]) -> str:
    """The picture, which can stand alone or in an HTML page; the same verdicts give the same text."""
    tested = any(tag.unit for tag in tags)
    names = [verdict.patch for verdict in tags[0].patches]
    columns = [*(name[:4] for name in names), *(["tests"] if tested else [])]
    rows = [_row(tag, tested=tested) for tag in tags]
    key = [*names, "", *_signs_in(tags)]
    heading = f"{package}: the patch series on upstream's tags"
    left = _MARGIN_PX + _text_px([tag.tag for tag in tags])
    field_width = _SIGN_PX + _text_px([field.words for row in rows for field in row.fields])
    key_top = _TOP_PX + len(rows) * _ROW_PX + _ROW_PX
    return template.fill(
        Path(__file__).parent,
        "matrix.svg.j2",
        package=package,
        heading=heading,
        summary=summary,
        columns=columns,
        rows=rows,
        key=key,
        margin=_MARGIN_PX,
        left=left,
        top=_TOP_PX,
        row_height=_ROW_PX,
        field_width=field_width,
        key_top=key_top,
        width=max(left + len(columns) * field_width, 2 * _MARGIN_PX + _text_px([heading, summary, *key])) + _MARGIN_PX,
        height=key_top + len(key) * _ROW_PX,
    )


def _row(tag: TagVerdict, *, tested: bool) -> _Row:
    fields = [_patch_field(tag.tag, verdict) for verdict in tag.patches]
    return _Row(tag=tag.tag, fields=(*fields, *([_tests_field(tag)] if tested else [])))


def _patch_field(tag: str, verdict: PatchVerdict) -> _Field:
    where = f"{tag}, {verdict.patch}"
    if verdict.state == "offset":
        lines = f"{verdict.offset_lines} line{'' if abs(verdict.offset_lines) == 1 else 's'}"
        return _Field(kind="offset", words=f"offset {verdict.offset_lines}", title=f"{where}: fits, {lines} away")
    told = _MEANINGS[verdict.state]
    if verdict.state == "conflict":
        told = f"conflict at {verdict.detail}" + (f", because of {verdict.cause}" if verdict.cause else "")
    return _Field(kind=verdict.state, words=verdict.state, title=f"{where}: {told}")


def _tests_field(tag: TagVerdict) -> _Field:
    if tag.unit is None:
        return _Field(kind="untried", words="not run", title=f"{tag.tag}: no tests, since the series does not apply")
    green, red = len(tag.unit.passed), len(tag.unit.failed)
    told = f"{tag.tag}: {green} tests green, {red} red"
    if red:
        return _Field(kind="conflict", words=f"{red} red", title=f"{told}: {', '.join(tag.unit.failed)}")
    if not green:
        return _Field(kind="conflict", words="none ran", title=f"{told}, so nothing is shown")
    return _Field(kind="clean", words=f"{green} green", title=told)


def _signs_in(tags: Sequence[TagVerdict]) -> list[str]:
    """What the signs mean that the picture has."""
    there = {verdict.state for tag in tags for verdict in tag.patches}
    return [f"{_SIGNS[state]} {meaning}" for state, meaning in _MEANINGS.items() if state in there]


def _text_px(texts: Sequence[str]) -> int:
    """Room for the longest of some texts, and a little space behind it."""
    return max(map(len, texts), default=0) * _LETTER_PX + _MARGIN_PX
