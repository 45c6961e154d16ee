# SPDX-License-Identifier: GPL-2.0-or-later
"""One changelog entry, as rpm reads it."""

from __future__ import annotations

from datetime import date, datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.changelog import entry, midnight, newest
from pipeline.model import Evr

EVR = Evr(version="4.16.30", release="0.el6.label.904")
WHO = "A Packager <packager@example.org>"


def test_an_entry_has_the_day_the_packager_the_release_and_a_line_each():
    assert entry(date(2015, 11, 2), WHO, EVR, ["one", "two"]) == (
        "* Mon Nov 02 2015 A Packager <packager@example.org> - 4.16.30-0.el6.label.904\n- one\n- two"
    )


def test_an_epoch_is_told():
    assert " - 2:4.16.30-0.el6.label.904\n" in entry(
        date(2015, 11, 2), WHO, Evr(epoch=2, version="4.16.30", release="0.el6.label.904"), ["one"]
    )


def test_a_percent_sign_is_doubled_so_that_rpm_runs_nothing():
    assert entry(date(2015, 11, 2), WHO, EVR, ["use %{name} and %(id)"]).endswith("\n- use %%{name} and %%(id)")


@given(day=st.dates(min_value=date(1970, 1, 1), max_value=date(2100, 1, 1)))
def test_day_and_month_have_their_english_names(day):
    # The C locale's names; nothing in the tests sets another.
    assert entry(day, WHO, EVR, []).startswith(f"* {day:%a %b %d %Y} ")


@given(now=st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2100, 1, 1)))
def test_a_day_begins_before_anything_that_is_built_on_it(now):
    """Noon would be in the future half of the day, and rpm clamps what is newer only."""
    seconds = now.replace(tzinfo=timezone.utc).timestamp()
    assert seconds - 24 * 3600 < midnight(now.date()) <= seconds


@pytest.mark.parametrize(
    ("spec", "day"),
    [
        ("%changelog\n* Mon Nov 02 2015 A <a@b> - 1\n- x\n", date(2015, 11, 2)),
        ("%changelog\n* Mon Nov  2 2015 A <a@b> - 1\n", date(2015, 11, 2)),
        ("%changelog\n* Sat Oct 31 2015 A\n\n* Mon Nov 02 2015 A\n", date(2015, 11, 2)),
        ("* Mon Nov 02 2015 A\n%changelog\n", None),
        ("%changelog\n* Mon Non 02 2015 A\n* Tue Nov 31 2015 A\n- on Mon Nov 02 2015\n", None),
        ("%changelog\n* Tue Nov 31 2015 A\n* Mon Jan 05 2015 A\n", date(2015, 1, 5)),
        ("%description\n%changelogs\n* Mon Nov 02 2015 A\n", None),
        ("", None),
    ],
)
def test_the_newest_entry_is_the_newest_that_can_be_read(spec, day):
    assert newest(spec) == day
