# SPDX-License-Identifier: GPL-2.0-or-later
"""One %changelog entry. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pipeline.model import Evr

# Not strftime: rpm reads English names whatever the locale is.
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def entry(day: date, packager: str, evr: Evr, lines: Sequence[str]) -> str:
    """The entry's text, without an empty line behind it; a `%` in a line is doubled for rpm.

    Source: Fedora packaging guidelines, "Changelogs".
    """
    stamp = f"{_DAYS[day.weekday()]} {_MONTHS[day.month - 1]} {day.day:02d} {day.year}"
    told = "\n".join("- " + line.replace("%", "%%") for line in lines)
    return f"* {stamp} {packager} - {evr}\n{told}"
