# SPDX-License-Identifier: GPL-2.0-or-later
"""Releases: the number in them, the next one, and what their macros come to. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pipeline.errors import SettingsError
from pipeline.model import Evr

_CONDITIONAL_MACRO = re.compile(r"%\{\?(\w+)\}|%\{(\w+)\}|%(\w+)")
# A dist tag is no label: 1.el6.20150101 is somebody else's.
_OURS = re.compile(r".+\.(?!(?:el|fc)\d+\.)[A-Za-z][A-Za-z0-9]*\.([0-9]+)")
# Source: rpm's rpmvercmp and rpm 4.8's spec parser: letters, digits, '.', '_' and '+' are safe in all.
_PLAIN = re.compile(r"[A-Za-z0-9._+]+")


def number_in(release: str) -> int | None:
    """The N of a release `….<label>.<N>` of ours, whatever its label was, or `None` for anybody else's."""
    match = _OURS.fullmatch(release)
    return int(match.group(1)) if match else None


def source_name(source_rpm: str | None, name: str) -> str:
    """The name of the source package that a package is built from; its own for a source package, which names none."""
    return source_rpm.rsplit("-", 2)[0] if source_rpm else name


def next_number(seen: Iterable[int], *, floor: int) -> int:
    """One more than the highest number seen, and at least the floor."""
    return max([floor, *(number + 1 for number in seen)])


def expand(release: str, macros: Mapping[str, str]) -> str:
    """The release that rpm will write, for a spec's release text and the macros it is given.

    Raises: SettingsError when something in it stays that no rpm can order.
    """

    expanded = substituted(release, macros)
    if not _PLAIN.fullmatch(expanded):
        raise SettingsError(
            "release-not-plain",
            f"the release '{release}' comes to '{expanded}', which has more than letters, digits, '.', '_' and '+'",
            hint="define the macro that is left under targets.<target>.macros, or correct the spec template",
        )
    return expanded


def substituted(text: str, macros: Mapping[str, str]) -> str:
    """The text with the plain macros in it replaced; what is left of others stays as it is.

    Source: rpm's macros manual: `%{?name}` is nothing when `name` is not defined, and `%{nil}` is nothing.
    """

    def value(match: re.Match[str]) -> str:
        conditional, braced, bare = match.groups()
        if conditional:
            return macros.get(conditional, "")
        return macros.get(braced or bare, match.group(0))

    return _CONDITIONAL_MACRO.sub(value, text).replace("%{nil}", "")


def compare(left: Evr, right: Evr) -> int:
    """-1, 0 or 1 as rpm itself orders the two."""
    import rpm  # loads the system's binding: late, it is slow

    order: int = rpm.labelCompare(
        (str(left.epoch), left.version, left.release), (str(right.epoch), right.version, right.release)
    )
    return order
