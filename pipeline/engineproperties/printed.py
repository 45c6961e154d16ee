# SPDX-License-Identifier: GPL-2.0-or-later
"""What `engine-config -g UserDefinedVMProperties` prints, or one version's value alone: version -> text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.engineproperties.text import NAME
from pipeline.errors import UsageError

# Source: printAllValuesForKey in EngineConfigLogic.java of ovirt-engine: exactly one space before "version: ".
_LINE = re.compile(rf"{NAME} ?: (?P<value>.*) version: (?P<version>\S+)")
_BEGINNING = re.compile(rf"{NAME} ?:")


def read_texts(printed: str, versions: Sequence[str]) -> dict[str, str]:
    """The text of each of the versions that are asked for, byte for byte.

    A value alone is that of the one version. Line ends, and empty lines between versions, are no part of any.

    Raises: UsageError for a version that has no value or two, and for a line that is no version's.
    """
    lines = [line.removesuffix("\r") for line in printed.removesuffix("\n").split("\n")]
    if not any(_BEGINNING.match(line) for line in lines):
        return _of_one(lines, versions)
    values: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        version, value = _read_line(number, line)
        if version in values:
            raise _wrong(
                f"version {version} has two values, in lines {values[version][0]} and {number}",
                hint="leave the one that engine-config -g prints now",
            )
        values[version] = (number, value)
    absent = [version for version in versions if version not in values]
    if absent:
        raise _wrong(f"the text has no version {absent[0]}", hint=f"it has {', '.join(values)}: see --cver")
    return {version: values[version][1] for version in versions}


def _of_one(lines: Sequence[str], versions: Sequence[str]) -> dict[str, str]:
    if len(lines) > 1:
        raise _wrong(
            f"line 1 of {len(lines)} is no version's",
            hint=f"give one value alone, or all that engine-config -g {NAME} prints",
        )
    if len(versions) > 1:
        raise _wrong(
            f"the text is of one version, and {len(versions)} are asked for",
            hint=f"give all that engine-config -g {NAME} prints, or one --cver",
        )
    return {versions[0]: lines[0]}


def _read_line(number: int, line: str) -> tuple[str, str]:
    found = _LINE.fullmatch(line)
    if not found:
        raise _wrong(
            f"line {number} is no version's: '{line}'", hint=f"a line is {NAME}: VALUE version: 3.5, in one piece"
        )
    return found["version"], found["value"]


def _wrong(what: str, *, hint: str) -> UsageError:
    return UsageError("engine-text", what, hint=hint)
