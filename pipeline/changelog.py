# SPDX-License-Identifier: GPL-2.0-or-later
"""%changelog entries: ours as text, and the day of the vendor's newest. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, time, timezone

from pipeline.model import Evr

# Not strftime: rpm reads English names whatever the locale is.
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_CHANGELOG = re.compile(r"^%changelog\b", re.MULTILINE)
_STAMP = re.compile(r"^\*\s+[A-Z][a-z]{2}\s+([A-Z][a-z]{2})\s+(\d{1,2})\s+(\d{4})\b", re.MULTILINE)


def newest(spec: str) -> date | None:
    """The day of the newest entry in a spec's %changelog; `None` where there is none that can be read."""
    section = _CHANGELOG.search(spec)
    days = (_day(match) for match in _STAMP.finditer(spec, section.end())) if section else ()
    return max((day for day in days if day), default=None)


def midnight(day: date) -> int:
    """When a day begins, in seconds since the epoch.

    Not the noon that rpm gives an entry: packages are built on the morning of their entry too, and
    rpm leaves times alone that are before the one it is given.
    Source: rpm's build/parseChangelog.c for noon, build/files.c for times.
    """
    return int(datetime.combine(day, time(), timezone.utc).timestamp())


def _day(match: re.Match[str]) -> date | None:
    month, day, year = match.groups()
    try:
        return date(int(year), _MONTHS.index(month) + 1, int(day))
    except ValueError:
        return None


def entry(day: date, packager: str, evr: Evr, lines: Sequence[str]) -> str:
    """The entry's text, without an empty line behind it; a `%` in a line is doubled for rpm.

    Source: Fedora packaging guidelines, "Changelogs".
    """
    stamp = f"{_DAYS[day.weekday()]} {_MONTHS[day.month - 1]} {day.day:02d} {day.year}"
    told = [f"- {line.replace('%', '%%')}" for line in lines]
    return "\n".join([f"* {stamp} {packager} - {evr}", *told])
