# SPDX-License-Identifier: GPL-2.0-or-later
"""The value of UserDefinedVMProperties for one version: `key=regex` joined by ';', read and written byte for byte."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from pipeline.engineproperties import regex as room
from pipeline.errors import UsageError

NAME = "UserDefinedVMProperties"
# What the engine's database has room for. Source: vdc_options in dbscripts/create_tables.sql of ovirt-engine 3.5.
MAX_CHARACTERS = 4000

_KEY = re.compile(r"[A-Za-z0-9_]+(?==)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Property:
    """One custom property: which values `regex` matches as a whole may be set."""

    key: str
    regex: str

    def __str__(self) -> str:
        return f"{self.key}={self.regex}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Properties:
    """All custom properties of one version, in their order; `str()` is the text that they were read from."""

    properties: tuple[Property, ...] = ()
    has_trailing_semicolon: bool = False

    def __str__(self) -> str:
        return ";".join(map(str, self.properties)) + ";" * self.has_trailing_semicolon

    @property
    def cut_keys(self) -> tuple[str, ...]:
        """Keys whose regex has a ';' in it: the engine itself would cut it there."""
        return tuple(each.key for each in self.properties if ";" in each.regex)


def read_properties(text: str, where: str) -> Properties:
    r"""The properties of a text; an empty text has none.

    A ';' separates where `key=` or the end follows, and only outside of a regex's groups, classes, quotations and
    escapes. The engine is plainer: it cuts at every ';' and `engine-config -s` refuses what is no `key=…` behind one,
    so a regex should have `\x3b` instead; what others have set is kept all the same.
    Source: CustomPropertiesUtils.java and UserDefinedVMPropertiesValueHelper.java of ovirt-engine 3.5.

    Raises: UsageError that names the version and the first thing that is wrong.
    """
    _refuse_unshowable(text, where)
    semicolons = [at for at in room.outside(text).places if at == len(text) - 1 or _KEY.match(text, at + 1)]
    starts = [0, *(at + 1 for at in semicolons)]
    parts = [text[start:end] for start, end in zip(starts, [*semicolons, len(text)], strict=True)]
    is_trailing = len(parts) > 1 and not parts[-1]
    read = Properties(
        properties=tuple(_property(part, where) for part in (parts[:-1] if is_trailing else parts) if text),
        has_trailing_semicolon=is_trailing,
    )
    _refuse_doubled(read, where)
    return read


def _property(part: str, where: str) -> Property:
    key = _KEY.match(part)
    if not key:
        raise _wrong(
            where,
            f"'{part}' does not begin with key=, where a key is of letters, digits and _",
            hint=f"give what engine-config -g {NAME} prints",
        )
    if key.group() == NAME:
        raise _wrong(where, f"it begins with {NAME}=, which is no property", hint=f"leave {NAME}= out")
    found = Property(key=key.group(), regex=part[key.end() + 1 :])
    fault = room.fault(found.regex)
    if fault:
        raise _wrong(
            where,
            f"the regex of '{found.key}' does not compile: {fault}",
            hint=f"mend it in the engine first: {found}",
        )
    return found


def _refuse_doubled(read: Properties, where: str) -> None:
    counts = Counter(each.key for each in read.properties)
    doubled = next((key for key, count in counts.items() if count > 1), None)
    if doubled:
        raise _wrong(
            where,
            f"'{doubled}' is there {counts[doubled]} times",
            hint="the engine takes the last; leave in the text the one that is meant",
        )


def _refuse_unshowable(text: str, where: str) -> None:
    """No character that a terminal would not show as it is: the lines are there to be read and copied."""
    bad = next(((at, char) for at, char in enumerate(text, 1) if not char.isprintable()), None)
    if bad:
        at, char = bad
        raw = 0xDC80 <= ord(char) <= 0xDCFF
        what = "no UTF-8" if raw else f"a control or invisible character, U+{ord(char):04X},"
        raise _wrong(where, f"there is {what} at character {at}", hint="take it out, or escape it in the regex")


def _wrong(where: str, what: str, *, hint: str) -> UsageError:
    return UsageError("engine-text", f"{where}: {what}", hint=hint)
